"""Unique keys while many sessions use them at the same time: one holder, whoever comes first."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import pytest

from jobsim.core.decide import REPLACED
from jobsim.core.errors import KeyTaken
from jobsim.core.job import Conflict, JobId, State
from jobsim.core.transitions import FINAL, Kind
from jobsim.storage.postgres import PostgresStorage
from jobsim.testing.conformance_base import (
    ANN,
    BURY,
    MINUTE,
    QUEUES,
    SUCCEED,
    add,
    at,
    claim,
    job_id,
    new,
    release,
    settle,
    start,
    stored,
)
from jobsim.testing.invariants import verify
from tests.storage.under_way import under_way

pytestmark = pytest.mark.live

T = TypeVar("T")


@pytest.fixture
def storage(postgres: str, schema: str) -> Iterator[PostgresStorage]:
    storage = PostgresStorage(postgres, schema=schema, connections=8, patience="30s")
    yield storage
    storage.close()


def at_once(*calls: Callable[[], T]) -> list[T]:
    """Make calls at the same time."""
    barrier = threading.Barrier(len(calls))

    def call(one: Callable[[], T]) -> T:
        barrier.wait(30)
        return one()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(call, calls))


def test_second_enqueuer_of_a_key_waits_for_the_first(storage: PostgresStorage) -> None:
    """Who meets a key that another has taken and not yet committed hears of the holder once there is one."""
    with ThreadPoolExecutor(2) as threads:
        with under_way(storage, lambda s: storage._writes.enqueue(s, at(0), [new(1, unique_key="k")])):
            skipped = threads.submit(add, storage, new(2, unique_key="k"), new(3))
            raising = new(4, unique_key="k", conflict=Conflict.RAISE)
            raised = threads.submit(add, storage, new(5), raising)
        assert skipped.result() == [job_id(1), job_id(3)]
        with pytest.raises(KeyTaken, match=f"{job_id(1)} holds the unique key 'k'"):
            raised.result()
    assert [job.id for job in storage.find()] == [job_id(1), job_id(3)]


def test_enqueuers_of_many_keys_in_any_order_do_not_lock_each_other_out(storage: PostgresStorage) -> None:
    """Batches that share keys, in opposite orders, all come through, and each key has one holder."""
    keys = [f"key {n:02d}" for n in range(40)]

    def batch(number: int) -> list[JobId]:
        order = keys if number % 2 else keys[::-1]
        conflict = Conflict.REPLACE if number % 3 == 2 else Conflict.SKIP
        jobs = [new(100 * number + n, unique_key=key, conflict=conflict) for n, key in enumerate(order)]
        return add(storage, *jobs)

    at_once(*(partial(batch, number) for number in range(6)))
    open_ = Counter(job.unique_key for job in storage.find() if job.state not in FINAL)
    assert open_ == dict.fromkeys(keys, 1)
    verify(storage.events(), jobs=storage.find())


def test_enqueue_while_the_holder_ends_is_skipped_or_kept(storage: PostgresStorage) -> None:
    """Against a settlement, an enqueue is either stood for by the holder or holds the key itself."""
    for number in range(0, 40, 2):
        lease = start(storage, number, unique_key="k")
        enqueue = partial(add, storage, new(number + 1, unique_key="k"))
        with ThreadPoolExecutor(2) as threads:
            done = threads.submit(settle, storage, lease, SUCCEED)
            [holder] = threads.submit(enqueue).result()
        assert done.result()
        assert holder in {job_id(number), job_id(number + 1)}
        assert (storage.get(job_id(number + 1)) is not None) == (holder == job_id(number + 1))
        for lease in claim(storage):
            settle(storage, lease, SUCCEED)


def test_holder_that_is_just_claimed_is_replaced_as_a_running_one(storage: PostgresStorage) -> None:
    """A replacement waits for the claim of the holder, and lets it run to its end."""
    add(storage, new(1, unique_key="k"))
    with ThreadPoolExecutor(1) as thread:
        exchange = storage._writes.exchange
        with under_way(storage, lambda s: exchange(s, at(0), (), ANN, QUEUES, 1, MINUTE)):
            late = thread.submit(add, storage, new(2, unique_key="k", conflict=Conflict.REPLACE))
        assert late.result() == [job_id(2)]
    holder = stored(storage, job_id(1))
    assert (holder.state, holder.replaced) == (State.RUNNING, True)


def test_replace_and_claim_at_once_leave_one_holder(storage: PostgresStorage) -> None:
    """Whichever comes first, the old holder is cancelled, or runs and is cancelled where it would wait."""
    for number in range(0, 40, 2):
        add(storage, new(number, unique_key="k"))
        replace = new(number + 1, unique_key="k", conflict=Conflict.REPLACE)
        with ThreadPoolExecutor(2) as threads:
            claimed = threads.submit(claim, storage)
            threads.submit(add, storage, replace).result()
        for lease in claimed.result():
            assert settle(storage, lease, release(at(1)) if lease.id == job_id(number) else SUCCEED)
        assert stored(storage, job_id(number)).state is State.CANCELLED
        for lease in claim(storage):
            settle(storage, lease, SUCCEED)
    events = list(storage.events())
    assert {event.why.reason for event in events if event.kind is Kind.CANCEL} == {REPLACED}
    verify(events, jobs=storage.find())


def test_requeues_of_one_key_at_once_let_one_take_it(storage: PostgresStorage) -> None:
    """Of dead letters that held the same key one is requeued; the others stay, and are told so."""
    for number in range(6):
        settle(storage, start(storage, number, unique_key="k"), BURY)
    calls = [partial(storage.requeue, [job_id(number)], at(1)) for number in range(6)]
    assert sorted(at_once(*calls)) == [[False]] * 5 + [[True]]
    assert sum(storage.requeue([job_id(n) for n in range(6)], at(2))) == 1  # that one, which waits
    assert storage.counts()[State.DEAD_LETTER] == 5


def test_keys_that_others_take_and_give_up_are_not_tried_for_ever(
    storage: PostgresStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the holder is gone whenever it is looked for, the enqueue says so in the end."""
    add(storage, new(1, unique_key="k"))
    monkeypatch.setattr("jobsim.storage.postgres_enqueue._Keyed._holders", lambda *_: {})
    with pytest.raises(Exception, match="the same unique keys; nothing was kept, try again"):
        add(storage, new(2, unique_key="k"))
    assert [job.id for job in storage.find()] == [job_id(1)]
