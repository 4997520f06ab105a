"""The lives that a storm ends: how they end is keyed, and an enqueuer goes on where the last one ended."""

from collections import Counter

import pytest

from jobsim.core.errors import PowerLost
from jobsim.core.job import JobId
from jobsim.core.streams import Streams
from jobsim.core.time import SECOND, Duration, Instant
from jobsim.core.transitions import Kind
from jobsim.storage.memory import MemoryStorage
from jobsim.storage.troubles import Mishap, Script, Trouble
from jobsim.testing.clients import Clients, Told, WatchedStorage
from jobsim.testing.storm_lives import (
    Death,
    Fate,
    batch,
    deliver,
    enqueue,
    fate,
    number_of,
    script,
    unresolved,
)

STREAMS = Streams(3)


def test_fates_are_keyed_and_of_every_kind() -> None:
    """The same life ends in the same way; half end at random, and only on SQLite before a statement."""
    fates = [fate(STREAMS, life, statements=True) for life in range(400)]
    assert fates == [fate(Streams(3), life, statements=True) for life in range(400)]
    met = Counter(each.death for each in fates)
    assert met.keys() == set(Death)
    assert 150 < met[Death.AT_RANDOM] < 250
    assert all(0 < each.within <= SECOND for each in fates)
    on_server = {fate(STREAMS, life, statements=False).death for life in range(400)}
    assert on_server == set(Death) - {Death.BEFORE_STATEMENT}


@pytest.mark.parametrize(
    ("death", "mishap"),
    [
        (Death.BEFORE_CALL, Trouble(Mishap.DIES_BEFORE)),
        (Death.AFTER_CALL, Trouble(Mishap.DIES_AFTER)),
        (Death.AT_RANDOM, None),
        (Death.BEFORE_STATEMENT, None),
    ],
)
def test_only_a_life_that_ends_at_a_call_has_troubles(death: Death, mishap: Trouble | None) -> None:
    """The others are ended from outside, or from within the store."""
    troubles = script(Fate(death, 2, Duration(SECOND)))
    assert [troubles("enqueue"), troubles("claim"), troubles("settle")] == [None, mishap, None]


def test_batches_of_enqueuers_never_share_an_id() -> None:
    """Whoever sends it, a batch is the same; those of other numbers and seats have other jobs."""
    batches = [batch(seat, number, STREAMS) for seat in (3, 4) for number in range(1, 40)]
    ids = [job.id for jobs in batches for job in jobs]
    assert len(set(ids)) == len(ids)
    assert batches == [batch(seat, number, Streams(3)) for seat in (3, 4) for number in range(1, 40)]
    assert {number_of(job.id) for job in batch(4, 17, STREAMS)} == {17}


@pytest.mark.parametrize("mishap", [Mishap.DIES_BEFORE, Mishap.DIES_AFTER])
def test_what_was_never_heard_of_is_sent_again(mishap: Mishap) -> None:
    """The next enqueuer of the seat sends the last batch again, under the same ids, before any other."""
    store, first, second = MemoryStorage(), Clients(), Clients()
    with pytest.raises(PowerLost):
        enqueue(WatchedStorage(store, first, Script({3: mishap})), first, 3, STREAMS, 1_000, Clients())
    lost = unresolved(first)
    assert lost == [job.id for job in batch(3, 2, STREAMS)]
    with pytest.raises(PowerLost):
        enqueue(
            WatchedStorage(store, second, Script({4: Mishap.DIES_BEFORE})), second, 3, STREAMS, 1_000, first
        )
    assert second.accepted == {*lost, *(job.id for job in batch(3, 3, STREAMS))}
    assert second.agreement(store.events()) == first.agreement(store.events()) == []


def test_delivery_tries_until_it_knows() -> None:
    """A reply that was lost, and a store that is away, are tried again; what is there was accepted."""
    store, clients = MemoryStorage(), Clients()
    jobs = batch(3, 2, STREAMS)
    store.enqueue(jobs, Instant(0))
    troubles = Script({1: Mishap.UNREACHABLE, 2: Mishap.BUSY})
    deliver(WatchedStorage(store, clients, troubles), clients, jobs)
    assert clients.accepted == {job.id for job in jobs}
    assert Told(Kind.ENQUEUE, JobId(jobs[0].id), 0, kept=True) in clients.told
