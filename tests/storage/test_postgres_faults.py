"""Connections that break, servers that die, and others in the way: nothing acknowledged is ever lost."""

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg import errors

from jobsim.core.decide import Settlement
from jobsim.core.errors import (
    StorageBusy,
    StorageError,
    StorageForeign,
    StorageFull,
    StorageReadOnly,
    StorageUnavailable,
)
from jobsim.core.events import fold, standing
from jobsim.core.job import State
from jobsim.core.time import SECOND, Duration
from jobsim.core.transitions import Kind
from jobsim.live.waiting import reach
from jobsim.storage.postgres import PostgresStorage
from jobsim.storage.postgres_database import Database
from jobsim.storage.postgres_errors import explained
from jobsim.testing.conformance_base import (
    ANN,
    MINUTE,
    QUEUES,
    SUCCEED,
    add,
    at,
    claim,
    job_id,
    new,
    retry,
    settle,
    start,
    stored,
)
from jobsim.testing.postgres_server import PostgresServer
from tests.storage.lossy import LossyWire

pytestmark = pytest.mark.live


@pytest.fixture
def server(make_server: Callable[[], PostgresServer]) -> Iterator[PostgresServer]:
    """A server of the test's own, to be killed."""
    with make_server() as server:
        yield server


@pytest.fixture
def wire(postgres: str) -> Iterator[LossyWire]:
    with LossyWire(postgres) as wire:
        yield wire


@pytest.fixture
def over_wire(wire: LossyWire, schema: str) -> Iterator[PostgresStorage]:
    """A store whose wire can break."""
    storage = PostgresStorage(wire.dsn, schema=schema, prepared=False, patience="2s", connections=2)
    # Names are given numbers by commits of their own, before the first call that writes them.
    assert settle(storage, start(storage, 77), SUCCEED)
    assert storage.cancel(add(storage, new(78)), at(0)) == [True]
    assert storage.prune([State.SUCCEEDED, State.CANCELLED], at(1), 9) == 2
    yield storage
    storage.close()


def kinds(storage: PostgresStorage) -> list[Kind]:
    return [event.kind for event in storage.events()]


def end_sessions(dsn: str, schema: str) -> int:
    """End all sessions but ours whose last word was of `schema`; return how many there were."""
    query = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE pid <> pg_backend_pid() AND application_name = %s"
    )
    with psycopg.connect(dsn, autocommit=True) as connection:
        number: int = connection.execute(query, (schema,)).fetchall()[0][0]
        return number


def test_ended_session_is_replaced(postgres: str, schema: str) -> None:
    """A call that finds its connection gone is made again on another, whichever call it is."""
    storage = PostgresStorage(f"{postgres}&application_name={schema}", schema=schema)
    lease = start(storage)
    for call in (
        lambda: storage.get(lease.id),
        lambda: storage.extend([lease], at(90), at(1)),
        lambda: add(storage, new(2)),
        lambda: storage.exchange([Settlement(lease, SUCCEED)], ANN, QUEUES, 1, MINUTE, at(2)),
        storage.counts,
    ):
        assert end_sessions(postgres, schema) > 0
        call()
    assert kinds(storage) == [Kind.ENQUEUE, Kind.CLAIM, Kind.EXTEND, Kind.ENQUEUE, Kind.SUCCEED, Kind.CLAIM]
    storage.close()


def test_server_that_was_killed_has_kept_what_it_acknowledged(server: PostgresServer, schema: str) -> None:
    """After a crash all that was confirmed is there, and the store goes on by itself."""
    storage = PostgresStorage(server.dsn, schema=schema)
    add(storage, *(new(n) for n in range(9)))
    leases = claim(storage, limit=5)
    assert storage.settle([Settlement(lease, SUCCEED) for lease in leases[:3]], at(1)) == [True] * 3
    server.kill()
    server.start()
    assert (
        storage.settle([Settlement(lease, retry(at(9))) for lease in leases], at(2))
        == [False] * 3 + [True] * 2
    )
    assert len(claim(storage)) == 4
    assert fold(storage.events()) == {job.id: standing(job) for job in storage.find()}
    storage.close()


