"""Where the runs of a policy fall into two groups: found, and told in place of a mean."""

from collections.abc import Callable
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jobsim.analysis.measure import Scale
from jobsim.analysis.measures import MEASURES
from jobsim.analysis.modes import Groups, two_groups
from jobsim.analysis.statistics import mean_interval, share_interval
from jobsim.analysis.wording import in_text, with_unit

Floats = NDArray[np.float64]

TELLING: Final = ("success_rate", "goodput_per_s", "backlog_mean", "attempts_per_job")
"""The measures by which a collapse shows, the clearest first."""


def split(runs: pd.DataFrame, policy: str, measure: str, ci: float = 0.95) -> Groups | None:
    """Return the two groups into which the runs of `policy` fall by `measure`; `None` if they may be one.

    Where something was reached in some runs and not in others (a quantile of the latency, a recovery),
    those are the groups, the latter the higher. Groups that show in one of `TELLING` are those of every
    measure by which they do not overlap. Other claims are corrected for the number of policies.
    """
    own = runs[runs["policy"] == policy]
    own = own[own[measure].notna() & (own["jobs"] > 0)]
    values = own[measure].to_numpy(float)
    never = own["recovered"].to_numpy() == 0 if measure == "recovery_s" else np.isinf(values)
    if never.any():
        return None if never.all() else Groups(values[~never], values[never], 0.0)
    if MEASURES[measure].scale is Scale.RUNS_SHARE:
        return None  # told as a share
    level = (1 - ci) / runs["policy"].nunique()
    return _by_itself(own, measure, level) or _as_others_do(own, measure, level)


def _by_itself(runs: pd.DataFrame, measure: str, level: float) -> Groups | None:
    values = runs[measure].to_numpy(float)
    found = two_groups(values, _step(runs, measure, values))
    return found if found.p_value < level else None


def _as_others_do(runs: pd.DataFrame, measure: str, level: float) -> Groups | None:
    """Return the groups that a telling measure makes, if they do not overlap by `measure` either."""
    for name in TELLING:
        if name != measure and (found := _by_itself(runs, name, level)):
            is_low = runs[name].to_numpy() <= found.lower[-1]
            values = runs[measure].to_numpy(float)
            lower, higher = sorted((values[is_low], values[~is_low]), key=np.mean)
            return Groups(lower, higher, found.p_value) if lower.max() < higher.min() else None
    return None


def _step(runs: pd.DataFrame, measure: str, values: Floats) -> float:
    """Return the distance of neighbouring values of `measure`; 0 where it may have any."""
    match MEASURES[measure].scale:
        case Scale.COUNT:
            return 1.0
        case Scale.JOBS_SHARE:
            return 1.0 / float(runs["jobs"].min())
        case _:
            different = np.unique(values)
            return float(np.diff(different).min(initial=np.inf)) if len(different) < len(values) else 0.0


def split_in_words(measure: str, found: Groups, ci: float = 0.95, write: Callable[..., str] = in_text) -> str:
    """Return what a table shows in place of a mean, such as ``21.0 ±0.9 (6 runs) or 98.1 ±0.3 (14 runs)``."""
    texts = [
        write(measure, mean_interval(found.lower, ci)),
        write(measure, mean_interval(found.higher, ci), lower_bound=measure == "recovery_s"),
    ]
    sizes = [len(found.lower), len(found.higher)]
    return " or ".join(
        text if text.endswith("run)") else f"{text} ({n} run{'s'[: n != 1]})"
        for text, n in zip(texts, sizes, strict=True)
    )


def split_sentences(runs: pd.DataFrame, ci: float = 0.95) -> list[str]:
    """Return a sentence for each policy whose runs fall into two groups, by the clearest measure."""
    sentences = []
    for label in dict.fromkeys(runs["policy"]):
        found = ((name, split(runs, label, name, ci)) for name in TELLING)
        sentences += [_sentence(label, name, groups, ci) for name, groups in found if groups][:1]
    return sentences


def _sentence(policy: str, measure: str, found: Groups, ci: float) -> str:
    few, many = sorted((found.lower, found.higher), key=len)
    n = len(few) + len(many)
    value, other = (with_unit(measure, mean_interval(group, ci)) for group in (few, many))
    return (
        f"Under {policy} a run ends in one of two ways, and the mean is like neither: "
        f"{MEASURES[measure].label} {value} in {share(len(few), n, ci)}, {other} in the others."
    )


def share(some: int, runs: int, ci: float = 0.95) -> str:
    """Return ``6 of 20 runs (12 to 54 %)``, with the exact binomial interval of the share."""
    _, low, high, _ = share_interval(some, runs, ci)
    return f"{some} of {runs} runs ({100 * low:.0f} to {100 * high:.0f} %)"
