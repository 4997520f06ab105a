"""When jobs came: on the beat, at random, at a rate that changed with time, or in bursts."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from jobsim.core.time import SECOND, Duration
from jobsim.models.arrivals import Arrivals, Batches, Deterministic, Listed, Poisson
from jobsim.models.arrivals_varying import Mmpp, Piecewise
from jobsim.sim.history.bursts import Bursts, fit_bursts

Floats = NDArray[np.float64]
ENOUGH: Final = 20
"""Arrivals below which no process can be told: they are listed as they were."""

FAR: Final = 0.1
"""The distance from the data beyond which no process is taken for a description of them."""

_BEAT: Final = 0.01  # the relative spread of gaps below which arrivals keep the beat
_BINS: Final = (40, 6_000)
_PER_WINDOW: Final = 15
_WINDOWS: Final = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96)
_UNEVEN: Final = 3.0  # standard deviations by which counts vary too much for chance
_TOGETHER: Final = (
    0.05  # the share of arrivals with another at the same microsecond: no process of single ones
)


class Candidate(NamedTuple):
    """A process as it fits best: its Bayesian criterion, and how far its gaps are from the data's."""

    name: str
    bic: float
    distance: float
    model: Arrivals


@dataclass(frozen=True, slots=True)
class ArrivalFit:
    """What describes arrivals best, of all `candidates`.

    `dispersion` is the variance of counts over their mean, in windows that expect about ten: 1 at random,
    more in bursts, less on the beat.
    """

    model: Arrivals
    chosen: str
    candidates: tuple[Candidate, ...]
    at_s: Floats
    length_s: float
    dispersion: float

    @property
    def distance(self) -> float:
        """The distance of what was chosen from the data; NaN where there is none."""
        return next((c.distance for c in self.candidates if c.name == self.chosen), math.nan)


def fit_arrivals(at_s: Floats, length_s: float) -> ArrivalFit:
    """Fit the arrivals at `at_s`, in order, of a window of `length_s`.

    The candidates are compared by the Bayesian criterion on the same counts: a Poisson process, one whose
    rate is constant in each of some windows of equal length, and one that changes at random between two
    rates (MMPP-2). Where none is near the data, where jobs came several at a time, or where they were
    few, they are listed as they were.
    """
    dispersion = _dispersion(at_s, length_s)
    gaps = np.diff(at_s)
    if len(gaps) > 1 and gaps.mean() > 0 and gaps.std() <= _BEAT * gaps.mean():
        beat = Deterministic(every=_duration(gaps.mean()), start=_duration(at_s[0]), jobs=len(at_s))
        return ArrivalFit(beat, "on the beat", (), at_s, length_s, dispersion)
    if np.count_nonzero(gaps == 0) > _TOGETHER * len(gaps):
        return _in_batches(at_s, length_s, dispersion)
    if len(at_s) < ENOUGH:
        return ArrivalFit(listed(at_s), "as they were", (), at_s, length_s, dispersion)
    found = sorted(_candidates(at_s, length_s), key=lambda candidate: candidate.bic)
    if found[0].distance > max(FAR, 1.95 / math.sqrt(len(at_s))):
        return ArrivalFit(listed(at_s), "as they were", tuple(found), at_s, length_s, dispersion)
    return ArrivalFit(found[0].model, found[0].name, tuple(found), at_s, length_s, dispersion)


def _in_batches(at_s: Floats, length_s: float, dispersion: float) -> ArrivalFit:
    """Fit batches, all of one size or of a geometric one, that come as another process; else list them."""
    starts, sizes = np.unique(at_s, return_counts=True)
    inner = fit_arrivals(starts, length_s)
    mean, most = float(sizes.mean()), np.arange(sizes.max() + 1)
    more = 1 - np.searchsorted(np.sort(sizes), most, side="right") / len(sizes)
    steady = bool((sizes == sizes[0]).all())
    apart = float(np.abs((1 - 1 / mean) ** most - more).max())
    near = steady or apart <= max(FAR, 1.63 / math.sqrt(len(sizes)))
    if inner.chosen == "as they were" or isinstance(inner.model, Batches) or not near:
        return ArrivalFit(listed(at_s), "as they were", (), at_s, length_s, dispersion)
    size: dict[str, Any] = {"size": int(sizes[0])} if steady else {"mean_size": mean}
    text = f"batches of {sizes[0] if steady else f'{mean:.3g} on average'}, {inner.chosen}"
    found = tuple(candidate._replace(name=text) for candidate in inner.candidates[:1])
    return ArrivalFit(Batches(of=inner.model, **size), text, found, at_s, length_s, dispersion)


