"""The SQLite store with very many jobs: what a claim costs, and in which order it comes."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from jobsim.core.limits import By, Limit, Scope
from jobsim.core.time import Instant
from jobsim.storage import sqlite_outlook
from jobsim.storage.sqlite import SqliteStorage
from jobsim.testing.conformance_base import QUEUES, SUCCEED, add, at, claim, job_id, new, release, settle
from tests.storage.faults import FaultyDisk, connection


def steps(storage: SqliteStorage, call: Callable[[], object]) -> int:
    """Return how many instructions of SQLite's machine a call takes."""
    count = 0

    def step() -> bool:
        nonlocal count
        count += 1
        return False

    connection(storage).set_progress_handler(step, 1)
    call()
    connection(storage).set_progress_handler(None)
    return count


def cost(storage: SqliteStorage) -> tuple[int, ...]:
    """Return what a claim, its settlement, a look at the next job and one for expired leases cost."""
    add(storage, new(900_001), new(900_002), now=at(1))
    claimed = [claim(storage, limit=1, now=at(1))]
    return (
        steps(storage, lambda: claimed.append(claim(storage, limit=1, now=at(1)))),
        steps(storage, lambda: settle(storage, claimed[-1][0], SUCCEED, now=at(1))),
        steps(storage, lambda: storage.next_due(QUEUES)),
        steps(storage, lambda: storage.expired(9, at(1))),
    )


@pytest.mark.parametrize("crowd", ["later", "pending", "succeeded"])
def test_cost_of_a_claim_does_not_grow(crowd: str) -> None:
    """Jobs scheduled for later at higher priority, waiting, or finished, cost the others nothing."""
    alone = SqliteStorage(":memory:")
    least = cost(alone)
    storage = SqliteStorage(":memory:")
    run_at, priority = (at(500), 1) if crowd == "later" else (at(0), -1)
    jobs = [new(n, run_at=run_at, priority=priority) for n in range(20_000)]
    add(storage, *jobs)
    if crowd == "succeeded":
        for lease in claim(storage, limit=20_000):
            settle(storage, lease, SUCCEED)
    assert all(many <= few * 1.2 for many, few in zip(cost(storage), least, strict=True))
    alone.close()
    storage.close()


def held_back(count: int, run_at: float, *, lanes: bool) -> SqliteStorage:
    """Return a store where so many jobs wait behind a limit that is full, ready or to come."""
    storage = SqliteStorage(":memory:")
    storage.set_limits({Scope(By.KIND, "crowd"): Limit(running=1)})
    add(storage, new(800_000, kind="crowd"))
    claim(storage)
    crowd = [new(n, kind="crowd", priority=1, run_at=at(run_at)) for n in range(count)]
    add(storage, *(job._replace(limit_key=str(n)) if lanes else job for n, job in enumerate(crowd)))
    return storage


@pytest.mark.parametrize("run_at", [0, 500])
@pytest.mark.parametrize("lanes", [False, True])
def test_jobs_behind_a_full_limit_cost_the_others_nothing(run_at: float, lanes: bool) -> None:
    """However many are held back at a higher priority, in however many lanes, a claim passes them by."""
    few, many = held_back(2, run_at, lanes=lanes), held_back(20_000, run_at, lanes=lanes)
    assert all(more <= less * 1.2 for more, less in zip(cost(many), cost(few), strict=True))
    few.close()
    many.close()


def a_job_each(customers: int) -> SqliteStorage:
    """Return a store where each of so many customers may run one job at a time, and all wait in turn."""
    storage = SqliteStorage(":memory:")
    storage.set_limits({Scope(By.KIND, "mail"): Limit(running_per_key=1)})
    add(storage, *(new(n, limit_key=str(n % customers)) for n in range(8_000)))
    assert len(claim(storage, limit=10)) == 10
    return storage


def test_lanes_that_are_open_cost_a_claim_nothing() -> None:
    """Where the most urgent jobs may start, it does not matter how many lanes there are behind them."""
    few, many = a_job_each(40), a_job_each(4_000)
    costs = [steps(storage, partial(claim, storage, limit=5)) for storage in (few, many)]
    assert costs[1] <= costs[0] * 1.2
    few.close()
    many.close()


