"""How long attempts took: distributions fitted by maximum likelihood, with what was cut short as such."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from jobsim.core.time import SECOND, Duration
from jobsim.models.service import Constant, ExponentialService, Gamma, Lognormal, Service, Weibull
from jobsim.models.service_bounded import Quantiles
from jobsim.sim.history.lives import Attempts

Floats: TypeAlias = NDArray[np.float64]

MOST: Final = 20_000
"""Durations that are fitted to; of more, every so-manieth: their likelihood would tell no more."""

FAR: Final = 0.05
"""The distance from the data beyond which no distribution is taken for a description of them."""

ENOUGH: Final = 30
"""Durations below which a shape cannot be told: there, the exponential distribution is taken."""

_LEAST_S: Final = 5e-7  # half a microsecond: what the clock shows as nothing took something
_STEADY: Final = 1e-3
_CV_MOST: Final = 1_000.0
_POINTS: Final = (*np.linspace(0, 0.99, 100), 0.995, 0.999, 1.0)


class Candidate(NamedTuple):
    """A distribution as it fits best: its Akaike criterion, and its largest distance from the data's own."""

    name: str
    aic: float
    distance: float
    model: Service


@dataclass(frozen=True, slots=True)
class ServiceFit:
    """What describes service times best, of all `candidates`.

    `seen_s` are the durations of attempts that ended by themselves; those of `cut_s` lasted longer.
    """

    model: Service
    chosen: str
    candidates: tuple[Candidate, ...]
    seen_s: Floats
    cut_s: Floats
    remark: str = ""

    @property
    def distance(self) -> float:
        """The Kolmogorov-Smirnov distance of what was chosen from the data; NaN where there is none."""
        return next((c.distance for c in self.candidates if c.name == self.chosen), math.nan)


def fit_service(attempts: Attempts) -> ServiceFit:
    """Fit the service times of one kind of job.

    Attempts that were lost, timed out, released, or still ran are cut short: they took longer than they
    were seen to. Those that failed tell nothing of how long success takes, and are left out.
    """
    seen = np.maximum(attempts.lasted_s[attempts.ended("succeeded")], _LEAST_S)
    cut = attempts.lasted_s[attempts.ended("lost", "timed_out", "released", "running")]
    cut, remark = cut[cut > _LEAST_S], ""
    if not len(seen):
        seen = np.maximum(attempts.lasted_s[attempts.ended("failed")], _LEAST_S)
        remark = "no attempt succeeded: those that failed are taken"
    if not len(seen):
        return ServiceFit(
            Constant(value=Duration(0)), "constant", (), seen, cut, "no attempt ended: not known"
        )
    seen, cut = _thinned(seen), _thinned(cut)
    if np.ptp(seen) <= _STEADY * seen.mean() and not (cut > seen.max() * (1 + _STEADY)).any():
        return ServiceFit(Constant(value=_duration(seen.mean())), "constant", (), seen, cut, remark)
    found = sorted(_candidates(seen, cut), key=lambda candidate: candidate.aic)
    if len(seen) >= ENOUGH and found[0].distance > FAR:
        return ServiceFit(_empirical(seen, cut), "empirical", tuple(found), seen, cut, remark)
    return ServiceFit(found[0].model, found[0].name, tuple(found), seen, cut, remark)


def _thinned(values: Floats) -> Floats:
    return values[:: -(-len(values) // MOST) or 1]


def _duration(seconds: float) -> Duration:
    return Duration(max(1, round(seconds * SECOND)))


def _candidates(seen: Floats, cut: Floats) -> list[Candidate]:
    data = stats.CensoredData(uncensored=seen, right=cut)
    own = _own_distribution(seen, cut)
    families = _FAMILIES if len(seen) >= ENOUGH else _FAMILIES[:1]
    found = []
    for name, family, model in families:
        shape, scale = _fitted(family, data, seen, cut)
        frozen = family(*shape, loc=0, scale=scale)
        likelihood = float(frozen.logpdf(seen).sum() + frozen.logsf(cut).sum())
        mean, deviation = float(frozen.mean()), float(frozen.std())
        if math.isfinite(likelihood) and math.isfinite(mean) and mean > 0:
            cv = min(deviation / mean, _CV_MOST)
            aic = 2 * (len(shape) + 1) - 2 * likelihood
            distance = float(np.abs(frozen.cdf(own[0])[:, None] - own[1]).max())
            found.append(Candidate(name, aic, distance, model(_duration(mean), cv)))
    return found


def _fitted(
    family: Any, data: stats.CensoredData, seen: Floats, cut: Floats
) -> tuple[tuple[float, ...], float]:
    """Return shape and scale of greatest likelihood; the exponential's is known in closed form.

    Source: Lawless, "Statistical Models and Methods for Lifetime Data", 2003, chapters 4 and 5.
    """
    if family is stats.expon:
        return (), float((seen.sum() + cut.sum()) / len(seen))
    *shape, _, scale = family.fit(data if len(cut) else seen, floc=0)
    return tuple(map(float, shape)), float(scale)


def _own_distribution(seen: Floats, cut: Floats) -> tuple[Floats, Floats]:
    """Return the durations and the share at most as long, just before and at each; shape (n,) and (n, 2).

    Kaplan and Meier's estimate, which knows what was cut short.
    Source: Kaplan & Meier, "Nonparametric estimation from incomplete observations", JASA 53, 1958.
    """
    own = stats.ecdf(stats.CensoredData(uncensored=seen, right=cut)).cdf
    before = np.concatenate(([0.0], own.probabilities[:-1]))
    return own.quantiles, np.stack((before, own.probabilities), axis=1)


def _empirical(seen: Floats, cut: Floats) -> Quantiles:
    """Return the quantiles of the data; the longest seen stands for all that were cut beyond."""
    at, shares = _own_distribution(seen, cut)
    quantiles = np.interp(_POINTS, shares[:, 1], at, left=at[0], right=at[-1])
    points = [(round(float(p), 6), _duration(q)) for p, q in zip(_POINTS, quantiles, strict=True)]
    return Quantiles(points=points)


_FAMILIES: Final[tuple[tuple[str, Any, Callable[[Duration, float], Service]], ...]] = (
    ("exponential", stats.expon, lambda mean, _: ExponentialService(mean=mean)),
    ("lognormal", stats.lognorm, lambda mean, cv: Lognormal(mean=mean, cv=cv)),
    ("gamma", stats.gamma, lambda mean, cv: Gamma(mean=mean, cv=cv)),
    ("Weibull", stats.weibull_min, lambda mean, cv: Weibull(mean=mean, cv=cv)),
)