def test_server_that_is_down_is_told_and_waited_for(server: PostgresServer, schema: str) -> None:
    """A call to a server that does not come back in time fails for now, and keeps nothing."""
    storage = PostgresStorage(server.dsn, schema=schema, patience="300ms")
    lease = start(storage)
    server.stop()
    for call in (lambda: settle(storage, lease, SUCCEED), lambda: storage.get(lease.id)):
        with pytest.raises(StorageUnavailable, match="no connection"):
            call()
    with pytest.raises(StorageUnavailable, match=r"cannot be reached.*see that the server runs"):
        PostgresStorage(server.dsn, schema=schema)
    server.start()
    assert settle(storage, lease, SUCCEED)
    storage.close()


def test_commit_whose_reply_was_lost_is_looked_up(wire: LossyWire, over_wire: PostgresStorage) -> None:
    """Where the connection breaks within a commit, the server is asked what became of it."""
    storage = over_wire
    for call, answer in (
        (lambda: add(storage, new(1), new(2)), [job_id(1), job_id(2)]),
        (lambda: [lease.id for lease in claim(storage, limit=1)], [job_id(1)]),
        (lambda: storage.settle([Settlement(storage.expired(9, at(99))[0], SUCCEED)], at(1)), [True]),
        (lambda: storage.cancel([job_id(2)], at(2)), [True]),
    ):
        wire.losing = "reply"
        assert call() == answer
        assert wire.losing is None
    assert kinds(storage) == [Kind.ENQUEUE, Kind.ENQUEUE, Kind.CLAIM, Kind.SUCCEED, Kind.CANCEL]


def test_call_of_unknown_fate_answers_when_it_is_made_again(
    wire: LossyWire, over_wire: PostgresStorage
) -> None:
    """Where the server cannot be asked, the call says so; made again, it answers as it would have then."""
    storage = over_wire
    lease = start(storage, 1)
    add(storage, new(2))
    exchange = ([Settlement(lease, SUCCEED)], ANN, QUEUES, 1, MINUTE)
    wire.losing, wire.down = "reply", True
    with pytest.raises(StorageUnavailable, match=r"nobody knows whether the call was kept.*again"):
        storage.exchange(*exchange, at(5))
    wire.down = False
    settled, leases, due = storage.exchange(*exchange, at(7))
    assert (settled, [lease.id for lease in leases], due) == ([True], [job_id(2)], None)
    assert kinds(storage) == [Kind.ENQUEUE, Kind.CLAIM, Kind.ENQUEUE, Kind.SUCCEED, Kind.CLAIM]
    assert not settle(storage, lease, SUCCEED, now=at(6))


def test_setting_of_unknown_fate_is_put_in_force_again(wire: LossyWire, over_wire: PostgresStorage) -> None:
    """Another may have taken its place meanwhile, and a queue that is said to be paused is."""
    assert not over_wire.paused()
    wire.losing, wire.down = "reply", True
    with pytest.raises(StorageUnavailable, match="nobody knows"):
        over_wire.pause("mail")
    wire.down = False
    assert over_wire.resume("mail")
    assert over_wire.pause("mail")
    assert over_wire.paused() == {"mail"}


