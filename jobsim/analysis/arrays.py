"""An event log as numpy arrays: what the tables and the measures are computed from.

Every step is one array operation over all events, since it runs for each replication.
"""

from dataclasses import dataclass, fields
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from jobsim.core.events import CODE, KINDS, RECORD, EventLog
from jobsim.core.job import State
from jobsim.core.transitions import FINAL, TRANSITIONS, Kind

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

_FIELDS: Final = ("at", "due", "job", "attempt", "max_attempts", "token", "worker", "why", "kind")
_DTYPE: Final = np.dtype([(name, f"<{code}") for name, code in zip(_FIELDS, RECORD.format[1:], strict=True)])

NEVER: Final = -1
"""Stands for a moment that has not come, in arrays of microseconds."""

OUTCOMES: Final = (
    "running",
    "succeeded",
    "failed",
    "timed_out",
    "lost",
    "released",
    "snoozed",
    "cancelled",
)
"""How an attempt can stand; `running` only while it has no end in the log."""

STATES: Final = tuple(State)

# The transition table names one target for each kind, whatever the state before.
_STATE_AFTER: Final = {kind: STATES.index(target) for (_, kind), target in TRANSITIONS.items()}
STATE_AFTER: Final = np.array([_STATE_AFTER.get(kind, NEVER) for kind in KINDS])
"""The number in `STATES` that a job is in after an event, by the event's code."""

_OPEN: Final = np.array([state not in FINAL for state in STATES])
_WAITS: Final = np.array([state in {State.PENDING, State.FAILED} for state in STATES])
_OUTCOME_OF_KIND: Final = {Kind.SUCCEED: "succeeded", Kind.RELEASE: "released", Kind.CANCEL: "cancelled"}


@dataclass(frozen=True, slots=True)
class Moves:
    """The events that moved a job, grouped by job and in log order within each; no extends, no refusals.

    `first` and `last` mark a job's first and last row. Times are microseconds since the epoch.
    """

    seq: Ints
    at: Ints
    due: Ints
    job: Ints
    attempt: Ints
    max_attempts: Ints
    token: Ints
    worker: Ints
    why: Ints
    kind: Ints
    first: Flags
    last: Flags

    @property
    def state(self) -> Ints:
        """The number in `STATES` that the job is in after each row."""
        after: Ints = STATE_AFTER[self.kind]
        return after

    def of(self, kind: Kind) -> Flags:
        """Return which rows are events of `kind`."""
        return np.equal(self.kind, CODE[kind])


@dataclass(frozen=True, slots=True)
class Attempts:
    """One entry an attempt, by start; `ended` and `delay` are `NEVER` where there is none (microseconds).

    `delay` is the time from the end until the job may start again; `outcome` numbers `OUTCOMES`.
    """

    job: Ints
    number: Ints
    token: Ints
    worker: Ints
    started: Ints
    ended: Ints
    outcome: Ints
    delay: Ints
    why: Ints


@dataclass(frozen=True, slots=True)
class Jobs:
    """One entry a job, by its number in the log; times are `NEVER` where it has not happened.

    `finished` is when it reached the final state it is in; `enqueue_why` leads to its kind.
    """

    state: Ints
    created: Ints
    started: Ints
    finished: Ints
    attempts: Ints
    max_attempts: Ints
    enqueue_why: Ints
    last_why: Ints

    def of(self, which: Flags) -> Self:
        """Return the entries that `which` chooses."""
        return type(self)(*(getattr(self, field.name)[which] for field in fields(self)))


@dataclass(frozen=True, slots=True)
class History:
    """A log, decoded."""

    log: EventLog
    moves: Moves
    attempts: Attempts
    jobs: Jobs

    @classmethod
    def of(cls, log: EventLog) -> Self:
        """Decode `log`."""
        moved = moves(log)
        return cls(log, moved, _attempts(log, moved), _jobs(log, moved))


def records(log: EventLog) -> NDArray[np.void]:
    """Return all events as one structured array; a copy, so that the log can go on growing."""
    return decoded(bytes(log.records))


def decoded(records: bytes) -> NDArray[np.void]:
    """Return packed records as one structured array."""
    return np.frombuffer(records, _DTYPE)


def moves(log: EventLog) -> Moves:
    """Return the events of `log` that moved a job, job by job."""
    events = records(log)
    seq = np.flatnonzero(~np.isin(events["kind"], (CODE[Kind.EXTEND], CODE[Kind.REFUSE])))
    seq = seq[np.argsort(events["job"][seq], kind="stable")]
    columns = {name: events[name][seq].astype(np.int64) for name in _FIELDS}
    change = np.diff(columns["job"]) != 0
    edge = np.ones(min(1, len(seq)), dtype=bool)
    return Moves(
        seq=seq + 1, **columns, first=np.concatenate((edge, change)), last=np.concatenate((change, edge))
    )


