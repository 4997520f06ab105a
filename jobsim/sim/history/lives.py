"""An event log as what a fit needs of it: arrivals, lives of jobs, and attempts, kind by kind.

A life begins when a job is enqueued or requeued and has its own budget of attempts. A retry begins none:
its delay is the policy's doing, not an arrival.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from jobsim.analysis import arrays
from jobsim.analysis.arrays import NEVER, OUTCOMES, Flags, History, Ints
from jobsim.core.events import CODE, EventLog
from jobsim.core.time import SECOND, Instant
from jobsim.core.transitions import FINAL, Kind

Floats = NDArray[np.float64]

_TOKENS: Final = 32  # bits that hold a token


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a log that counts: jobs that arrive from `began` to `ended`, attempts until `closed`."""

    began: Instant
    ended: Instant
    closed: Instant

    @property
    def length_s(self) -> float:
        """For how long jobs arrive, in seconds."""
        return (self.ended - self.began) / SECOND

    @property
    def whole_s(self) -> float:
        """For how long attempts start, in seconds."""
        return (self.closed - self.began) / SECOND


@dataclass(frozen=True, slots=True)
class Attempts:
    """Attempts that started in the window, by start; seconds from its beginning, shape (attempts,).

    `life` numbers lives of the whole log. `lasted_s` is the time an attempt is known to have run: of one
    whose lease was lost until its last sign of life, of one still running until the end of the log.
    """

    life: Ints
    started_s: Floats
    lasted_s: Floats
    outcome: Ints
    error: Ints
    final: Flags
    """Whether the policy judged the error to be beyond retry."""

    def ended(self, *outcomes: str) -> Flags:
        """Return which attempts ended so."""
        return np.isin(self.outcome, [OUTCOMES.index(outcome) for outcome in outcomes])

    def __getitem__(self, which: Flags) -> "Attempts":
        return Attempts(*(getattr(self, name)[which] for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class Record:
    """What the log tells of one kind of job.

    `arrivals_s` are the lives that began in the window, in order, and `arrived` their numbers; `waiting` is
    how many had begun before and were not over when the window began. `limits` are their limits of attempts.
    """

    kind: str
    arrivals_s: Floats
    arrived: Ints
    waiting: int
    limits: Ints
    attempts: Attempts


@dataclass(frozen=True, slots=True)
class Observed:
    """A log, kind by kind. `untold` counts jobs whose enqueueing is not in it, of which nothing is used."""

    log: EventLog
    window: Window
    kinds: tuple[Record, ...]
    untold: int

    @classmethod
    def of(
        cls,
        log: EventLog,
        since: Instant | None = None,
        until: Instant | None = None,
        ended: Instant | None = None,
    ) -> Self:
        """Decode `log` from `since` (`None`: the first arrival) until `until` (the end of the log).

        Jobs arrive until `ended`: if not given, until `until`, and without that until the last arrival, as
        nothing tells for how long nobody enqueued anything.
        """
        history = History.of(log)
        lives = _Lives.of(history)
        told = lives.kind != ""
        births = lives.arrived[told]
        began = Instant(int(births.min(initial=1 << 62))) if since is None else since
        last = Instant(int(births.max(initial=0)) + 1) if until is None else until
        closed = Instant(int(arrays.records(log)["at"].max(initial=0)) + 1) if until is None else until
        window = Window(began, max(began, ended or last), max(began, closed))
        attempts = _attempts(history, lives, window)
        kinds = tuple(_records(lives, attempts, window))
        untold = len(np.unique(lives.job[~told]))
        return cls(log, window, kinds, untold)


@dataclass(frozen=True, slots=True)
class _Lives:
    """One entry a life: its job, its job's kind, when it arrived and was over, and its limit of attempts."""

    job: Ints
    kind: NDArray[np.str_]
    arrived: Ints
    over: Ints
    limit: Ints
    of_claim: Ints
    """The life of each claim, in the order of `History.attempts`."""

    @classmethod
    def of(cls, history: History) -> Self:
        """Return the lives that `history` tells."""
        moved = history.moves
        born = moved.of(Kind.ENQUEUE) | moved.of(Kind.REQUEUE) | moved.first
        number = np.cumsum(born) - 1
        first = np.flatnonzero(born)
        last = np.concatenate((first[1:], [len(born)])) - 1 if len(first) else first
        names = np.array([why.reason for why in history.log.whys])
        told = moved.of(Kind.ENQUEUE)[first] | moved.of(Kind.REQUEUE)[first]
        job = moved.job[first]
        kind = np.where(told, names[history.jobs.enqueue_why[job]] if len(job) else "", "")
        final = np.isin(moved.state[last], [arrays.STATES.index(state) for state in FINAL])
        claims = np.flatnonzero(moved.of(Kind.CLAIM))
        order = np.argsort(moved.seq[claims], kind="stable")
        return cls(
            job=job,
            kind=kind,
            arrived=np.maximum(moved.at[first], moved.due[first]),  # a delayed job comes when it is due
            over=np.where(final, moved.at[last], np.iinfo(np.int64).max),
            limit=moved.max_attempts[first] - moved.attempt[first],
            of_claim=number[claims][order],
        )


def _attempts(history: History, lives: _Lives, window: Window) -> Attempts:
    found, log = history.attempts, history.log
    reasons = np.array([why.reason == "not_retryable" for why in log.whys])
    chosen = (found.started >= window.began) & (found.started < window.closed)
    whole = Attempts(
        life=lives.of_claim,
        started_s=(found.started - window.began) / SECOND,
        lasted_s=(_last_seen(history) - found.started) / SECOND,
        outcome=found.outcome,
        error=found.why,
        final=reasons[found.why],
    )
    return whole[chosen]


def _last_seen(history: History) -> Ints:
    """Return until when each attempt is known to have run.

    That of a lost one is its last renewal: the end that the log gives is when its loss was noticed.
    """
    found = history.attempts
    events = arrays.records(history.log)
    end = int(events["at"].max()) if len(events) else 0
    seen = np.where(found.ended == NEVER, end, found.ended)
    lost = found.outcome == OUTCOMES.index("lost")
    if not lost.any():
        return seen
    renewals = events[events["kind"] == CODE[Kind.EXTEND]]
    keys = renewals["job"].astype(np.int64) << _TOKENS | renewals["token"]
    order = np.lexsort((renewals["at"], keys))
    keys, at = keys[order], renewals["at"][order]
    wanted = found.job[lost] << _TOKENS | found.token[lost]
    place = np.searchsorted(keys, wanted, side="right") - 1
    renewed = (place >= 0) & (keys[place] == wanted) if len(keys) else np.zeros(len(wanted), dtype=bool)
    seen[lost] = np.where(renewed, at[place] if len(at) else 0, found.started[lost])
    return seen


def _records(lives: _Lives, attempts: Attempts, window: Window) -> Iterator[Record]:
    kind_of_attempt = lives.kind[attempts.life]
    arriving = (lives.arrived >= window.began) & (lives.arrived < window.ended)
    earlier = (lives.arrived < window.began) & (lives.over > window.began)
    for kind in dict.fromkeys(lives.kind.tolist()):
        own = lives.kind == kind
        arrived = np.flatnonzero(arriving & own)
        arrived = arrived[np.argsort(lives.arrived[arrived], kind="stable")]
        if kind and (len(arrived) or (kind_of_attempt == kind).any()):
            yield Record(
                kind=kind,
                arrivals_s=(lives.arrived[arrived] - window.began) / SECOND,
                arrived=arrived,
                waiting=int(np.count_nonzero(earlier & own)),
                limits=lives.limit[own],
                attempts=attempts[kind_of_attempt == kind],
            )