def test_exchange_that_claims_nothing_is_one_transaction(
    postgres: str, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a worker that goes home has settled is never told as if it had failed, whoever is away by then."""
    storage = PostgresStorage(postgres, schema=schema)
    lease = start(storage)
    add(storage, new(2, run_at=at(9)))

    def away(*_: object) -> list[object]:
        raise StorageUnavailable("it is away")

    monkeypatch.setattr(Database, "glance", away)
    assert storage.exchange([Settlement(lease, SUCCEED)], ANN, QUEUES, 0, MINUTE, at(1)) == (
        [True],
        [],
        at(9),
    )
    storage.close()


@pytest.mark.parametrize("down", [False, True])
def test_commit_that_was_lost_is_made_again(wire: LossyWire, over_wire: PostgresStorage, down: bool) -> None:
    """What the server never heard of was not kept: it is done anew, at once or when called again."""
    lease = start(over_wire)
    wire.losing, wire.down = "commit", down
    if down:
        with pytest.raises(StorageUnavailable, match="nobody knows"):
            settle(over_wire, lease, SUCCEED)
        wire.down = False
    assert settle(over_wire, lease, SUCCEED)
    assert kinds(over_wire) == [Kind.ENQUEUE, Kind.CLAIM, Kind.SUCCEED]


@pytest.mark.parametrize("way", ["asked", "answered"])
@pytest.mark.parametrize("prepared", [True, False])
def test_connection_may_break_anywhere(wire: LossyWire, schema: str, prepared: bool, way: str) -> None:
    """Wherever the connection breaks, within a message too, nothing is lost or done twice."""
    storage = PostgresStorage(wire.dsn, schema=schema, prepared=prepared, connections=1)
    jobs = [new(number) for number in range(1, 41)]
    for place, job in enumerate(jobs):
        wire.left[way] = 1 + 131 * place
        assert add(storage, job) == [job.id]
        settle_all(storage)
        wire.left.clear()
    for _ in range(1_000):  # the server may still hold what was claimed over a connection that broke
        settle_all(storage)
        if storage.counts()[State.SUCCEEDED] == len(jobs):
            break
    for job in jobs:
        told = [event.kind for event in storage.events(job=job.id)]
        assert told == [Kind.ENQUEUE, Kind.CLAIM, Kind.SUCCEED]
    storage.close()


def settle_all(storage: PostgresStorage) -> None:
    for lease in claim(storage, limit=99):
        assert settle(storage, lease, SUCCEED)


def test_job_that_another_holds_is_waited_for_within_bounds(postgres: str, schema: str) -> None:
    """A lock that is not let go of makes a call fail for now; nothing of it is kept."""
    storage = PostgresStorage(postgres, schema=schema, patience="100ms")
    one, two = start(storage, 1), start(storage, 2)
    with psycopg.connect(postgres) as other:
        other.execute(f"SELECT FROM {schema}.job WHERE id = %s FOR UPDATE", (two.key,))
        with pytest.raises(StorageBusy, match=r"others were in the way.*lock timeout"):
            storage.settle([Settlement(one, SUCCEED), Settlement(two, SUCCEED)], at(1))
        assert settle(storage, one, SUCCEED)
        other.rollback()
    assert settle(storage, two, SUCCEED)
    storage.close()


def test_deadlock_with_others_is_got_over(postgres: str, schema: str) -> None:
    """Where the server undoes the call to let another through, it is made again after that one."""
    storage = PostgresStorage(postgres, schema=schema)
    add(storage, new(1), new(2))
    one, two = claim(storage)
    locked = f"SELECT FROM {schema}.job WHERE id = %s FOR UPDATE"
    with psycopg.connect(postgres) as other, ThreadPoolExecutor(1) as thread:
        other.execute("SET deadlock_timeout = '20s'")  # so that the victim is not this one
        other.execute(locked, (two.key,))
        settled = thread.submit(storage.settle, [Settlement(one, SUCCEED), Settlement(two, SUCCEED)], at(1))
        waiting = "SELECT FROM pg_locks WHERE NOT granted AND %s = ANY (pg_blocking_pids(pid))"
        while not other.execute(waiting, (other.info.backend_pid,)).fetchall():
            assert not settled.done()
        other.execute(locked, (one.key,))  # granted once the settlement is undone
        assert not settled.done()
        other.rollback()
        assert settled.result(timeout=20) == [True, True]
    assert sum(event.kind is Kind.SUCCEED for event in storage.events()) == 2
    storage.close()


def test_writers_of_the_same_jobs_do_not_lock_each_other_out(postgres: str, schema: str) -> None:
    """Batches in any order are locked in one, so that there is no deadlock to break."""
    storage = PostgresStorage(postgres, schema=schema)
    add(storage, *(new(n) for n in range(40)))
    leases = claim(storage)

    def renew(turn: int) -> int:
        batch = leases if turn % 2 else leases[::-1]
        if turn % 4 == 3:
            return len(storage.requeue([lease.id for lease in batch], at(9)))
        return len(storage.extend(batch, at(60 + turn), at(turn)))

    with ThreadPoolExecutor(4) as threads:
        assert min(threads.map(renew, range(24))) == 40
    storage.close()


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        ("40001", StorageBusy, "others were in the way"),
        ("40P01", StorageBusy, "others were in the way"),
        ("55P03", StorageBusy, "others were in the way"),
        ("57014", StorageBusy, "SET statement_timeout"),
        ("53100", StorageFull, "disk is full"),
        ("25006", StorageReadOnly, "standby"),
        ("57P01", StorageUnavailable, "cannot be reached"),
        ("57P03", StorageUnavailable, "cannot be reached"),
        ("53300", StorageUnavailable, "takes no more connections"),
        ("57P05", StorageUnavailable, "cannot be reached"),
        ("08006", StorageUnavailable, "cannot be reached"),
        ("28P01", StorageError, "however long"),
        ("28000", StorageError, "however long"),
        ("3D000", StorageError, "however long"),
        ("42P01", StorageForeign, "has not the tables"),
        ("42501", StorageError, "grant"),
        ("XX001", StorageForeign, "backup"),
        ("22021", StorageError, "cannot be stored"),
        ("23505", StorageError, "refused"),
    ],
)
def test_errors_of_the_server_are_told_in_our_words(code: str, kind: type[StorageError], said: str) -> None:
    """Each has the type that says whether trying again may help, and names the database."""
    meaning = explained(errors.lookup(code)("they said"), "the database")
    assert type(meaning) is kind
    assert str(meaning).startswith("the database: ")
    assert said in str(meaning)


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ('connection to server at "db", port 5432 failed: FATAL:  the database system is starting up', True),
        ('connection to server at "db", port 5432 failed: FATAL:  sorry, too many clients already', True),
        ('connection to server at "db", port 5432 failed: Connection refused', True),
        ("connection timeout expired", True),
        (
            f"failed to resolve host 'db': [Errno {socket.EAI_AGAIN}] Temporary failure in name resolution",
            True,
        ),
        (f"failed to resolve host 'db': [Errno {socket.EAI_NONAME}] Name or service not known", True),
        ('connection to server at "db" failed: FATAL:  LDAP authentication failed for user "a"', True),
        ('connection to server at "db" failed: FATAL:  RADIUS authentication failed for user "a"', True),
        ('connection to server at "db" failed: FATAL:  password authentication failed for user "a"', False),
        ('connection to server at "db" failed: FATAL:  role "a" is not permitted to log in', False),
        ('connection to server at "db" failed: FATAL:  no pg_hba.conf entry for host "::1"', False),
        ('connection to server at "db" failed: fe_sendauth: no password supplied', False),
        ('connection to server at "db" failed: FATAL:  no such database: a', False),
        ('connection to server at "db" failed: FATAL:  permission denied for database "a"', False),
    ],
)
def test_connection_that_is_refused_for_good_is_told_from_one_that_is_for_now(
    text: str, passes: bool
) -> None:
    """What waiting cannot mend says so, and is no `StorageUnavailable`, for which others wait."""
    meaning = explained(psycopg.OperationalError(f"connection failed: {text}"), "the database")
    assert type(meaning) is (StorageUnavailable if passes else StorageError)
    assert ("however long one waits" in str(meaning)) is not passes


@pytest.mark.parametrize(
    "text",
    [
        "FATAL:  sorry, too many clients already",
        'FATAL:  too many connections for role "a"',
        "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute",
    ],
)
def test_server_without_a_connection_to_spare_is_told_from_one_that_is_away(text: str) -> None:
    """Where connecting fails for want of a connection, the error says which limits there are."""
    meaning = explained(psycopg.OperationalError(f"connection failed: {text}"), "the database")
    assert type(meaning) is StorageUnavailable
    assert "takes no more connections" in str(meaning)


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("user=postgres", "user=nobody", 'role "nobody" does not exist'),
        ("/postgres?", "/nowhere?", 'database "nowhere" does not exist'),
        ("user=postgres", "user=postgres&sslmode=bogus", "invalid sslmode"),
    ],
)
def test_server_that_refuses_is_not_waited_for(postgres: str, right: str, wrong: str, said: str) -> None:
    """A wrong role, database or option ends a wait at its first look, with what the server says of it."""
    assert right in postgres
    looks = []

    def look() -> None:
        looks.append(1)
        PostgresStorage(postgres.replace(right, wrong))

    with pytest.raises(StorageError, match=said):
        reach(look, Duration(SECOND))
    assert len(looks) == 1


def test_text_that_cannot_be_stored_keeps_nothing(postgres: str, schema: str) -> None:
    """Half a surrogate pair in a name is spelled out, as in any text."""
    storage = PostgresStorage(postgres, schema=schema)
    add(storage, new(1, kind="k\ud800"))
    assert stored(storage, job_id(1)).kind == "k\\ud800"
    storage.close()


def test_news_that_cannot_be_told_undoes_nothing(postgres: str, schema: str) -> None:
    """Where those who listen cannot be told, the jobs are accepted all the same, and found by looking."""
    storage = PostgresStorage(postgres, schema=schema)
    storage._writes._channel = "x" * 99
    assert add(storage, new(1)) == [job_id(1)]
    assert [lease.id for lease in claim(storage)] == [job_id(1)]
    storage.close()
