"""Many who use one PostgreSQL store at once: workers that claim, operators, and readers of the log."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pytest

from jobsim.core.job import JobId
from jobsim.core.transitions import Kind
from jobsim.storage.postgres import PostgresStorage
from jobsim.testing.conformance_base import (
    ANN,
    BEGAN,
    BOB,
    MINUTE,
    SUCCEED,
    add,
    at,
    claim,
    job_id,
    new,
    settle,
    start,
)
from jobsim.testing.invariants import verify
from tests.storage.under_way import under_way

pytestmark = pytest.mark.live

_PLANS: Final = [
    "",
    "-cenable_material=off -cenable_indexscan=off",
    "-cenable_sort=off -cenable_indexonlyscan=off -cenable_memoize=off",
    "-cplan_cache_mode=force_generic_plan",
]


@pytest.fixture
def storage(postgres: str, schema: str) -> Iterator[PostgresStorage]:
    storage = PostgresStorage(postgres, schema=schema, connections=8, patience="60s")
    yield storage
    storage.close()


@pytest.mark.parametrize("plan", _PLANS)
def test_claims_of_many_sessions_take_each_job_once(postgres: str, schema: str, plan: str) -> None:
    """However the planner goes about it, no claim takes more than asked, and no job is taken twice."""
    options = plan.replace(" ", "%20").replace("=", "%3D")
    storage = PostgresStorage(f"{postgres}&options={options}", schema=schema, connections=8)
    queues = ("default", "mail")
    add(storage, *(new(n, queue=queues[n % 2], run_at=at(n % 3), priority=n % 5) for n in range(600)))

    def work(limit: int) -> list[JobId]:
        taken: list[JobId] = []
        while leases := claim(storage, limit=limit, queues=queues, now=at(3)):
            assert len(leases) <= limit
            taken += [lease.id for lease in leases]
        return taken

    with ThreadPoolExecutor(8) as threads:
        parts = list(threads.map(work, [1, 2, 3, 5, 8, 13, 1, 40]))
    ids = [job_id(n) for n in range(600)]
    # What is locked by a claim that is just ending is passed over, and left for the next.
    rest = [lease.id for lease in claim(storage, limit=600, queues=queues, now=at(3))]
    assert sorted([job for part in parts for job in part] + rest) == ids
    verify(storage.events(), accepted=ids, jobs=storage.find())
    storage.close()


def test_claim_does_not_wait_for_another(storage: PostgresStorage) -> None:
    """What another is just taking, or marking as due, is passed over."""
    add(storage, *(new(n) for n in range(5)), *(new(n, run_at=at(1), queue="later") for n in range(5, 9)))
    writes = storage._writes
    with under_way(storage, lambda s: writes.exchange(s, BEGAN, (), ANN, ("default",), 2, MINUTE)):
        assert [lease.id for lease in claim(storage, worker=BOB)] == [job_id(3), job_id(4)]
    with under_way(storage, lambda s: writes.promote(s, at(1), ("later",))):
        assert claim(storage, queues=("later",), now=at(1)) == []
    assert len(claim(storage, queues=("default", "later"), now=at(1))) == 5


def test_settlement_waits_for_another_of_the_same_job(storage: PostgresStorage) -> None:
    """The second of two that end one attempt at the same time hears that it came too late."""
    lease = start(storage)
    with ThreadPoolExecutor(1) as thread:
        with under_way(storage, lambda s: storage._writes.cancel(s, at(1), [lease.id], "")):
            late = thread.submit(settle, storage, lease, SUCCEED, at(2))
        assert late.result() is False
    kinds = [event.kind for event in storage.events()]
    assert kinds == [Kind.ENQUEUE, Kind.CLAIM, Kind.CANCEL, Kind.REFUSE]


def test_reader_of_the_log_misses_nothing(storage: PostgresStorage) -> None:
    """Events beyond those that are still under way are held back until these can be read, too."""
    add(storage, new(1))
    with under_way(storage, lambda s: storage._writes.enqueue(s, BEGAN, [new(2), new(3)])):
        add(storage, new(4))
        seen = list(storage.events())
        assert [event.job for event in seen] == [job_id(1)]
        assert list(storage.events(after=1, job=job_id(4))) == []
    rest = list(storage.events(after=seen[-1].seq))
    assert sorted(event.job for event in rest) == [job_id(2), job_id(3), job_id(4)]
    assert [event.seq for event in rest] == [2, 3, 4]


def test_reader_who_follows_many_writers_misses_nothing(storage: PostgresStorage) -> None:
    """A reader who goes on from the last number it saw sees every event once, in order, while all write."""
    stop = threading.Event()
    seen: list[int] = []

    def read() -> None:
        while True:
            last_round = stop.is_set()
            seen.extend(event.seq for event in storage.events(after=seen[-1] if seen else 0))
            if last_round:
                return

    def write(number: int) -> None:
        for n in range(40):
            add(storage, *(new(number * 1_000 + 10 * n + m) for m in range(1 + n % 3)))
            for lease in claim(storage, limit=2):
                settle(storage, lease, SUCCEED)

    reader = threading.Thread(target=read)
    reader.start()
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write, range(4)))
    stop.set()
    reader.join()
    events = list(storage.events())
    assert seen == [event.seq for event in events]
    verify(events, jobs=storage.find())


def test_so_much_that_came_due_is_marked_in_waves(
    storage: PostgresStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much comes due at once, no transaction marks much of it, and the order holds."""
    monkeypatch.setattr("jobsim.storage.postgres_claim.WAVE", 10)
    add(storage, *(new(n, run_at=at(1), priority=n) for n in range(55)), new(55, priority=-1))
    taken = claim(storage, limit=9, now=at(1))
    assert [lease.id for lease in taken] == [job_id(n) for n in range(54, 45, -1)]
    assert storage.next_due(["default"]) == at(1)


def test_forked_child_connects_anew(postgres: str, schema: str) -> None:
    """A child that a fork left with its parent's connections uses others, and ends none of them."""
    script = f"""
import os
from jobsim.storage.postgres import PostgresStorage
from jobsim.testing.conformance_base import *
storage = PostgresStorage({postgres!r}, schema={schema!r})
add(storage, new(1))
if os.fork() == 0:
    add(storage, new(2))
    storage.close()
    os._exit(0)
assert os.wait()[1] == 0
add(storage, new(3))
print(len(storage.find()))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout, done.stderr) == ("3\n", "")
