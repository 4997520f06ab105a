"""Many runs in one table: means with intervals, paired differences, and a sentence.

A table of runs has one row a run: `policy` (text), `replication` (int, from 0), `seed` (int) and a column
for each of `MEASURES`. Runs with equal `replication` met the same random numbers, whatever the policy.
"""

import math
from collections.abc import Hashable, Iterable, Iterator, Mapping
from itertools import combinations, product
from typing import Any, Final

import numpy as np
import pandas as pd

from jobsim.analysis.measure import Scale
from jobsim.analysis.measures import MEASURES
from jobsim.analysis.quantiles import checked_percents, quantile_interval, quantile_sequence
from jobsim.analysis.sequences import sequence_interval, sequential_difference
from jobsim.analysis.splits import split, split_in_words
from jobsim.analysis.statistics import (
    Difference,
    Interval,
    few_jobs_p_value,
    holm,
    measure_interval,
    paired_difference,
    rare_bound,
)
from jobsim.analysis.wording import heading, in_text
from jobsim.core.errors import ConfigError, did_you_mean

_PRECISION: Final = "relative precision"
"""The attribute of a table of runs that says it was looked at until it was precise enough."""

HEADLINE: Final = (
    "success_rate",
    "dead_letter_rate",
    "latency_p50_s",
    "latency_p95_s",
    "attempts_per_job",
    "peak_load_per_s",
    "largest_retry_burst",
    "recovery_s",
)
"""The measures shown where none are asked for."""


def chosen(measures: Iterable[str] | None, otherwise: Iterable[str] = HEADLINE) -> list[str]:
    """Return the names of the measures asked for, checked.

    Raises:
        ConfigError: there is no measure of that name.
    """
    wanted = otherwise if measures is None else measures
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    for name in names:
        if name not in MEASURES:
            raise ConfigError(
                f"no measure is called {name!r}{did_you_mean(name, MEASURES)}; "
                f"there are: {', '.join(MEASURES)}"
            )
    return names


def table_of_runs(rows: Iterable[Mapping[str, object]]) -> pd.DataFrame:
    """Return a table of runs: measures that count are whole numbers, all others float."""
    counts = {name: np.int64 for name, measure in MEASURES.items() if measure.scale is Scale.COUNT}
    return pd.DataFrame(list(rows), columns=["policy", "replication", "seed", *MEASURES]).astype(counts)


def asked_precision(runs: pd.DataFrame) -> dict[str, float]:
    """Return the relative precisions until which runs were added, by measure; none if their number was fixed.

    If there are any, the runs were looked at again and again, and all intervals and tests allow for that.
    """
    found: dict[str, float] = runs.attrs.get(_PRECISION, {})
    return found


def until_precise(runs: pd.DataFrame, precision: Mapping[str, float]) -> pd.DataFrame:
    """Return `runs` as a table that is looked at until it has this precision."""
    marked = runs.copy(deep=False)
    marked.attrs[_PRECISION] = dict(precision)
    return marked


def imprecise(runs: pd.DataFrame, ci: float = 0.95) -> list[str]:
    """Return, as text, what is not yet as precise as was asked for.

    The precision is the half width of the interval relative to the mean. Means that are zero, infinite or
    unknown have none, and are not waited for; nor are those of runs that do not differ: without retries
    there is one attempt a job, and no number of runs gives an interval of that.
    """
    found = []
    for name, wanted in asked_precision(runs).items():
        for label in policies(runs):
            mean, low, high, _ = interval(runs, label, name, ci)
            if math.isfinite(mean) and mean and not (high - low) / 2 <= wanted * abs(mean):
                values = runs.loc[runs["policy"] == label, name]
                if values.min() < values.max():
                    found.append(f"{MEASURES[name].label} of {label}")
    return found


def policies(runs: pd.DataFrame) -> list[str]:
    """Return the policies of a table of runs, in its order."""
    return list(dict.fromkeys(runs["policy"]))


