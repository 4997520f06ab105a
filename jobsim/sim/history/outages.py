"""Outages in a sequence of attempts: where failures run so long that no constant rate explains them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from jobsim.analysis.arrays import Flags, Ints

Floats = NDArray[np.float64]

_ROUNDS: Final = 25
_FEWEST: Final = 5  # failures, of three jobs at least, from which there is an outage at all
_JOBS: Final = 3
_MORE: Final = 0.2  # by how much more often attempts fail in an outage
_STEPS: Final = 24


@dataclass(frozen=True, slots=True)
class Found:
    """An outage: attempts fail with `probability`, which falls linearly to 0 from `end_s` to `healed_s`.

    Seconds from the beginning of the window. Nobody saw one come before which no attempt was made.
    """

    start_s: float
    end_s: float
    healed_s: float
    probability: float
    came: bool = True


def find_outages(started_s: Floats, failed: Flags, life: Ints, length_s: float) -> tuple[Found, ...]:
    """Return the outages among attempts, ordered by start.

    A hidden chain of two levels, each with a constant probability of failure: the likeliest path, then the
    levels from the path, in turns. Each change costs as much as the Bayesian criterion asks of two
    parameters, so that a run that chance explains is none.
    Source: Elliott, "Estimates of error rates for codes on burst-noise channels", Bell System Technical
    Journal 42, 1963; Juang & Rabiner, "The segmental K-means algorithm", IEEE Trans. ASSP 38, 1990.
    """
    size = len(failed)
    if size < 2 * _FEWEST or failed.all() or np.count_nonzero(failed) < _FEWEST:
        return ()
    low, high = min(0.3, 0.5 * float(failed.mean())), 0.9
    bad = np.zeros(size, dtype=bool)
    for _ in range(_ROUNDS):
        path = _likeliest(failed, low, high, math.log(size))
        if (path == bad).all():
            break
        bad = path
        low, high = _level(failed[~bad], 0.0), _level(failed[bad], 1.0)
        low, high = min(low, high - _MORE / 2), max(high, low + _MORE)
        low, high = max(low, 0.5 / size), min(high, 1 - 0.5 / size)
    sequence = Trials(started_s, failed, life, bad, low, length_s)
    return tuple(_apart(sequence.refined(*run) for run in _runs(bad) if sequence.clear(*run)))


def _likeliest(failed: Flags, low: float, high: float, cost: float) -> Flags:
    """Return the likeliest path through the two levels; a change of level costs `cost`.

    Source: Viterbi, "Error bounds for convolutional codes", IEEE Trans. Information Theory 13, 1967.
    """
    gain, loss = math.log(high / low), math.log((1 - high) / (1 - low))
    lead = 0.0  # by how much the best path that is now in the bad level is likelier
    leads = []
    for failure in failed.tolist():
        leads.append(lead)
        lead = min(max(lead, -cost), cost) + (gain if failure else loss)
    state, path = lead > 0, np.zeros(len(failed), dtype=bool)
    for place in range(len(leads) - 1, -1, -1):
        path[place] = state
        state = leads[place] >= -cost if state else leads[place] > cost
    return path


def _level(failed: Flags, prior: float) -> float:
    return (float(failed.sum()) + prior) / (len(failed) + 1)


def _runs(bad: Flags) -> Iterator[tuple[int, int]]:
    """Yield where each run of the bad level begins and ends."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], bad, [False])).astype(np.int8)))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


