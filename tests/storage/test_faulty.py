"""A store with faults keeps the contract: what is kept, what is heard, and what a second try answers."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from jobsim.core.decide import Settlement
from jobsim.core.errors import (
    PowerLost,
    StorageBroken,
    StorageBusy,
    StorageError,
    StorageFull,
    StorageUnavailable,
)
from jobsim.core.job import State
from jobsim.core.time import SECOND, Duration, Instant
from jobsim.queue import Queue
from jobsim.storage.base import Inspectable, Storage, Timekeeper, Watchable
from jobsim.storage.faulty import FaultyStorage
from jobsim.storage.memory import MemoryStorage
from jobsim.storage.sqlite import SqliteStorage
from jobsim.storage.troubles import Mishap, Script, Trouble, Troubles
from jobsim.testing.conformance import StorageConformance
from jobsim.testing.conformance_base import (
    ANN,
    BEGAN,
    MINUTE,
    QUEUES,
    SUCCEED,
    add,
    at,
    claim,
    job_id,
    new,
    snapshot,
    start,
)

T = TypeVar("T")

WAIT = Duration(3 * SECOND)


class TestFaultyWithoutFaults(StorageConformance):
    """A store in memory, wrapped, with nothing to befall it."""

    def make_storage(self, tmp_path: Path) -> Storage:
        return FaultyStorage(MemoryStorage())

    def reopens(self) -> bool:
        return False


class Persistent(FaultyStorage):
    """A faulty store whose caller makes each call that may pass again."""

    def _write(self, call: tuple[Any, ...], work: Callable[[], T]) -> T:
        return again(lambda: FaultyStorage._write(self, call, work))

    def _read(self, name: str, work: Callable[[], T]) -> T:
        return again(lambda: FaultyStorage._read(self, name, work))


def again(call: Callable[[], T]) -> T:
    """Make a call until it is heard of."""
    while True:
        try:
            return call()
        except (StorageBusy, StorageFull, StorageUnavailable):
            pass


def in_turn() -> Troubles:
    """Return troubles that pass, of which one befalls every other call."""
    passing = [Mishap.BUSY, Mishap.LOST_REPLY, Mishap.UNREACHABLE, Mishap.LOST_REPLY, Mishap.FULL]
    return Script({2 * n + 1: passing[n % len(passing)] for n in range(2_000)})


class TestFaultyMadeAgain(StorageConformance):
    """A store whose every call fails at first: made again, it answers as if nothing had happened."""

    def make_storage(self, tmp_path: Path) -> Storage:
        return Persistent(MemoryStorage(), in_turn())

    def reopens(self) -> bool:
        return False


def faulty(*mishaps: Mishap) -> tuple[FaultyStorage, MemoryStorage]:
    """Return a store whose calls have these mishaps one after the other, and the store within."""
    within = MemoryStorage()
    return FaultyStorage(within, Script(dict(enumerate(mishaps, 1)))), within


@pytest.mark.parametrize(
    ("mishap", "error"),
    [
        (Mishap.BUSY, StorageBusy),
        (Mishap.FULL, StorageFull),
        (Mishap.UNREACHABLE, StorageUnavailable),
        (Mishap.DIES_BEFORE, PowerLost),
    ],
)
def test_faulty_keeps_nothing_of_a_call_that_did_not_arrive(
    mishap: Mishap, error: type[BaseException]
) -> None:
    """Before the commit, a mishap leaves the store as it was, and the next call works."""
    storage, within = faulty(mishap)
    with pytest.raises(error):
        add(storage, new(1))
    assert snapshot(within) == ([], [])
    assert add(storage, new(1)) == [job_id(1)]


@pytest.mark.parametrize(
    ("mishap", "error"),
    [
        (Mishap.LOST_REPLY, StorageUnavailable),
        (Mishap.BROKEN, StorageBroken),
        (Mishap.DIES_AFTER, PowerLost),
    ],
)
def test_faulty_keeps_all_of_a_call_whose_end_was_not_heard(
    mishap: Mishap, error: type[BaseException]
) -> None:
    """After the commit, a mishap leaves the call done."""
    storage, within = faulty(mishap)
    with pytest.raises(error):
        add(storage, new(1), new(2))
    assert [job.id for job in within.find()] == [job_id(1), job_id(2)]


def test_call_whose_reply_was_lost_answers_as_it_would_have() -> None:
    """Made again, at another time, it does nothing twice: no job, no claim, no settlement."""
    within = MemoryStorage()
    storage = FaultyStorage(within, Script(dict.fromkeys([1, 3, 5], Mishap.LOST_REPLY)))
    ids = twice(lambda now: storage.enqueue([new(1), new(2)], now))
    leases = twice(lambda now: storage.claim(ANN, QUEUES, 1, MINUTE, now))
    done = twice(lambda now: storage.settle([Settlement(leases[0], SUCCEED)], now))
    assert (ids, [lease.id for lease in leases], done) == ([job_id(1), job_id(2)], [job_id(1)], [True])
    assert within.counts() | {State.PENDING: 1, State.SUCCEEDED: 1} == within.counts()
    assert len(list(within.events())) == 4


def twice(call: Callable[[Instant], T]) -> T:
    """Make a call whose reply is lost, and make it again a minute later."""
    with pytest.raises(StorageUnavailable, match="nobody knows"):
        call(BEGAN)
    return call(at(60))


def test_setting_whose_reply_was_lost_is_put_in_force_again() -> None:
    """Another may have taken its place meanwhile, and a queue that is said to be paused is."""
    storage, within = faulty(Mishap.LOST_REPLY)
    with pytest.raises(StorageUnavailable):
        storage.pause("mail")
    assert storage.resume("mail")
    assert storage.pause("mail")
    assert within.paused() == {"mail"}


def test_reply_that_was_lost_is_no_answer_to_another_call() -> None:
    """Another call, or the same from another process, is made as it is."""
    storage, within = faulty(Mishap.LOST_REPLY)
    with pytest.raises(StorageUnavailable):
        add(storage, new(1))
    assert add(storage, new(2)) == [job_id(2)]
    with pytest.raises(StorageError, match="there already"):
        add(FaultyStorage(within), new(1))
    assert add(storage, new(1)) == [job_id(1)]  # remembered for as long as it takes
    with pytest.raises(StorageError, match="there already"):
        add(storage, new(1))  # but once


def test_trouble_may_befall_some_calls_alone() -> None:
    """A script that names calls counts and meets those."""
    script = Script({1: Mishap.BUSY, 2: Mishap.BUSY}, calls=["extend"])
    storage = FaultyStorage(MemoryStorage(), script)
    lease = start(storage)
    for _ in range(2):
        with pytest.raises(StorageBusy):
            storage.extend([lease], at(90), at(1))
    assert storage.extend([lease], at(90), at(1)) == {lease.id}
    assert script.seen == ["extend"] * 3


@pytest.mark.parametrize("mishap", [None, Mishap.BUSY, Mishap.LOST_REPLY, Mishap.BROKEN])
def test_calls_take_the_time_that_their_trouble_says(mishap: Mishap | None) -> None:
    """Each passes by `sleep`: before the commit where nothing is kept, after it where that is not heard."""
    slept: list[tuple[Duration, int]] = []
    within = MemoryStorage()
    script = Script({1: Trouble(mishap, WAIT)})
    storage = FaultyStorage(within, script, sleep=lambda length: slept.append((length, len(within.find()))))
    if mishap is None:
        add(storage, new(1))
    else:
        with pytest.raises(StorageError):
            add(storage, new(1))
    assert slept == [(WAIT, int(mishap in {Mishap.LOST_REPLY, Mishap.BROKEN}))]


def test_crash_is_what_the_caller_says_it_is() -> None:
    """A live process gives what ends it."""

    def end() -> None:
        raise SystemExit(7)

    storage = FaultyStorage(MemoryStorage(), Script({1: Mishap.DIES_AFTER}), crash=end)  # type: ignore[arg-type]  # it never returns
    with pytest.raises(SystemExit):
        add(storage, new(1))


def test_faulty_store_can_what_its_store_can() -> None:
    """It watches, tells settings and knows the time where the store within does, and only there."""
    with_file = SqliteStorage(":memory:")
    storage = FaultyStorage(with_file)
    for ability in (Watchable, Inspectable, Timekeeper):
        assert isinstance(storage, ability) == isinstance(with_file, ability)
        assert not isinstance(FaultyStorage(MemoryStorage()), ability)
    storage.close()


def test_reads_fail_as_well() -> None:
    """What only looks meets the same troubles, and changes nothing."""
    storage, _ = faulty(Mishap.BUSY, Mishap.LOST_REPLY)
    with pytest.raises(StorageBusy):
        storage.get(job_id(1))
    with pytest.raises(StorageUnavailable):
        storage.counts()
    assert claim(storage) == []


@pytest.mark.live
def test_live_worker_gets_over_faults(caplog: pytest.LogCaptureFixture) -> None:
    """Under a live queue the same wrapper fails and delays calls, and every job runs once."""
    script = Script(
        {1: Mishap.BUSY, 2: Trouble(None, Duration(5_000)), 3: Mishap.LOST_REPLY, 5: Mishap.UNREACHABLE},
        calls=["exchange"],
    )
    storage = FaultyStorage(MemoryStorage(), script, sleep=lambda length: time.sleep(length.seconds))
    seen: list[int] = []

    def note(number: int) -> None:
        seen.append(number)

    with Queue(storage) as queue:
        note_later = queue.job(name="note")(note)
        ids = [note_later.enqueue(number) for number in range(6)]
        queue.run_worker(concurrency=1, burst=True)
        assert {queue.get(id_).state for id_ in ids} == {State.SUCCEEDED}
    assert sorted(seen) == list(range(6))
    assert sum("trying again" in record.getMessage() for record in caplog.records) == 3