def interval(runs: pd.DataFrame, policy: str, measure: str, ci: float = 0.95) -> Interval:
    """Return one measure's mean over the runs of `policy`, with its interval."""
    own = runs[runs["policy"] == policy]
    suited = sequence_interval if asked_precision(runs) else measure_interval
    return suited(own[measure], MEASURES[measure].scale, ci, own["jobs"])


def summary(runs: pd.DataFrame, ci: float = 0.95, measures: Iterable[str] | None = None) -> pd.DataFrame:
    """Return a row a policy and, for each measure, the columns `mean`, `low`, `high` and `n`.

    Columns are pairs, so that ``table["dead_letter_rate"]`` is a table of its own. Shares are between 0
    and 1. `n` counts the runs behind the mean. A mean `recovery_s` with `recovered` below 1 is a
    lower bound.
    """
    check_ci(ci)
    names, labels = chosen(measures), policies(runs)
    rows = [[x for name in names for x in interval(runs, label, name, ci)] for label in labels]
    columns = pd.MultiIndex.from_product([names, Interval._fields], names=["measure", "statistic"])
    table = pd.DataFrame(rows, index=pd.Index(labels, name="policy"), columns=columns)
    return table.astype({(name, "n"): np.int64 for name in names})


def quantiles(
    runs: pd.DataFrame, measure: str, percents: Iterable[float] = (10, 50, 90), ci: float = 0.95
) -> pd.DataFrame:
    """Return the quantiles of one measure over the runs of each policy, with bounds by order statistics.

    Raises:
        ConfigError: no such measure, or a percentage that is none.
    """
    check_ci(ci)
    [name] = chosen(measure)
    suited = quantile_sequence if asked_precision(runs) else quantile_interval
    rows = [
        (label, percent, *suited(runs.loc[runs["policy"] == label, name], percent / 100, ci)[:3])
        for label, percent in product(policies(runs), checked_percents(percents))
    ]
    return pd.DataFrame(rows, columns=["policy", "percent", name, "low", "high"])


def in_words(runs: pd.DataFrame, ci: float = 0.95, measures: Iterable[str] | None = None) -> pd.DataFrame:
    """Return the same as text to be read: ``mean ±half width`` in the unit of the heading.

    Where the runs fall into two groups, each of them is told; see `jobsim.analysis.splits`.
    """
    check_ci(ci)
    names, labels = chosen(measures), policies(runs)
    cells = {heading(name): [_cell(runs, label, name, ci) for label in labels] for name in names}
    return pd.DataFrame(cells, index=pd.Index(labels, name="policy"))


def _cell(runs: pd.DataFrame, policy: str, measure: str, ci: float) -> str:
    if groups := split(runs, policy, measure, ci):
        return split_in_words(measure, groups, ci)
    return in_text(
        measure,
        interval(runs, policy, measure, ci),
        lower_bound=measure == "recovery_s" and censored(runs, policy),
    )


def censored(runs: pd.DataFrame, policy: str) -> bool:
    """Return whether a run of `policy` ended before its backlog had come back."""
    return bool((runs.loc[runs["policy"] == policy, "recovered"] == 0).any())


def differences(
    runs: pd.DataFrame, baseline: str, ci: float = 0.95, measures: Iterable[str] | None = None
) -> pd.DataFrame:
    """Return how each policy differs from `baseline`, replication by replication.

    Columns: `policy`, `measure`, `difference` (mean of policy minus baseline), `low`, `high` (t
    interval, each for itself), `p_value`, `p_holm` (corrected over the policies within the measure),
    `significant` (`p_holm` below 1 - ci), `n` (pairs). Shares of runs (`recovered`) are left out: no
    t test suits them.

    Raises:
        ConfigError: no such policy or measure.
    """
    check_ci(ci)
    labels = policies(runs)
    check_policy(baseline, labels)
    rows = [
        row
        for name in chosen(measures, MEASURES)
        if MEASURES[name].scale is not Scale.RUNS_SHARE
        for row in _against(runs, name, [(label, baseline) for label in labels if label != baseline], ci)
    ]
    columns = ["policy", "measure", "difference", "low", "high", "p_value", "p_holm", "significant", "n"]
    return pd.DataFrame(rows, columns=columns)