def listed(at_s: Floats) -> Arrivals:
    """Return the arrivals as they were."""
    return Listed(times=[Duration(round(at * SECOND)) for at in at_s.tolist()])


def _duration(seconds: float) -> Duration:
    return Duration(max(1, round(seconds * SECOND)))


def _dispersion(at_s: Floats, length_s: float) -> float:
    windows = len(at_s) // 10
    if windows < 2 or length_s <= 0:
        return math.nan
    counts = np.histogram(at_s, windows, (0, length_s))[0]
    return float(counts.var(ddof=1) / counts.mean())


def _candidates(at_s: Floats, length_s: float) -> Iterator[Candidate]:
    size = int(np.clip(len(at_s), *_BINS))
    counts = np.histogram(at_s, size, (0, length_s))[0].astype(float)
    mean = len(at_s) / length_s
    yield _candidate("Poisson", at_s, counts, np.array([mean]), length_s, Poisson(rate=mean))
    for windows in _WINDOWS:
        if len(at_s) >= _PER_WINDOW * windows:
            rates = np.histogram(at_s, windows, (0, length_s))[0] * windows / length_s
            yield _candidate(
                f"Poisson, {windows} rates", at_s, counts, rates, length_s, _piecewise(rates, length_s)
            )
    uneven = (counts.var(ddof=1) / counts.mean() - 1) * math.sqrt((size - 1) / 2)
    if uneven > _UNEVEN:
        bursts = fit_bursts(counts, length_s / size)
        yield _in_bursts(bursts, at_s, size)


def _candidate(
    name: str, at_s: Floats, counts: Floats, rates: Floats, length_s: float, model: Arrivals
) -> Candidate:
    """Return a Poisson process of `rates`, each over an equal part of the window."""
    parts = np.linspace(0, length_s, len(rates) + 1)
    expected = np.concatenate(([0.0], np.cumsum(rates * np.diff(parts))))
    of_bins = np.diff(np.interp(np.linspace(0, length_s, len(counts) + 1), parts, expected))
    likelihood = poisson_likelihood(counts, of_bins)
    # On the scale on which one arrival is expected a unit of time, gaps are exponential of mean 1.
    # Source: Brown et al., "The time-rescaling theorem", Neural Computation 14, 2002.
    gaps = np.sort(np.diff(np.interp(at_s, parts, expected)))
    bic = len(rates) * math.log(len(counts)) - 2 * likelihood
    return Candidate(name, bic, distance(-np.expm1(-gaps)), model)


def _in_bursts(bursts: Bursts, at_s: Floats, size: int) -> Candidate:
    rates, sojourns = bursts.rates, bursts.sojourns_s
    model = Mmpp(rates=rates, sojourns=[_duration(sojourns[0]), _duration(sojourns[1])])
    shares = bursts.gaps_within(np.sort(np.diff(at_s)))
    bic = 4 * math.log(size) - 2 * bursts.likelihood
    return Candidate("bursts (MMPP-2)", bic, distance(shares), model)


def poisson_likelihood(counts: Floats, expected: Floats) -> float:
    """Return the log likelihood of `counts` where so many were `expected`."""
    safe = np.maximum(expected, 1e-12)
    return float((counts * np.log(safe) - expected - gammaln(counts + 1)).sum())


def distance(shares: Floats) -> float:
    """Return the Kolmogorov-Smirnov distance of data whose ordered probabilities are `shares`."""
    size = len(shares)
    steps = np.arange(size + 1) / size
    return float(max(np.abs(shares - steps[1:]).max(), np.abs(shares - steps[:-1]).max()))


def _piecewise(rates: Floats, length_s: float) -> Piecewise:
    width = length_s / len(rates)
    return Piecewise(rates=[(_start(i * width), float(rate)) for i, rate in enumerate(rates)])


def _start(seconds: float) -> Duration:
    return Duration(round(seconds * SECOND))
