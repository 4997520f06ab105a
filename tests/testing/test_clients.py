"""What clients were told is what the log says: every contradiction is found, and nothing else."""

from contextlib import suppress

import pytest

from jobsim.core.decide import SUCCESS, Settlement
from jobsim.core.errors import PowerLost, StorageError
from jobsim.core.events import Event
from jobsim.core.job import JobId, Lease, NewJob, WorkerId
from jobsim.core.outcome import Lost
from jobsim.core.time import SECOND, Duration, Instant
from jobsim.core.transitions import Kind
from jobsim.storage.memory import MemoryStorage
from jobsim.storage.troubles import Mishap, Script
from jobsim.testing.clients import Clients, Told, WatchedStorage
from jobsim.testing.driving import judge

A, B = JobId(1), JobId(2)
ANN, BOB = WorkerId("ann"), WorkerId("bob")
NOW, LATER = Instant(0), Instant(60 * SECOND)
LEASE = Duration(10 * SECOND)


def jobs(*ids: JobId) -> list[NewJob]:
    """Return jobs that are due."""
    return [NewJob(id_, "work", NOW) for id_ in ids]


def played() -> tuple[Clients, list[Event], Lease]:
    """Return clients and the log of a job that was lost, claimed again and done, and a zombie refused."""
    store, clients = MemoryStorage(), Clients()
    ann, bob = WatchedStorage(store, clients), WatchedStorage(store, clients)
    ann.enqueue(jobs(A), NOW)
    [first] = ann.claim(ANN, ["default"], 1, LEASE, NOW)
    bob.settle([judge(first, Lost(), LATER)], LATER)
    [_], [second], _ = ann.exchange(
        [Settlement(first, SUCCESS)], BOB, ["default"], 1, LEASE, Instant(2 * LATER)
    )
    bob.settle([Settlement(second, SUCCESS)], Instant(2 * LATER))
    return clients, list(store.events()), second


def test_agreement_finds_nothing_where_clients_heard_the_truth() -> None:
    """Acceptance, claims, settlements, and the refusal of a zombie's are as in the log."""
    clients, events, _ = played()
    assert clients.agreement(events) == []
    assert (clients.accepted, clients.offered) == ({A}, {A})
    assert {(told.kind, told.kept) for told in clients.told} == {
        (Kind.ENQUEUE, True),
        (Kind.CLAIM, True),
        (Kind.RETRY, True),
        (Kind.SUCCEED, False),
        (Kind.SUCCEED, True),
    }


@pytest.mark.parametrize("missing", [Kind.ENQUEUE, Kind.CLAIM, Kind.RETRY, Kind.SUCCEED])
def test_agreement_misses_what_clients_were_told_of(missing: Kind) -> None:
    """An acceptance, a claim or a settlement that a client was told of and the log lacks is found."""
    clients, events, _ = played()
    found = clients.agreement(e for e in events if missing not in (e.kind, Kind.ENQUEUE))
    assert found
    assert {wrong.rule for wrong in found} == {"agreement"}


@pytest.mark.parametrize(
    "heard",
    [Told(Kind.ENQUEUE, A, 0, False), Told(Kind.CLAIM, A, 2, True, ANN), Told(Kind.SUCCEED, A, 2, False)],
)
def test_agreement_finds_what_clients_were_told_did_not_happen(heard: Told) -> None:
    """So is what was refused and happened nevertheless, and a claim that the log gives to another."""
    clients, events, _ = played()
    clients.told = [heard]
    assert [wrong.rule for wrong in clients.agreement(events)] == ["agreement"]


def test_agreement_finds_a_token_that_was_given_twice() -> None:
    """A store that forgot a claim in a crash, and gives its token again, fences nothing."""
    clients, events, second = played()
    clients.told.append(Told(Kind.CLAIM, A, second.token, True, BOB))
    assert "tokens_never_regress" in {wrong.rule for wrong in clients.agreement(events)}


def test_agreement_asks_nothing_of_what_was_pruned() -> None:
    """The log knows no more of a job that was pruned."""
    clients, _, _ = played()
    assert clients.agreement([]) != []
    assert clients.agreement([], pruned=[A]) == []


@pytest.mark.parametrize("mishap", [Mishap.LOST_REPLY, Mishap.DIES_AFTER, Mishap.DIES_BEFORE, Mishap.BUSY])
def test_call_without_a_reply_tells_nothing(mishap: Mishap) -> None:
    """Whether it was kept or not, the log may say either; made again, it tells as if for the first time."""
    store, clients = MemoryStorage(), Clients()
    watched = WatchedStorage(store, clients, Script({1: mishap}))
    with suppress(StorageError, PowerLost):
        watched.enqueue(jobs(A, B), NOW)
    assert clients.told == [Told(Kind.ENQUEUE, A, 0, None), Told(Kind.ENQUEUE, B, 0, None)]
    assert clients.agreement(store.events()) == []
    with suppress(StorageError):
        watched.enqueue(jobs(A, B), NOW)
    assert clients.accepted == (set() if mishap is Mishap.DIES_AFTER else {A, B})


def test_refusal_after_a_lost_reply_is_no_contradiction() -> None:
    """The first settlement was kept, though its worker never heard: the second is refused rightly."""
    store, clients = MemoryStorage(), Clients()
    store.enqueue(jobs(A), NOW)
    ann = WatchedStorage(store, clients, Script({2: Mishap.LOST_REPLY}))
    [lease] = ann.claim(ANN, ["default"], 1, LEASE, NOW)
    with suppress(StorageError):
        ann.settle([Settlement(lease, SUCCESS)], NOW)
    assert WatchedStorage(store, clients).settle([Settlement(lease, SUCCESS)], NOW) == [False]
    assert clients.agreement(store.events()) == []