def _against(
    runs: pd.DataFrame, measure: str, pairs: list[tuple[str, str]], ci: float
) -> Iterator[tuple[str, str, float, float, float, float, float, bool, int]]:
    found = [pair_difference(runs, measure, *pair, ci) for pair in pairs]
    for (label, _), one, adjusted in zip(pairs, found, holm(d.p_value for d in found), strict=True):
        yield (
            label,
            measure,
            one.difference,
            one.low,
            one.high,
            one.p_value,
            float(adjusted),
            bool(adjusted < 1 - ci),
            one.n,
        )


def pair_difference(
    runs: pd.DataFrame, measure: str, policy: str, baseline: str, ci: float = 0.95
) -> Difference:
    """Return the paired difference between two policies in one measure.

    Of a share of jobs, no test is surer than so few jobs allow: see `few_jobs_p_value`. Nor is an interval
    narrower: where no run differs, another job may all the same (`rare_bound`).
    """
    values = runs.pivot(index="replication", columns="policy", values=measure)
    suited = sequential_difference if asked_precision(runs) else paired_difference
    found = suited(values[policy], values[baseline], ci)
    if MEASURES[measure].scale is not Scale.JOBS_SHARE:
        return found
    jobs = runs.pivot(index="replication", columns="policy", values="jobs")[policy]
    more = float(((values[policy] - values[baseline]) * jobs).sum())
    unseen = rare_bound(float(jobs.sum()), ci)
    return found._replace(  # what is unknown stays so
        low=min(found.low, found.difference - unseen),
        high=max(found.high, found.difference + unseen),
        p_value=max(found.p_value, few_jobs_p_value(more)),
    )


def differences_in_words(
    runs: pd.DataFrame, baseline: str, ci: float = 0.95, measures: Iterable[str] | None = None
) -> pd.DataFrame:
    """Return the differences as text, ``difference ±half width``, with ``n.s.`` where not significant."""
    found = differences(runs, baseline, ci, chosen(measures))
    cells = {
        heading(str(name)): [_difference_cell(row) for row in part.to_dict("records")]
        for name, part in found.groupby("measure", sort=False)
    }
    return pd.DataFrame(cells, index=pd.Index(found["policy"].unique(), name="policy"))


def _difference_cell(row: Mapping[Hashable, Any]) -> str:
    about = Interval(row["difference"], row["low"], row["high"], row["n"])
    return in_text(row["measure"], about, signed=True) + ("" if row["significant"] else " n.s.")


def told_apart(runs: pd.DataFrame, measure: str, ci: float = 0.95) -> set[frozenset[str]]:
    """Return the pairs of policies that differ significantly, corrected over all pairs.

    All pairs, so that a claim about whichever policy came out best is covered too.
    """
    pairs = list(combinations(policies(runs), 2))
    adjusted = holm(pair_difference(runs, measure, *pair, ci).p_value for pair in pairs)
    return {frozenset(pair) for pair, p in zip(pairs, adjusted, strict=True) if p < 1 - ci}


def check_policy(name: str, known: list[str]) -> None:
    """Refuse a label that no policy has.

    Raises:
        ConfigError: there is none of that name.
    """
    if name not in known:
        raise ConfigError(
            f"no policy is called {name!r}{did_you_mean(str(name), known)}; there are: {', '.join(known)}"
        )


def check_ci(ci: float) -> None:
    """Refuse a confidence level that is not between 0 and 1.

    Raises:
        ConfigError: it is not.
    """
    if not 0 < ci < 1:
        raise ConfigError(f"ci: a confidence level lies between 0 and 1, such as 0.95; not {ci!r}")
