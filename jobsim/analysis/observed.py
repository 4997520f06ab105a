"""A run as measures see it: its decoded log, the world it ran in, and the levels that rise and fall in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from jobsim.analysis import arrays
from jobsim.analysis.arrays import Flags, History, Ints
from jobsim.analysis.calls import Calls
from jobsim.core.events import EventLog
from jobsim.core.time import SECOND, Instant

Floats = NDArray[np.float64]


class Outage(NamedTuple):
    """A window in which attempts fail, and when the gradual recovery after it is over; seconds."""

    start_s: float
    end_s: float
    healed_s: float


@dataclass(frozen=True, slots=True)
class Setting:
    """What a log does not say about its run: when it began and ended, and the world it ran in.

    Jobs arrive during the first `horizon_s` seconds; `slots` counts those of all workers, on
    average (0: not known); the times of `outages` count from `began`. A job was enqueued again up to
    `resubmits` times where it took too long.
    """

    began: Instant
    ended: Instant
    horizon_s: float
    slots: float = 0
    outages: tuple[Outage, ...] = ()
    resubmits: int = 0

    @classmethod
    def of(cls, log: EventLog) -> Self:
        """Return what can be said of a live log: from its first event to its last."""
        at = arrays.records(log)["at"]
        began, ended = (int(at.min()), int(at.max())) if len(at) else (0, 0)
        return cls(Instant(began), Instant(ended), (ended - began) / SECOND)

    @property
    def length_s(self) -> float:
        """The length of the run in seconds."""
        return (self.ended - self.began) / SECOND


@dataclass(frozen=True, slots=True)
class Level:
    """A number that is 0 at first and `value[i]` from the moment `at[i]` on, in microseconds."""

    at: Ints
    value: Ints

    @classmethod
    def of(cls, changes: tuple[Ints, Ints]) -> Self:
        """Return the level after changes at some moments, in any order; those of one moment are one."""
        moments, steps = changes
        order = np.argsort(moments, kind="stable")
        at, value = moments[order], np.cumsum(steps[order])
        last = np.append(at[1:] != at[:-1], np.ones(min(1, len(at)), dtype=bool))
        return cls(at[last], value[last])

    @property
    def peak(self) -> int:
        """The highest it ever was."""
        return int(self.value.max(initial=0))

    def average(self, from_: int, until: int) -> float:
        """Return the average over time between two moments; 0 over no time."""
        edges = np.append(np.clip(self.at, from_, until), until)
        area = float((np.diff(edges) * self.value).sum())
        return area / (until - from_) if until > from_ else 0.0

    def averages(self, edges: Ints) -> Floats:
        """Return the averages over time between neighbouring `edges`."""
        at, value = np.append(edges[0], self.at), np.append(0, self.value)
        areas = np.append(0, np.cumsum(np.diff(at) * value[:-1]))
        last = np.searchsorted(self.at, edges, side="right")
        averages: Floats = np.diff(areas[last] + (edges - at[last]) * value[last]) / np.diff(edges)
        return averages

    def at_moments(self, moments: Ints) -> Ints:
        """Return the level at each of `moments`, what happens at it included."""
        seen = np.searchsorted(self.at, moments, side="right")
        return np.concatenate(([0], self.value))[seen]

    def first_at_most(self, limit: float, after: int) -> float:
        """Return the first moment from `after` on at which the level is at most `limit`, else infinity."""
        now = np.searchsorted(self.at, after, side="right") - 1
        if now < 0 or self.value[now] <= limit:
            return after
        later = np.flatnonzero(self.value[now:] <= limit)
        return float(self.at[now + later[0]]) if len(later) else np.inf


@dataclass(frozen=True, slots=True)
class Observed:
    """One run: `backlog` is the jobs not in a final state, `queue` those of them that are due and wait for a
    worker. `waits` are the spells of the latter: from when a job was due until it moved on, or the run ended.
    `calls` are those that each dependency saw, by its name.
    """

    history: History
    setting: Setting
    backlog: Level
    queue: Level
    waits: arrays.Spells
    calls: Mapping[str, Calls]

    @classmethod
    def of(
        cls, log: EventLog, setting: Setting | None = None, calls: Mapping[str, Calls] | None = None
    ) -> Self:
        """Decode `log`; of a live one the setting is what the log itself says."""
        history, known = History.of(log), setting or Setting.of(log)
        waits = arrays.waits(history.moves, known.ended)
        queue = Level.of(arrays.changes(waits))
        return cls(history, known, Level.of(arrays.open_changes(history.moves)), queue, waits, calls or {})

    @property
    def horizon(self) -> Instant:
        """When jobs stop arriving."""
        return Instant(self.setting.began + round(self.setting.horizon_s * SECOND))

    def backlog_of(self, which: Flags) -> Level:
        """Return the jobs not in a final state among some, chosen by their number in the log."""
        return Level.of(arrays.open_changes(self.history.moves, which))
