"""Outages that were found, as a model under which others like them come and go at random."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from jobsim.core.time import SECOND, Duration
from jobsim.models.failures import FailureModel, Outage
from jobsim.models.failures_phased import GilbertElliott
from jobsim.sim.history.failures import FailureFit
from jobsim.sim.history.outages import Found

FEWEST: Final = 3
"""The outages from which on there is something to tell of how often they come, and for how long."""


def recurring(fits: Mapping[str, FailureFit], whole_s: float) -> dict[str, FailureFit]:
    """Return the fits of all kinds with one Gilbert-Elliott model each in place of their outages.

    Kinds that had the same outages go through the same ones again. Fewer than `FEWEST` stay where they were.
    """
    kinds: dict[tuple[Found, ...], list[str]] = {}
    for kind, fit in fits.items():
        if len(fit.outages) >= FEWEST:
            kinds.setdefault(fit.outages, []).append(kind)
    again = dict(fits)
    for several in kinds.values():
        name = " and ".join(several) if len(several) > 1 else None
        for kind in several:
            again[kind] = replace(fits[kind], models=tuple(_models(fits[kind], whole_s, name)))
    return again


def _models(fit: FailureFit, whole_s: float, name: str | None) -> Iterator[FailureModel]:
    """Yield the models of `fit`, that of its outages where the first of them stood."""
    outages = [model for model in fit.models if isinstance(model, Outage)]
    for model in fit.models:
        if model is outages[0]:
            yield _gilbert_elliott(fit.outages, max(outages, key=lambda one: one.duration), whole_s, name)
        elif not isinstance(model, Outage):
            yield model


def _gilbert_elliott(
    found: Sequence[Found], longest: Outage, whole_s: float, name: str | None
) -> GilbertElliott:
    """Return the model under which what was found is likeliest; what fails between is another model's.

    The mean length of a state is all time in it over how often it was left; an outage that heals counts for
    half of that time. Error and duration of a failing attempt are those of the `longest`.
    Source: Cox & Oakes, "Analysis of Survival Data", 1984, section 3.2 (exponential times, some censored).
    """
    down = [one.end_s - one.start_s + (one.healed_s - one.end_s) / 2 for one in found]
    came = sum(one.came for one in found)
    went = sum(one.healed_s < whole_s for one in found)
    share = sum(one.probability * length for one, length in zip(found, down, strict=True)) / sum(down)
    return GilbertElliott(
        name=name,
        good=_seconds((whole_s - sum(down)) / came),
        bad=_seconds(sum(down) / went),
        failure_bad=share,
        error=longest.error,
        takes=longest.takes,
    )


def _seconds(length: float) -> Duration:
    return Duration(max(1, round(length * SECOND)))
