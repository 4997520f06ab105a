"""What befell attempts: outages, a rate of failure between them, and jobs that could never succeed."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from jobsim.analysis.arrays import Flags, Ints
from jobsim.core.errors import ConfigError
from jobsim.core.events import EventLog
from jobsim.core.outcome import Error
from jobsim.core.time import SECOND, Duration
from jobsim.models.failures import FailureModel, Independent, Outage, Permanent
from jobsim.models.fields import as_error
from jobsim.sim.history.lives import Attempts, Window
from jobsim.sim.history.outages import Found, find_outages

Floats = NDArray[np.float64]

_ROUNDS: Final = 4
_ERRORS: Final = 4  # kinds of error that are told apart
_RARE: Final = 0.02  # the share of failures below which a kind of error is counted with the commonest
_SURE: Final = 6.0  # twice the gain in log likelihood from which jobs that never succeed are believed in
_STEADY: Final = 0.25  # the relative spread below which failing takes a time of its own


@dataclass(frozen=True, slots=True)
class FailureFit:
    """What describes failures: the `models`, and the outages among them as they were found.

    `rate` is the share of attempts that fail between outages, `permanent` the share of jobs that never
    succeed; `doomed` are the lives that are taken for such jobs.
    """

    models: tuple[FailureModel, ...]
    outages: tuple[Found, ...]
    rate: float
    permanent: float
    doomed: Ints
    trials: int


def fit_failures(attempts: Mapping[str, Attempts], window: Window, log: EventLog) -> dict[str, FailureFit]:
    """Fit the failures of each kind of job, given its attempts.

    Attempts that were lost, released or cancelled are no trials: they did not end by themselves. One that
    timed out failed. Kinds that fail with the same error have their outages in common, as far as their own
    attempts agree: together they tell more of when an outage began and ended.
    """
    trials = {kind: _trials(own) for kind, own in attempts.items()}
    found = {kind: _fitted(own, window, log) for kind, own in trials.items()}
    for kinds in _with_one_error(trials, log):
        if any(found[kind].outages for kind in kinds):
            shared = _shared([(trials[kind], found[kind].doomed) for kind in kinds], window)
            for kind in kinds:
                agreed = tuple(outage for outage in shared if _agrees(trials[kind], outage))
                found[kind] = _fitted(trials[kind], window, log, agreed)
    return found


def _trials(attempts: Attempts) -> Attempts:
    return attempts[attempts.ended("succeeded", "failed", "timed_out")]


def _with_one_error(trials: Mapping[str, Attempts], log: EventLog) -> Iterator[list[str]]:
    """Yield the kinds whose commonest error is the same, where there are several."""
    kinds: dict[str, list[str]] = {}
    for kind, own in trials.items():
        failures = own[~own.ended("succeeded")]
        if len(failures.life):
            kinds.setdefault(str(_error(failures, log)), []).append(kind)
    yield from (several for several in kinds.values() if len(several) > 1)


def _shared(members: Sequence[tuple[Attempts, Ints]], window: Window) -> tuple[Found, ...]:
    """Return the outages of several kinds together, without the lives that are doomed anyway."""
    usual = [trials[~np.isin(trials.life, doomed)] for trials, doomed in members]
    started = np.concatenate([trials.started_s for trials in usual])
    failed = np.concatenate([~trials.ended("succeeded") for trials in usual])
    life = np.concatenate([trials.life for trials in usual])
    order = np.argsort(started, kind="stable")
    return find_outages(started[order], failed[order], life[order], window.whole_s)


def _agrees(trials: Attempts, outage: Found) -> bool:
    """Return whether attempts failed in an outage, too, as far as there were any."""
    inside = (trials.started_s >= outage.start_s) & (trials.started_s < outage.end_s)
    failed = ~trials.ended("succeeded")[inside]
    return not len(failed) or float(failed.mean()) >= outage.probability / 2


def _fitted(
    trials: Attempts, window: Window, log: EventLog, known: tuple[Found, ...] | None = None
) -> FailureFit:
    """Fit the failures of one kind: outages, unless they are `known`, and doomed jobs in turns."""
    failed = ~trials.ended("succeeded")
    if not failed.any():
        return FailureFit((), (), 0.0, 0.0, np.zeros(0, dtype=np.int64), len(failed))
    doomed = np.unique(trials.life[trials.final])
    outages, share, rate = known or (), 0.0, 0.0
    for _ in range(_ROUNDS):
        before = (len(doomed), outages)
        if known is None:
            fit = ~np.isin(trials.life, doomed)
            outages = find_outages(trials.started_s[fit], failed[fit], trials.life[fit], window.whole_s)
        share, rate, doomed = _mixture(trials, failed, _between(trials.started_s, outages))
        if (len(doomed), outages) == before:
            break
    models = tuple(_models(trials, failed, outages, share, rate, doomed, log))
    return FailureFit(models, outages, rate, share, doomed, len(failed))


def _between(started_s: Floats, outages: Sequence[Found]) -> Flags:
    """Return which attempts started when no outage was."""
    inside = np.zeros(len(started_s), dtype=bool)
    for outage in outages:
        inside |= (started_s >= outage.start_s) & (started_s < outage.healed_s)
    return ~inside


def _mixture(trials: Attempts, failed: Flags, between: Flags) -> tuple[float, float, Ints]:
    """Return the share of jobs that never succeed, the rate of failure of the others, and the former.

    A life's attempts between outages end, with that share, all in failure; else each with the rate. Both by
    expectation and maximisation; lives whose error was beyond retry are of the first sort.
    Source: Dempster, Laird & Rubin, "Maximum likelihood from incomplete data via the EM algorithm",
    Journal of the Royal Statistical Society B 39, 1977.
    """
    lives, place = np.unique(trials.life[between], return_inverse=True)
    tries = np.bincount(place, minlength=len(lives)).astype(np.int64)
    failures = np.bincount(place, weights=failed[between], minlength=len(lives)).astype(np.float64)
    final = np.unique(trials.life[trials.final])
    surely = np.isin(lives, final)
    hopeless = (tries == failures) & ~surely
    if not len(lives):
        return 0.0, 0.0, final
    if hopeless.all() and (tries > 1).any():  # whether for good or each by chance makes no difference
        return 1.0, 0.0, lives
    share, rate, weight = _maximised(tries, failures, surely, hopeless)
    alone = _rate(tries, failures, surely.astype(float))
    gain = _likelihood(tries, failures, surely, hopeless, share, rate) - _likelihood(
        tries, failures, surely, hopeless, surely.mean(), alone
    )
    if 2 * gain < _SURE:
        share, rate, weight = float(surely.mean()), alone, surely.astype(float)
    return share, rate, np.union1d(final, lives[weight > 0.5])


def _maximised(tries: Ints, failures: Floats, surely: Flags, hopeless: Flags) -> tuple[float, float, Floats]:
    weight = np.where(surely, 1.0, np.where(hopeless & (tries > 1), 0.9, 0.0))
    share = rate = 0.0
    for _ in range(500):
        before = (share, rate)
        share, rate = float(weight.mean()), _rate(tries, failures, weight)
        never = share / np.maximum(share + (1 - share) * rate**tries, 1e-300)
        weight = np.where(surely, 1.0, np.where(hopeless, never, 0.0))
        if abs(share - before[0]) + abs(rate - before[1]) < 1e-9:
            break
    return share, rate, weight


def _rate(tries: Ints, failures: Floats, weight: Floats) -> float:
    """Return the rate of failure of attempts, of lives in so far as they are not doomed."""
    total = float(((1 - weight) * tries).sum())
    return float(((1 - weight) * failures).sum()) / total if total > 0 else 0.0


def _likelihood(
    tries: Ints, failures: Floats, surely: Flags, hopeless: Flags, share: float, rate: float
) -> float:
    """Return the log likelihood of lives that end as these did."""
    with np.errstate(divide="ignore"):
        usual = (1 - share) * rate**failures * (1 - rate) ** (tries - failures)
        each = np.where(surely, share, usual + share * hopeless)
        return float(np.log(np.maximum(each, 1e-300)).sum())


def _models(
    trials: Attempts,
    failed: Flags,
    outages: Sequence[Found],
    share: float,
    rate: float,
    doomed: Ints,
    log: EventLog,
) -> Iterator[FailureModel]:
    """Yield the models: first what strikes a job for good, then outages, then the usual failures."""
    lost = np.isin(trials.life, doomed)
    between = _between(trials.started_s, outages)

    def failures(where: Flags) -> Attempts:
        chosen = trials[failed & where]
        return chosen if len(chosen.life) else trials[failed]  # nothing of this kind there

    if share > 0:
        chosen = failures(lost)
        yield Permanent(share=min(1.0, share), error=_error(chosen, log), takes=_takes(chosen, trials))
    for outage in outages:
        inside = (trials.started_s >= outage.start_s) & (trials.started_s < outage.healed_s)
        chosen = failures(~lost & inside)
        yield Outage(
            start=_duration(outage.start_s),
            duration=Duration(max(1, _duration(outage.end_s) - _duration(outage.start_s))),
            recovery=_duration(outage.healed_s - outage.end_s),
            probability=outage.probability,
            error=_error(chosen, log),
            takes=_takes(chosen, trials),
        )
    if rate > 0:
        yield from _usual(failures(~lost & between), trials, rate, log)


def _usual(failures: Attempts, trials: Attempts, rate: float, log: EventLog) -> Iterator[Independent]:
    """Yield a model for each kind of error. The first that strikes counts, so that later ones see fewer."""
    kinds = np.array([why.error.partition(":")[0] for why in log.whys])[failures.error]
    common = Counter(kinds.tolist()).most_common(_ERRORS)
    told = [kind for kind, times in common if times >= _RARE * len(kinds)] or [common[0][0]]
    left = 1.0
    for place, kind in enumerate(told):
        own = kinds == kind
        if place == 0:
            own |= ~np.isin(kinds, told)
        part = rate * float(own.mean())
        chosen = failures[own]
        yield Independent(
            probability=min(1.0, part / left), error=_error(chosen, log), takes=_takes(chosen, trials)
        )
        left -= part


def _error(failures: Attempts, log: EventLog) -> Error:
    """Return the commonest error; of a class whose messages all differ, the class alone."""
    texts = Counter(log.whys[why].error for why in failures.error.tolist())
    text, times = texts.most_common(1)[0]
    if times == 1 and len(texts) > 1:
        text = Counter(text.partition(":")[0] for text in texts).most_common(1)[0][0]
    try:
        return as_error(text)
    except ConfigError:
        return as_error("RuntimeError: recorded failure")


def _takes(failures: Attempts, trials: Attempts) -> Duration | None:
    """Return how long a failing attempt takes; `None` where it is as long as one that succeeds."""
    own, usual = failures.lasted_s, trials.lasted_s[trials.ended("succeeded")]
    mean, spread = float(own.mean()), float(own.std())
    if spread <= _STEADY * mean or len(usual) == 0:
        return _duration(float(np.median(own)))
    ordered = np.sort(usual)
    shares = np.searchsorted(ordered, np.sort(own), side="right") / len(ordered)
    distance = float(np.abs(shares - (np.arange(len(own)) + 0.5) / len(own)).max())
    # Smirnov's test of equal distributions, at one in a thousand.
    limit = 1.95 * math.sqrt(1 / len(own) + 1 / len(usual))
    return None if distance <= limit else _duration(mean)


def _duration(seconds: float) -> Duration:
    return Duration(round(max(0.0, seconds) * SECOND))
