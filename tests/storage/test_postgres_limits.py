"""Limits while many sessions claim at the same time, and the pruning of what has ended."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from jobsim.core.budget import Budget
from jobsim.core.decide import Settlement
from jobsim.core.events import Event
from jobsim.core.job import JobId, State, WorkerId
from jobsim.core.limits import By, Limit, Rate, Scope
from jobsim.core.time import SECOND, Duration, Instant
from jobsim.core.transitions import Kind
from jobsim.storage.postgres import PostgresStorage
from jobsim.storage.postgres_session import Session
from jobsim.testing.conformance_base import (
    ANN,
    BOB,
    MINUTE,
    QUEUES,
    SUCCEED,
    add,
    at,
    claim,
    job_id,
    lose,
    new,
    retry,
    settle,
    stored,
)
from jobsim.testing.invariants import verify
from tests.storage.under_way import under_way

pytestmark = pytest.mark.live

MAIL = Scope(By.KIND, "mail")
ENDS = {Kind.SUCCEED, Kind.RETRY, Kind.DEAD_LETTER, Kind.RELEASE, Kind.CANCEL}


@pytest.fixture
def make(postgres: str, schema: str) -> Iterator[Callable[[], PostgresStorage]]:
    """Make stores, as other processes would."""
    made: list[PostgresStorage] = []

    def make() -> PostgresStorage:
        made.append(PostgresStorage(postgres, schema=schema, patience="30s"))
        return made[-1]

    yield make
    for storage in made:
        storage.close()


@pytest.fixture
def storage(make: Callable[[], PostgresStorage]) -> PostgresStorage:
    return make()


def most_at_once(events: list[Event], key_of: Mapping[JobId, str]) -> Counter[str]:
    """Return how many attempts of each key ran at once, at most, as the log tells."""
    running, most = Counter[str](), Counter[str]()
    for event in events:
        key = key_of[event.job]
        running[key] += (event.kind is Kind.CLAIM) - (event.kind in ENDS)
        most[key] = max(most[key], running[key])
    return most


def work(storage: PostgresStorage, name: str, left: Callable[[], bool]) -> None:
    """Claim and settle as a worker does, until nothing is left; now and then lose an attempt or retry."""
    chance, settlements = random.Random(name), list[Settlement]()
    while left():
        limit = chance.randint(1, 5)
        _, leases, _ = storage.exchange(settlements, WorkerId(name), QUEUES, limit, MINUTE, at(0))
        settlements = [
            Settlement(lease, retry(at(0)) if chance.random() < 0.2 and lease.attempt < 4 else SUCCEED)
            for lease in leases
            if chance.random() < 0.9
        ]
    storage.settle(settlements, at(0))


def reap(storage: PostgresStorage, left: Callable[[], bool]) -> None:
    """Settle what was lost, as the clock of this reaper says that the leases are over."""
    while left():
        lost = storage.expired(20, at(90))
        storage.settle([Settlement(lease, lose(at(0))) for lease in lost], at(90))


def test_limit_is_never_passed_by_many_who_claim(
    make: Callable[[], PostgresStorage], storage: PostgresStorage
) -> None:
    """Whoever claims, settles and reaps at the same time, never more run than the limits say; all finish."""
    storage.set_limits({MAIL: Limit(running=3), Scope(By.QUEUE, "default"): Limit(running_per_key=1)})
    jobs = [new(n, limit_key=f"key {n % 5}", priority=n % 3, max_attempts=99) for n in range(120)]
    jobs += [new(n, kind="other", limit_key=f"key {n}", max_attempts=99) for n in range(120, 160)]
    ids = add(storage, *jobs)

    def left() -> bool:
        counts = storage.counts()
        return counts[State.SUCCEEDED] < len(ids)

    with ThreadPoolExecutor(5) as threads:
        done = [threads.submit(work, make(), f"worker {n}", left) for n in range(4)]
        done.append(threads.submit(reap, make(), left))
    for each in done:
        each.result()
    events = list(storage.events())
    assert most_at_once(events, {job.id: job.kind for job in jobs})["mail"] == 3
    of_keys = most_at_once(events, {job.id: job.limit_key for job in jobs})
    assert of_keys == dict.fromkeys(of_keys, 1)
    verify(events, accepted=ids, jobs=storage.find())


def test_two_who_claim_at_once_share_the_places(storage: PostgresStorage) -> None:
    """The second waits until the first has committed, and counts what that one took."""
    storage.set_limits({MAIL: Limit(running=3)})
    add(storage, *(new(n) for n in range(9)))
    exchange = storage._writes.exchange
    with ThreadPoolExecutor(1) as thread:
        with under_way(storage, lambda s: exchange(s, at(0), (), ANN, QUEUES, 2, MINUTE)):
            second = thread.submit(claim, storage, 5, at(0), BOB)
        assert [lease.id for lease in second.result()] == [job_id(2)]
    assert claim(storage) == []


def test_who_is_held_back_waits_for_no_other(storage: PostgresStorage) -> None:
    """Where no place is free the claim takes what no limit is for, and does not queue for the limit."""
    storage.set_limits({MAIL: Limit(running=1)})
    add(storage, new(1), new(2))
    [lease] = claim(storage, limit=1)
    add(storage, new(3, kind="other"))
    with under_way(storage, lambda s: s.run("lock_limits", "{}", "{mail}").fetchall):
        assert [lease.id for lease in claim(storage, worker=BOB)] == [job_id(3)]
    assert settle(storage, lease, SUCCEED)


def test_place_of_a_dead_worker_comes_back_with_its_lease(storage: PostgresStorage) -> None:
    """Until the lease is settled as lost nobody takes the place; then the next does."""
    storage.set_limits({MAIL: Limit(running=1)})
    add(storage, new(1), new(2))
    claim(storage, limit=1)
    assert claim(storage, now=at(99)) == []
    assert storage.next_due(QUEUES) is None
    [lost] = storage.expired(9, at(99))
    assert settle(storage, lost, lose(at(200)), now=at(99))
    assert [lease.id for lease in claim(storage, now=at(99))] == [job_id(2)]


def test_limit_waits_for_who_is_just_enqueueing(storage: PostgresStorage) -> None:
    """A limit is in force for jobs whose enqueue was under way when it was first declared."""
    with ThreadPoolExecutor(1) as thread:
        with under_way(storage, lambda s: storage._writes.enqueue(s, at(0), [new(1), new(2)])):
            declared = thread.submit(storage.set_limits, {MAIL: Limit(running=1)})
        declared.result()
    assert len(claim(storage)) == 1


def test_limits_declared_by_many_at_once_are_all_in_force(make: Callable[[], PostgresStorage]) -> None:
    """Processes that start together, each with its own limits, do not lock each other out."""
    stores = [make() for _ in range(4)]
    barrier = threading.Barrier(4)

    def declare(number: int) -> None:
        add(stores[number], *(new(100 * number + n, kind=f"kind {n}") for n in range(20)))
        barrier.wait(30)
        stores[number].set_limits({Scope(By.KIND, f"kind {number}"): Limit(running=1)})

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(declare, range(4)))
    assert len(stores[0].limits()) == 4
    assert Counter(lease.kind for lease in claim(stores[0])) == {
        f"kind {n}": 1 if n < 4 else 4 for n in range(20)
    }


def test_place_given_back_is_told_to_other_processes(
    make: Callable[[], PostgresStorage], storage: PostgresStorage
) -> None:
    """A worker that sleeps because a limit held it back is woken once a place is free, and only then."""
    storage.set_limits({MAIL: Limit(running=1)})
    add(storage, new(1), new(2), new(3), new(4, kind="other"))
    free, lease = sorted(claim(storage), key=lambda lease: lease.kind != "other")
    watch = make().watch()
    assert watch is not None
    watch.wait(Duration(0))
    assert settle(storage, free, SUCCEED)
    [_], [lease], _ = storage.exchange([Settlement(lease, SUCCEED)], ANN, QUEUES, 1, MINUTE, at(1))
    assert not watch.wait(Duration(SECOND // 20))  # the place is taken again
    for end in (
        partial(settle, storage, lease, SUCCEED),
        lambda: storage.cancel([claim(storage)[0].id], at(1)),
    ):
        assert end()
        assert watch.wait(Duration(30 * SECOND))
    watch.close()


def test_place_is_told_though_one_of_another_lane_was_taken(
    make: Callable[[], PostgresStorage], storage: PostgresStorage
) -> None:
    """Who gives a place back and takes another has left the first to others, who are woken for it."""
    storage.set_limits({MAIL: Limit(running=1), Scope(By.KIND, "other"): Limit(running=1)})
    add(storage, new(1))
    [lease] = claim(storage)
    add(storage, new(2, kind="other"), new(3, queue="low"))
    watch = make().watch()
    assert watch is not None
    watch.wait(Duration(0))
    _, [taken], _ = storage.exchange([Settlement(lease, SUCCEED)], ANN, ["default"], 1, MINUTE, at(1))
    assert taken.kind == "other"
    assert watch.wait(Duration(5 * SECOND))
    watch.close()


def test_rate_holds_for_all_who_claim(make: Callable[[], PostgresStorage]) -> None:
    """Turns are shared: of many who claim at the same moment, together no more start than the rate says."""
    stores = [make() for _ in range(4)]
    stores[0].set_limits({MAIL: Limit(rate=Rate(10, "1s", burst=2))})
    add(stores[0], *(new(n) for n in range(50)))

    def starts(now: Instant) -> int:
        with ThreadPoolExecutor(4) as threads:
            return sum(len(leases) for leases in threads.map(lambda s: claim(s, 3, now), stores))

    assert [starts(at(0)), starts(at(0.05)), starts(at(0.1)), starts(at(5))] == [2, 0, 1, 2]
    assert stores[0].next_due(QUEUES) == at(5.1)


def test_jobs_change_lanes_as_limits_come_and_go(storage: PostgresStorage) -> None:
    """Waiting and retried jobs are under the limits in force, whatever those were at their enqueue."""
    add(storage, *(new(n) for n in range(3)), new(3, run_at=at(1)))
    [first, second, *_] = claim(storage, limit=2)
    storage.set_limits({MAIL: Limit(running=2)})
    assert claim(storage) == []
    assert settle(storage, first, retry(at(1)))
    assert len(claim(storage, now=at(2))) == 1
    storage.set_limits({MAIL: Limit()})
    assert storage.limits() == {}
    assert len(claim(storage, now=at(2))) == 2
    assert settle(storage, second, SUCCEED)


def test_prune_leaves_what_was_moved_meanwhile(
    storage: PostgresStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that was requeued after it was found stays; those beside it go, with all that belongs to them."""
    add(storage, *(new(n) for n in range(4)))
    for lease in claim(storage, limit=3):
        settle(storage, lease, SUCCEED._replace(kind=Kind.DEAD_LETTER, result='"kept"'))
    write = storage._database.write

    def late(work: Callable[..., Callable[[], int]], *args: object) -> int:
        monkeypatch.setattr(storage._database, "write", write)
        storage.requeue([job_id(1)], at(1))
        return write(work, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(storage._database, "write", late)
    assert storage.prune([State.DEAD_LETTER], at(1), 9) == 2
    assert [job.id for job in storage.find()] == [job_id(1), job_id(3)]
    assert stored(storage, job_id(1)).state is State.PENDING
    assert {event.job for event in storage.events()} == {job_id(1), job_id(3)}
    tables = ("job", "content", "result")
    with storage._database._connections.borrow() as connection:
        sizes = [
            connection.execute(f"SELECT count(*) FROM {storage.schema}.{name}".encode()).fetchall()
            for name in tables
        ]
    assert sizes == [[(2,)], [(2,)], [(1,)]]


@pytest.mark.parametrize("pruned_first", [False, True])
def test_refused_settlement_leaves_no_event_of_a_pruned_job(
    storage: PostgresStorage, *, pruned_first: bool
) -> None:
    """A refusal that meets a prune is recorded for nobody: the later of the two waits for the other."""
    add(storage, new(1))
    [lease] = claim(storage)
    settle(storage, lease, SUCCEED)
    writes, gone, states = storage._writes, [lease.key], [State.SUCCEEDED]
    calls: list[Callable[[Session], Callable[[], object]]] = [
        lambda s: writes.settle(s, at(2), [Settlement(lease, SUCCEED)]),
        lambda s: writes.prune(s, at(1), gone, states),
    ]
    first, second = reversed(calls) if pruned_first else calls
    with ThreadPoolExecutor(1) as thread:
        with under_way(storage, first):
            later = thread.submit(storage._database.write, lambda s, _: second(s), at(2))
            with pytest.raises(TimeoutError):
                later.result(0.3)
        later.result()
    with storage._database._connections.borrow() as connection:
        query = f"SELECT count(*) FROM {storage.schema}.event".encode()
        assert connection.execute(query).fetchall() == [(0,)]


def test_settlements_find_the_budgets_whatever_others_find(
    storage: PostgresStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that ends late, from when there were no budgets, does not make another fail."""
    add(storage, new(1))
    [lease] = claim(storage)
    storage.set_limits({MAIL: Limit(budget=Budget(capacity=1, first_try=0))})
    write, left = storage._database.write, [True, True]

    def write_after_another(*args: Any) -> Any:
        if left and left.pop():
            storage._writes.guarded = False  # as that call has found
        return write(*args)

    monkeypatch.setattr(storage._database, "write", write_after_another)
    assert storage.settle([Settlement(lease, retry(at(1)))], at(0)) == [True]
    assert storage.tallies()[MAIL].purse is not None