@dataclass(frozen=True, slots=True)
class Trials:
    """Attempts by start, those of the `bad` level, and the probability of failure `low` of the others."""

    started_s: Floats
    failed: Flags
    life: Ints
    bad: Flags
    low: float
    length_s: float

    def clear(self, first: int, last: int) -> bool:
        """Return whether a run is long and bad enough to be an outage, and not one job's."""
        failed, low = self.failed[first:last], self.low
        share = float(failed.mean())
        few = failed.sum() < _FEWEST or len(np.unique(self.life[first:last][failed])) < _JOBS
        if few or share < low + _MORE:
            return False
        odds = share * math.log(share / low)
        if share < 1:
            odds += (1 - share) * math.log((1 - share) / (1 - low))
        return len(failed) * odds > 2 * math.log(len(self.failed))

    def refined(self, first: int, last: int) -> Found:
        """Return the outage of the attempts from `first` until `last`; whether and how it healed slowly, too.

        It began and ended halfway between the attempts around its edges. A slow recovery is taken for one
        only where its likelihood is greater by what the Bayesian criterion asks of a parameter.
        """
        at = self.started_s
        start = (
            float((at[first - 1] + at[first]) / 2) if first else max(0.0, float(1.5 * at[0] - 0.5 * at[1]))
        )
        end = (at[last - 1] + at[last]) / 2 if last < len(at) else self.length_s
        end = max(float(end), math.nextafter(float(at[last - 1]), math.inf))
        span = end - start
        near = _Surroundings.of(self, first, last, int(np.searchsorted(at, end + 2 * span)))
        best = near.tried(start, end, end)
        most = near.likelihood(best) + 0.5 * math.log(len(near.at))
        for end_s in np.linspace(start + 0.2 * span, end, _STEPS).tolist():
            if np.count_nonzero(near.at < end_s) < _FEWEST:
                continue
            for recovery in (np.geomspace(0.02, 1.5, _STEPS) * span).tolist():
                found = near.tried(start, end_s, min(end_s + recovery, self.length_s))
                likelihood = near.likelihood(found)
                if likelihood > most:
                    best, most = found, likelihood
        return replace(best, came=first > 0)


@dataclass(frozen=True, slots=True)
class _Surroundings:
    """The attempts of an outage and after it, and how many of the others, in no outage, failed or did not."""

    at: Floats
    failed: Flags
    others: int
    failures: int
    later: tuple[tuple[int, int], ...]
    """Where further outages begin and end among them."""

    @classmethod
    def of(cls, trials: Trials, first: int, last: int, end: int) -> "_Surroundings":
        """Return those of the attempts from `first` until `end`, of an outage until `last`."""
        apart = ~trials.bad
        apart[first:end] = False
        failures = int(np.count_nonzero(trials.failed & apart))
        near = slice(first, end)
        runs = (run for run in _runs(trials.bad) if last < run[0] < end and trials.clear(*run))
        later = tuple((start - first, min(stop, end) - first) for start, stop in runs)
        return cls(trials.started_s[near], trials.failed[near], int(apart.sum()), failures, later)

    def usual(self, healed_s: float) -> float:
        """Return the probability of failure outside of an outage that is over at `healed_s`."""
        after = self.failed[np.searchsorted(self.at, healed_s) :]
        return (self.failures + float(after.sum()) + 0.5) / (self.others + len(after) + 1)

    def tried(self, start_s: float, end_s: float, healed_s: float) -> Found:
        """Return an outage of these times, with the probability that suits it best."""
        share, usual = float(self.failed[self.at < end_s].mean()), self.usual(healed_s)
        return Found(start_s, end_s, healed_s, min(1.0, max(0.0, (share - usual) / (1 - usual))))

    def likelihood(self, found: Found) -> float:
        """Return the log likelihood of all attempts, less what further outages cost: three parameters."""
        usual = self.usual(found.healed_s)
        healing = max(found.healed_s - found.end_s, 1e-9)
        severity = np.where(self.at < found.end_s, 1.0, np.clip(1 - (self.at - found.end_s) / healing, 0, 1))
        fails = np.clip(1 - (1 - usual) * (1 - found.probability * severity), 1e-6, 1 - 1e-6)
        apart = [run for run in self.later if self.at[run[0]] >= found.healed_s]
        for start, stop in apart:
            fails[start:stop] = np.clip(self.failed[start:stop].mean(), 1e-6, 1 - 1e-6)
        near = float(np.log(np.where(self.failed, fails, 1 - fails)).sum())
        near -= 1.5 * len(apart) * math.log(len(self.at))
        successes = self.others - self.failures
        return near + self.failures * math.log(usual) + successes * math.log1p(-usual)


def _apart(found: Iterator[Found]) -> Iterator[Found]:
    """Yield the outages but for those that began while an earlier one healed."""
    over = -math.inf
    for outage in found:
        if outage.start_s >= over:
            yield outage
            over = outage.healed_s
