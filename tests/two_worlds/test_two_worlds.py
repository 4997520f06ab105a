"""One engine: a script leads to the same transitions and the same delays, simulated and live."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from jobsim.core.decide import Why
from jobsim.core.job import JobId, WorkerId
from jobsim.core.time import Duration
from jobsim.core.transitions import Kind
from jobsim.storage.memory import MemoryStorage
from jobsim.storage.sqlite import SqliteStorage
from jobsim.testing.invariants import verify
from tests.two_worlds.play import LOST, SCRIPT, Recording, live, simulated


class Step(NamedTuple):
    """What an event says, but for its time and its place in the log."""

    kind: Kind
    attempt: int
    max_attempts: int
    token: int
    worker: WorkerId | None
    why: Why


def steps(play: Recording) -> dict[JobId, list[Step]]:
    """Return the transitions of each job; renewals of leases are none."""
    told: dict[JobId, list[Step]] = {}
    for e in play.events():
        if e.kind is not Kind.EXTEND:
            step = Step(e.kind, e.attempt, e.max_attempts, e.token, e.worker, e.why)
            told.setdefault(e.job, []).append(step)
    return told


def delays(play: Recording) -> dict[tuple[JobId, int], Duration]:
    """Return the delay before each retry, by job and run."""
    return {
        (lease.id, lease.token): decision.delay
        for lease, decision in play.settlements
        if decision.kind is Kind.RETRY
    }


@pytest.fixture(scope="module")
def simulation() -> Recording:
    """The script played under simulation, on memory."""
    return simulated(MemoryStorage())


@pytest.fixture(scope="module")
def on_sqlite() -> Iterator[Recording]:
    """The script played under simulation, on SQLite."""
    play = simulated(SqliteStorage(":memory:"))
    yield play
    play.close()


@pytest.fixture(scope="module")
def in_life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recording]:
    """The script played live, on SQLite, in a file."""
    path: Path = tmp_path_factory.mktemp("live") / "jobs.db"
    play = live(SqliteStorage(path))
    yield play
    play.close()


def test_script_meets_every_way_in_which_an_attempt_ends(simulation: Recording) -> None:
    """The script would not prove much if it left out an outcome or a reason."""
    whys = {(step.why.outcome, step.why.reason) for told in steps(simulation).values() for step in told}
    assert whys >= {
        ("succeeded", ""),
        ("failed", "backoff"),
        ("failed", "exhausted"),
        ("failed", "not_retryable"),
        ("timed_out", "backoff"),
        ("lost", "backoff"),
        ("snoozed", ""),
        ("cancelled", "handler"),
    }
    assert [step.kind for step in steps(simulation)[LOST]] == [
        Kind.ENQUEUE,
        Kind.CLAIM,
        Kind.RETRY,
        Kind.CLAIM,
        Kind.RETRY,
        Kind.CLAIM,
        Kind.SUCCEED,
    ]


def test_transitions_are_the_same_on_memory_and_sqlite(simulation: Recording, on_sqlite: Recording) -> None:
    """Under simulation the stores' logs are the same, event by event, times included."""
    assert steps(simulation) == steps(on_sqlite)
    assert list(simulation.events()) == list(on_sqlite.events())


@pytest.mark.live
def test_transitions_are_the_same_simulated_and_live(simulation: Recording, in_life: Recording) -> None:
    """Each job goes through the same steps: kind, attempt, limit, token, worker, outcome, reason, error."""
    assert steps(simulation) == steps(in_life)


@pytest.mark.live
def test_delays_are_the_same_simulated_and_live(simulation: Recording, in_life: Recording) -> None:
    """Keyed randomness gives each retry the same delay, to the microsecond."""
    assert len(set(delays(simulation).values())) > 10
    assert delays(simulation) == delays(in_life)


def test_retries_are_due_after_their_delay(simulation: Recording, on_sqlite: Recording) -> None:
    """The log says so by itself: what is due of a retry lies its delay after the event."""
    for play in (simulation, on_sqlite):
        retries = [e for e in play.events() if e.kind is Kind.RETRY]
        assert {(e.job, e.token): (e.due or 0) - e.at for e in retries} == delays(play)


@pytest.mark.live
def test_retries_are_due_as_decided_live(in_life: Recording) -> None:
    """The log has the time that the decision named, though the commit came somewhat after it."""
    retries = {(e.job, e.token): e.due for e in in_life.events() if e.kind is Kind.RETRY}
    decided = {(s.lease.id, s.lease.token): s.decision.due for s in in_life.settlements}
    assert retries.items() <= decided.items()
    assert retries


def test_history_of_a_simulated_play_is_sound(simulation: Recording, on_sqlite: Recording) -> None:
    """Both stores have a log without fault, which tells the same as their jobs."""
    for play in (simulation, on_sqlite):
        verify(play.events(), accepted=SCRIPT, offered=SCRIPT, jobs=play.find(), drained=True)


@pytest.mark.live
def test_history_of_a_live_play_is_sound(in_life: Recording) -> None:
    """The checker that judges simulations judges a live database, and finds no fault."""
    verify(in_life.events(), accepted=SCRIPT, offered=SCRIPT, jobs=in_life.find(), drained=True)
