"""Interleavings of the engine's loops: every one in small scopes, and many by lot in larger ones."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count

import pytest

from jobsim.core.errors import ConfigError
from jobsim.core.job import JobId, Lease, NewJob, State, WorkerId
from jobsim.core.time import Duration, Instant
from jobsim.storage.base import Storage
from jobsim.storage.memory import MemoryStorage
from jobsim.storage.postgres import PostgresStorage
from jobsim.storage.sqlite import SqliteStorage
from jobsim.testing.interleaving import Order, Scope, explore, replay, sample
from tests.campaigns import record
from tests.planted.exploring import LookThenAct, explorer_finds
from tests.planted.stores import (
    BlindExtend,
    BlindSettle,
    EarlyClaim,
    EarlyReply,
    GreedyClaim,
    OneTooMany,
    Planted,
    RescueByScan,
    ResetToken,
    SwallowedKey,
)

PAIR = Scope(workers=2, jobs=1, attempts=2, ticks=2)
"""Two workers, a reaper and an enqueuer, up to the end of a lease."""

LARGE = Scope(
    workers=3, reapers=2, jobs=3, attempts=3, ticks=7, crashes=2, lost_replies=2, failures=2, drowsy=True
)
"""Too much to visit everything."""


def sqlite() -> Storage:
    """Return an empty store on SQLite."""
    return SqliteStorage(":memory:")


FAULTY = Scope(workers=2, attempts=2, ticks=2, crashes=1, failures=1)
BATCH = Scope(workers=1, jobs=2, attempts=1, ticks=2, batch=True, crashes=1)
UNHEARD = Scope(workers=1, attempts=2, ticks=2, lost_replies=1, crashes=1)
KEYED = Scope(workers=1, enqueuers=2, attempts=1, ticks=1, keyed=True, lost_replies=1)
LATE = Scope(workers=1, attempts=2, ticks=1, crashes=1, drowsy=True)


@pytest.mark.parametrize(
    ("scope", "open_storage"),
    [
        *((scope, MemoryStorage) for scope in (FAULTY, BATCH, UNHEARD, KEYED, LATE)),
        *((scope, sqlite) for scope in (BATCH, KEYED)),
    ],
    ids=lambda value: str(value) if isinstance(value, Scope) else value.__name__,
)
def test_every_interleaving_is_sound(scope: Scope, open_storage: Callable[[], Storage]) -> None:
    """Whoever is next, dies or goes unheard: each state keeps the rules, and from each end jobs get done."""
    result = explore(scope, open_storage)
    assert not result.found, result.found
    assert result.complete
    assert result.ends


def test_exploration_meets_what_it_is_for() -> None:
    """Leases end and are renewed, what comes too late is refused, and attempts are used up."""
    assert explore(FAULTY).situations >= {
        "enqueue",
        "claim",
        "extend",
        "succeed succeeded",
        "retry failed backoff",
        "retry lost backoff",
        "dead_letter lost exhausted",
        "refuse succeeded",
        "refuse failed backoff",
        "refuse lost backoff",
    }


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("open_storage", [MemoryStorage, sqlite])
def test_schedules_by_lot_are_sound(order: Order, open_storage: Callable[[], Storage]) -> None:
    """In a larger scope, all schedules that are drawn keep the rules, and jobs get done."""
    result = sample(LARGE, 15, open_storage, order=order)
    assert not result.found, result.found
    assert result.schedules == 15
    assert result.moves > 15 * 10


@pytest.mark.parametrize("order", Order)
def test_schedules_by_lot_are_sound_on_postgresql(postgres: str, schema: str, order: Order) -> None:
    """The same on the SQL of PostgreSQL, a transaction at a time."""
    numbers = count()

    def empty() -> Storage:
        return PostgresStorage(postgres, schema=f"{schema}_{next(numbers)}")

    result = sample(LARGE, 4, empty, order=order)
    assert not result.found, result.found


def test_stores_agree_on_what_there_is() -> None:
    """Memory and SQLite have the same states, moves and ends."""
    memory, on_disk = explore(PAIR), explore(PAIR, sqlite)
    assert (memory.states, memory.moves, memory.ends) == (on_disk.states, on_disk.moves, on_disk.ends)


class BlindClaim(Planted):
    """A claim takes what runs as well as what waits."""

    def claim(
        self, worker: WorkerId, queues: Sequence[str], limit: int, lease: Duration, now: Instant
    ) -> list[Lease]:
        """Claim jobs."""
        for row in list(self._book._running.values()):
            row.state, row.lease = State.PENDING, None
            self._book._lines[row.queue].add(row, now)
        self._book._running.clear()
        return super().claim(worker, queues, limit, lease, now)


BUGS = [
    BlindClaim,
    BlindExtend,
    BlindSettle,
    EarlyClaim,
    EarlyReply,
    GreedyClaim,
    OneTooMany,
    RescueByScan,
    ResetToken,
    SwallowedKey,
]


@pytest.mark.parametrize("bug", BUGS)
def test_explorer_finds_a_planted_bug(bug: type[Planted]) -> None:
    """Within some hundred states it is met, in a schedule that is short, and that its token makes again."""
    found = explorer_finds(bug)
    assert found is not None
    assert found.states < 1_500
    assert len(found.course.moves) <= 12
    again = replay(found.course.token, bug)
    assert again.violations == found.course.violations
    assert again.story == found.course.story


@pytest.mark.parametrize("bug", [BlindSettle, BlindExtend, SwallowedKey])
def test_explorer_finds_what_is_looked_at_first_and_done_later(bug: type[Planted]) -> None:
    """A client that looks, in a transaction of its own, whether it may act is found by who comes between."""
    found = explorer_finds(bug, through=LookThenAct)
    assert found is not None
    assert found.states < 5_000


def test_explorer_finds_nothing_without_a_bug() -> None:
    """The store in which bugs are planted is not at fault, nor is looking first."""
    assert explorer_finds(Planted, through=LookThenAct, most=2_000) is None


class Deaf(Planted):
    """A store that tells of no lease that has ended."""

    def expired(self, limit: int, now: Instant, after: int = 0) -> list[Lease]:
        """Return nothing."""
        return []


def test_end_without_a_rescue_breaks_liveness() -> None:
    """A job that nobody brings back, as its worker has died, is found at the end; what shrinks is the way."""
    result = explore(Scope(workers=1, attempts=2, ticks=1, crashes=1), Deaf)
    assert result.found is not None
    assert not result.complete
    assert {violation.rule for violation in result.found.violations} == {"liveness"}
    assert "dies" in "\n".join(result.found.story)


def test_sample_finds_and_shrinks() -> None:
    """What a schedule by lot breaks is told by one that is no longer than it must be."""
    result = sample(Scope(attempts=2, ticks=4), 400, RescueByScan)
    assert result.found is not None
    assert len(result.found.moves) <= 10
    assert replay(result.found.token, RescueByScan).violations == result.found.violations
    assert not replay(result.found.token).violations


def test_found_is_told_with_its_token() -> None:
    """A failure shows the broken rule, the story step by step, and how to make it again."""
    found = explorer_finds(RescueByScan)
    assert found is not None
    text = str(found.course)
    assert found.course.violations[0].rule in text
    assert "exchange (slot)" in text
    assert f"replay({found.course.token!r})" in text


class Raises(Planted):
    """A store that raises what no store should."""

    def enqueue(self, jobs: Sequence[NewJob], now: Instant) -> list[JobId]:
        """Fail."""
        raise KeyError(now)


class Invents(Planted):
    """A store that accepts a job more than it was given."""

    def enqueue(self, jobs: Sequence[NewJob], now: Instant) -> list[JobId]:
        """Accept jobs."""
        return super().enqueue([*jobs, jobs[0]._replace(id=JobId(1))], now)[:-1]


def test_job_that_nobody_enqueued_is_found() -> None:
    """What was not offered to an enqueue is not to be there."""
    result = explore(PAIR, Invents)
    assert result.found is not None
    assert result.found.violations[0].rule == "nothing_invented"


def test_lost_replies_are_explored() -> None:
    """What goes unheard leads to states of its own."""
    assert explore(KEYED).states > explore(replace(KEYED, lost_replies=0)).states


def test_surprises_are_violations() -> None:
    """An error that a store must not raise is found as any broken rule is."""
    result = explore(PAIR, Raises)
    assert result.found is not None
    assert result.found.violations[0].rule == "no_surprise"


def test_exploration_ends_at_its_bound() -> None:
    """What is not complete says so."""
    result = explore(PAIR, most=50)
    assert not result.complete
    assert result.found is None
    assert 50 <= result.states < 100


@pytest.mark.parametrize(
    "token", ["", "w1", "w1r1e1j1a1t1c0l0f0b0k0d0-!", "w0r1e1j1a1t1c0l0f0b0k0d0-0", "x1-0"]
)
def test_token_that_is_none_is_refused(token: str) -> None:
    """Text that is no token is not made into a schedule."""
    with pytest.raises(ConfigError):
        replay(token)


def test_token_of_another_engine_is_refused() -> None:
    """A choice that there is not says that the engine has changed, and where."""
    with pytest.raises(ConfigError, match="step 2 of the token cannot be made"):
        replay(f"{PAIR}-0Z5")


@pytest.mark.soak
@pytest.mark.parametrize("open_storage", [MemoryStorage, sqlite])
def test_every_interleaving_of_three_workers_is_sound(open_storage: Callable[[], Storage]) -> None:
    """Three workers, a reaper and an enqueuer, two jobs, a crash, and leases that end."""
    result = explore(Scope(workers=3, jobs=2, attempts=2, ticks=2, crashes=1), open_storage)
    assert not result.found, result.found
    name = "memory" if open_storage is MemoryStorage else "sqlite"
    counts = {"states": result.states, "moves": result.moves, "ends": result.ends}
    record(f"interleavings of three workers, {name}", **counts)


@pytest.mark.soak
def test_every_interleaving_of_two_workers_with_every_fault_is_sound() -> None:
    """Two workers, a reaper and an enqueuer: a crash, a lost reply, a failure, leases that end."""
    scope = Scope(attempts=2, ticks=3, crashes=1, lost_replies=1, failures=1)
    result = explore(scope, sqlite)
    assert not result.found, result.found
    counts = {"states": result.states, "moves": result.moves, "ends": result.ends}
    record("interleavings of two workers with every fault, sqlite", **counts)


@pytest.mark.soak
@pytest.mark.parametrize("order", Order)
def test_many_schedules_by_lot_are_sound(order: Order) -> None:
    """The larger scope, at length."""
    result = sample(LARGE, 10_000, order=order)
    assert not result.found, result.found
    record(f"schedules by {order.value}", schedules=result.schedules, moves=result.moves)