def test_jobs_of_a_closed_lane_are_passed_by_lane_by_lane() -> None:
    """Where the most urgent jobs are all of one customer, those of others get their turn, in their order."""
    storage = SqliteStorage(":memory:")
    storage.set_limits({Scope(By.KIND, "mail"): Limit(running_per_key=1)})
    add(storage, *(new(n, limit_key="large") for n in range(1_000)))
    add(storage, *(new(n, limit_key=str(n % 7), priority=-(n % 3)) for n in range(1_000, 1_020)))
    taken = [lease.id for lease in claim(storage, limit=4)]
    assert taken == [job_id(0), job_id(1_002), job_id(1_005), job_id(1_008)]
    storage.close()


def test_limit_for_others_costs_a_claim_next_to_nothing() -> None:
    """Where no job of the queue is in a lane, there is one question more, and none of the limits is read."""
    storage = SqliteStorage(":memory:")
    before = cost(storage)
    storage.set_limits({Scope(By.KIND, f"kind {n}"): Limit(running=1) for n in range(1_000)})
    add(storage, new(7, kind="kind 7", queue="elsewhere"))
    add(storage, new(900_003), new(900_004), now=at(1))
    claim(storage, limit=1)
    after = steps(storage, lambda: claim(storage, limit=1, now=at(1)))
    assert after <= before[0] * 1.2
    storage.close()


def test_limit_for_other_scopes_marks_no_job_anew() -> None:
    """A limit that changes in its numbers alone looks at no job; nor does the end of one that never was."""
    storage = SqliteStorage(":memory:")
    crowd = Scope(By.KIND, "mail")
    add(storage, *(new(n) for n in range(1_000)))
    most = steps(storage, lambda: storage.set_limits({crowd: Limit(running=1)}))
    least = steps(
        storage, lambda: storage.set_limits({crowd: Limit(running=2), Scope(By.KIND, "x"): Limit()})
    )
    assert least < most / 100
    storage.close()


def test_claim_reads_no_payload_but_its_own(tmp_path: Path) -> None:
    """A job of 5 MB in the midst of small ones is not touched when those are claimed and settled."""
    disk = FaultyDisk("payloads")
    storage = SqliteStorage(tmp_path / "jobs.db", vfs=disk.name)
    large = '"' + "x" * 5_000_000 + '"'
    add(storage, new(1), new(2, payload=large, priority=-1), new(3))
    storage.close()
    storage = SqliteStorage(tmp_path / "jobs.db", vfs=disk.name)
    disk.read = 0
    for lease in claim(storage, limit=2):
        settle(storage, lease, SUCCEED)
    assert 0 < disk.read < 200_000
    [lease] = claim(storage)
    assert lease.payload == large
    assert disk.read > 5_000_000
    storage.close()
    disk.unregister()


def test_wave_is_marked_in_steps_and_claimed_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many jobs come due at once, no transaction is long, and the most urgent are first."""
    monkeypatch.setattr(sqlite_outlook, "WAVE", 10)
    storage = SqliteStorage(":memory:")
    add(storage, *(new(n, run_at=at(5 + n % 3), priority=n % 7) for n in range(100)))
    commits: list[None] = []
    connection(storage).set_commit_hook(lambda: bool(commits.append(None)))  # type: ignore[func-returns-value]
    leases = claim(storage, limit=20, now=at(7))
    expected = sorted(range(100), key=lambda n: (-(n % 7), 5 + n % 3, n))
    assert [lease.id for lease in leases] == [job_id(n) for n in expected[:20]]
    assert len(commits) == 11
    storage.close()


def test_wave_of_exactly_one_step_is_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where as many jobs are due as one step marks, none is forgotten."""
    monkeypatch.setattr(sqlite_outlook, "WAVE", 4)
    storage = SqliteStorage(":memory:")
    add(storage, *(new(n, run_at=at(5)) for n in range(4)))
    assert len(claim(storage, now=at(5))) == 4
    storage.close()


def test_job_that_waits_anew_takes_its_place() -> None:
    """A job released for later is not found among those that are ready, and is when its time comes."""
    storage = SqliteStorage(":memory:")
    add(storage, new(1), new(2))
    leases = claim(storage)
    settle(storage, leases[0], release(at(9)))
    settle(storage, leases[1], release(at(3)), now=at(3))
    assert storage.next_due(QUEUES) == at(3)
    assert [lease.id for lease in claim(storage, now=Instant(at(9) - 1))] == [job_id(2)]
    assert [lease.id for lease in claim(storage, now=at(9))] == [job_id(1)]
    storage.close()