def _attempts(log: EventLog, moved: Moves) -> Attempts:
    """Return every attempt: a claim and the job's next move, which ends it."""
    start = np.flatnonzero(moved.of(Kind.CLAIM))
    ended = ~moved.last[start]
    end = np.where(ended, start + 1, start)
    may_run_again = ended & (moved.due[end] >= 0) & ~moved.of(Kind.CLAIM)[end]
    found = Attempts(
        job=moved.job[start],
        number=moved.attempt[start],
        token=moved.token[start],
        worker=moved.worker[start],
        started=moved.at[start],
        ended=np.where(ended, moved.at[end], NEVER),
        outcome=np.where(ended, _outcomes(log, moved.kind[end], moved.why[end]), 0),
        delay=np.where(may_run_again, moved.due[end] - moved.at[end], NEVER),
        why=np.where(ended, moved.why[end], 0),
    )
    order = np.argsort(moved.seq[start], kind="stable")
    return Attempts(**{name: getattr(found, name)[order] for name in Attempts.__slots__})


def _outcomes(log: EventLog, kind: Ints, why: Ints) -> Ints:
    """Return the numbers of the outcomes that events of `kind` for the reasons `why` record."""
    by_kind = np.array([OUTCOMES.index(_OUTCOME_OF_KIND.get(k, "failed")) for k in KINDS])
    by_why = np.array([OUTCOMES.index(w.outcome) if w.outcome in OUTCOMES else NEVER for w in log.whys])
    told = by_why[why]
    told[(kind == CODE[Kind.SUCCEED]) | (kind == CODE[Kind.CANCEL])] = NEVER
    return np.where(told == NEVER, by_kind[kind], told)


def _jobs(log: EventLog, moved: Moves) -> Jobs:
    """Return how every job of `log` stands at its end."""
    count = len(log.jobs)
    last = np.flatnonzero(moved.last)
    enqueued = np.flatnonzero(moved.of(Kind.ENQUEUE))
    claimed = np.flatnonzero(moved.of(Kind.CLAIM))
    state = _spread(count, moved.job[last], moved.state[last])
    final = last[~_OPEN[moved.state[last]]]
    first_claim = claimed[np.diff(moved.job[claimed], prepend=NEVER) != 0]
    return Jobs(
        state=state,
        created=_spread(count, moved.job[enqueued], moved.at[enqueued]),
        started=_spread(count, moved.job[first_claim], moved.at[first_claim]),
        finished=_spread(count, moved.job[final], moved.at[final]),
        attempts=np.bincount(moved.job[claimed], minlength=count),
        max_attempts=_spread(count, moved.job[last], moved.max_attempts[last]),
        enqueue_why=_spread(count, moved.job[enqueued], moved.why[enqueued], 0),
        last_why=_spread(count, moved.job[last], moved.why[last], 0),
    )


def _spread(count: int, where: Ints, values: Ints, otherwise: int = NEVER) -> Ints:
    out = np.full(count, otherwise, dtype=np.int64)
    out[where] = values
    return out


def open_changes(moved: Moves, which: Flags | None = None) -> tuple[Ints, Ints]:
    """Return the moments at which jobs became open or final, and by how much their number changed.

    Open is every state that is not final; `which` chooses jobs by their number.
    """
    is_open = _OPEN[moved.state]
    before = np.concatenate(([False], is_open[:-1])) & ~moved.first
    change = is_open.astype(np.int64) - before
    rows = np.flatnonzero(change if which is None else change * which[moved.job])
    return moved.at[rows], change[rows]


@dataclass(frozen=True, slots=True)
class Spells:
    """Stretches of time in which jobs were due and not running; `claimed` ones ended in an attempt.

    Times are microseconds since the epoch.
    """

    job: Ints
    began: Ints
    ended: Ints
    claimed: Flags

    @property
    def length(self) -> Ints:
        """How long each lasted."""
        return self.ended - self.began


def waits(moved: Moves, run_ended: int) -> Spells:
    """Return the spells in which jobs waited for a worker; those not over last until `run_ended`."""
    rows = np.flatnonzero(_WAITS[moved.state])
    after = np.minimum(rows + 1, len(moved.seq) - 1)
    over = ~moved.last[rows]
    due, ended = moved.due[rows], np.where(over, moved.at[after], run_ended)
    claimed = over & moved.of(Kind.CLAIM)[after]
    kept = claimed | (due < ended)  # a job cancelled, or a run over, before it was due has not waited
    began = np.minimum(due, ended)  # a worker whose clock is ahead may come before the job is due
    return Spells(moved.job[rows][kept], began[kept], ended[kept], claimed[kept])


def changes(spells: Spells) -> tuple[Ints, Ints]:
    """Return the moments at which spells began and ended, and by how much their number changed."""
    steps = np.ones(len(spells.job), dtype=np.int64)
    return np.concatenate((spells.began, spells.ended)), np.concatenate((steps, -steps))
