"""Who worked: how many workers with how many slots, their lease, and how often they died."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from jobsim.analysis import arrays
from jobsim.analysis.arrays import NEVER, OUTCOMES, History, Ints
from jobsim.core.events import CODE, EventLog
from jobsim.core.time import MILLISECOND, SECOND, Duration
from jobsim.core.transitions import Kind
from jobsim.models.workers import Crashes, Workers

_RESTART: Final = Duration(30 * SECOND)


@dataclass(frozen=True, slots=True)
class WorkersFit:
    """What the log tells of its workers: `seen` is how many names there were, `crashes` how many died.

    Slots are the most attempts that one worker ran at a time: it may have had more. So with the number of
    workers: those that never got a job are not seen.
    """

    model: Workers
    seen: int
    crashes: int
    busy_s: float


@dataclass(frozen=True, slots=True)
class _Lives:
    """One entry a worker that claimed something, in microseconds: its first claim, its last sign of life.

    Then whether it died at work, the most attempts that it ran at a time, and how long it ran any.
    """

    first: Ints
    last: Ints
    died: NDArray[np.bool_]
    most: Ints
    busy: Ints


def fit_workers(log: EventLog) -> WorkersFit:
    """Return workers like those that the log shows."""
    history = History.of(log)
    lives = _lives(history, log)
    lease = _lease(history)
    crashes = int(np.count_nonzero(lives.died))
    model = Workers(
        count=max(1, _usual_count(lives)),
        slots=max(1, int(lives.most.max(initial=1))),
        lease=lease,
        crash=_crashes(lives),
    )
    return WorkersFit(model, len(lives.first), crashes, float(lives.busy.sum() / SECOND))


def _lives(history: History, log: EventLog) -> _Lives:
    found, events = history.attempts, arrays.records(log)
    end = int(events["at"].max()) if len(events) else 0
    lost = found.outcome == OUTCOMES.index("lost")
    rows = np.array(list(_each(history, events, lost, end)), dtype=np.int64).reshape(-1, 5)
    first, last, died, most, busy = rows.T
    return _Lives(first, last, died.astype(bool), most, busy)


def _each(
    history: History, events: NDArray[np.void], lost: NDArray[np.bool_], end: int
) -> Iterator[tuple[int, int, bool, int, int]]:
    found = history.attempts
    signs = events[(events["worker"] > 0) & np.isin(events["kind"], _SIGNS)]
    for worker in np.unique(found.worker):
        own = found.worker == worker
        started = found.started[own]
        ended = np.where(lost[own] | (found.ended[own] == NEVER), -1, found.ended[own])
        last = max(int(ended.max()), int(signs["at"][signs["worker"] == worker].max(initial=0)))
        # Dead is who lost an attempt and was never heard of again; a pause is survived.
        died = bool((lost[own] & (found.started[own] <= last)).any()) and last < end
        until = np.where(ended < 0, last, ended)
        most, busy = _overlap(started, np.maximum(until, started))
        yield int(started.min()), last, died and _silent(found, own, lost, last), most, busy


_SIGNS: Final = (CODE[Kind.CLAIM], CODE[Kind.EXTEND], CODE[Kind.REFUSE])


def _silent(found: arrays.Attempts, own: NDArray[np.bool_], lost: NDArray[np.bool_], last: int) -> bool:
    """Return whether the worker gave no sign after the lease of a lost attempt was over."""
    return bool((found.ended[own & lost] > last).all())


def _overlap(started: Ints, ended: Ints) -> tuple[int, int]:
    """Return the most that ran at a time, and for how long at least one did (microseconds)."""
    at = np.concatenate((started, ended))
    change = np.concatenate((np.ones(len(started)), -np.ones(len(ended)))).astype(np.int64)
    order = np.lexsort((change, at))  # an end makes room before a start at the same moment
    level = np.cumsum(change[order])
    spans = np.diff(at[order])
    return int(level.max(initial=0)), int(spans[level[:-1] > 0].sum())


def _usual_count(lives: _Lives) -> int:
    """Return the number of workers that was there for most of the time."""
    at = np.concatenate((lives.first, lives.last))
    if not len(at):
        return 1
    change = np.concatenate((np.ones(len(lives.first)), -np.ones(len(lives.last)))).astype(np.int64)
    order = np.argsort(at, kind="stable")
    level, spans = np.cumsum(change[order])[:-1], np.diff(at[order])
    return int(np.bincount(level, weights=spans).argmax()) if spans.sum() else len(lives.first)


def _lease(history: History) -> Duration:
    """Return the commonest length of a lease at its claim."""
    moved = history.moves
    claims = moved.of(Kind.CLAIM)
    lengths, times = np.unique(moved.due[claims] - moved.at[claims], return_counts=True)
    if not len(lengths):
        return Duration(60 * SECOND)
    # Live, a claim is a moment older than its commit; the setting was a round number.
    common = int(lengths[times.argmax()])
    return Duration(max(MILLISECOND, round(common / MILLISECOND) * MILLISECOND))


def _crashes(lives: _Lives) -> Crashes | None:
    """Return how often a worker dies: only who dies at work is seen, so that time at work is what counts."""
    crashes = int(np.count_nonzero(lives.died))
    if not crashes:
        return None
    every = Duration(round(int(lives.busy.sum()) / crashes))
    return Crashes(every=max(every, Duration(1)), restart_after=_restart(lives))


def _restart(lives: _Lives) -> Duration:
    """Return the median time from a death until another worker came, each newcomer for one death."""
    deaths, births = np.sort(lives.last[lives.died]), np.sort(lives.first)
    waits, place = [], 0
    for death in deaths:
        place = max(place, int(np.searchsorted(births, death, side="right")))
        if place < len(births):
            waits.append(int(births[place] - death))
            place += 1
    return Duration(int(np.median(waits))) if waits else _RESTART
