"""The schema of a PostgreSQL store: made once, known again, and left alone where it is not ours."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from jobsim.core.budget import Budget
from jobsim.core.decide import Settlement
from jobsim.core.errors import ConfigError, StorageError, StorageForeign
from jobsim.core.job import State
from jobsim.core.limits import By, Limit, Scope
from jobsim.core.transitions import Kind
from jobsim.storage.postgres import PostgresStorage
from jobsim.storage.postgres_statements import migrations, script
from jobsim.storage.postgres_url import conninfo_and_options
from jobsim.testing.conformance_base import BEGAN, SUCCEED, add, claim, job_id, new, settle, start, stored

Ask = Callable[..., list[tuple[object, ...]]]


@pytest.fixture
def ask(postgres: str) -> Ask:
    """Run a statement in a session of its own."""

    def ask(statement: str) -> list[tuple[object, ...]]:
        with psycopg.connect(postgres, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    return ask


def test_schema_is_made_by_one_of_many(postgres: str, schema: str, ask: Ask) -> None:
    """Processes that start at the same time make it once between them."""
    with ThreadPoolExecutor(6) as threads:
        stores = list(threads.map(lambda _: PostgresStorage(postgres, schema=schema), range(6)))
    for number, storage in enumerate(stores):
        add(storage, new(number))
        storage.close()
    assert ask(f"SELECT version FROM {schema}.jobsim_schema") == [(len(migrations(schema)),)]
    assert ask(f"SELECT count(*) FROM {schema}.job") == [(6,)]


@pytest.mark.parametrize(
    "default",
    [
        "default_transaction_read_only=on",
        "default_transaction_isolation=serializable",
        "search_path=nowhere",
        "lock_timeout=1ms",
    ],
)
def test_defaults_of_the_role_change_nothing(postgres: str, schema: str, default: str) -> None:
    """A schema is made, and jobs are claimed and settled, by a role whose transactions begin otherwise."""
    storage = PostgresStorage(f"{postgres}&options={quote('-c' + default)}", schema=schema)
    add(storage, new(1))
    [lease] = claim(storage)
    assert storage.settle([Settlement(lease, SUCCEED)], BEGAN) == [True]
    storage.close()


def test_database_that_lacks_characters_is_refused(postgres: str, schema: str, ask: Ask) -> None:
    """What a handler may fail with has to be written down, in whatever script; bytes as they come will do."""
    for encoding in ("LATIN1", "SQL_ASCII"):
        name = f"{schema}_{encoding.lower()}"
        ask(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'")
        try:
            url = make_conninfo(postgres, dbname=name)
            if encoding == "LATIN1":
                with pytest.raises(StorageError, match=r"is encoded in LATIN1.*createdb --encoding UTF8"):
                    PostgresStorage(url, schema=schema)
                continue
            storage = PostgresStorage(url, schema=schema)
            add(storage, new(1, payload='{"price": "5 €"}'))
            assert [job.payload for job in storage.find()] == ['{"price": "5 €"}']
            storage.close()
        finally:
            ask(f"DROP DATABASE {name} WITH (FORCE)")


def test_first_schema_is_brought_up_to_date(postgres: str, schema: str, ask: Ask) -> None:
    """It keeps its jobs, and has what is new: tables of budgets, breakers and paused queues, and headers."""
    storage = PostgresStorage(postgres, schema=schema)
    add(storage, new(1))
    storage.close()
    ask(f"DROP VIEW {schema}.whole_job")
    ask(f"ALTER TABLE {schema}.content DROP COLUMN headers")
    ask(f"DROP TABLE {schema}.guard, {schema}.paused")
    ask(f"UPDATE {schema}.jobsim_schema SET version = 1")
    with pytest.raises(StorageError, match=r"has schema 1, and this jobsim knows \d+; jobsim migrate"):
        PostgresStorage(postgres, schema=schema, create=False)
    storage = PostgresStorage(postgres, schema=schema)
    limits = {Scope(By.KIND, "mail"): Limit(budget=Budget())}
    storage.set_limits(limits)
    assert storage.limits() == limits
    assert storage.pause("mail")
    add(storage, new(2, headers="{}"))
    assert [(job.id, job.headers) for job in storage.find()] == [(job_id(1), ""), (job_id(2), "{}")]
    storage.close()


def test_running_process_goes_on_beside_a_newer_schema(postgres: str, schema: str, ask: Ask) -> None:
    """What a newer jobsim adds is not in the way of one that was there before; only a start is refused."""
    storage = PostgresStorage(postgres, schema=schema)
    add(storage, new(1))
    for table in ("job", "content", "event"):
        ask(f"ALTER TABLE {schema}.{table} ADD COLUMN colour text")
    ask(f"UPDATE {schema}.jobsim_schema SET version = 99")
    add(storage, new(2))
    leases = claim(storage)
    assert storage.settle([Settlement(lease, SUCCEED) for lease in leases], BEGAN) == [True, True]
    assert storage.counts()[State.SUCCEEDED] == len(list(storage.events(job=job_id(2)))) - 1 == 2
    storage.close()


def test_schema_is_ours_that_people_made_by_its_sql(postgres: str, schema: str, ask: Ask) -> None:
    """A store takes the tables that the script makes as they are, and changes nothing."""
    ask(script(schema))
    storage = PostgresStorage(postgres, schema=schema, create=False)
    add(storage, new(1))
    assert len(claim(storage)) == 1
    storage.close()


def test_schemas_of_one_database_share_nothing(postgres: str, schema: str) -> None:
    """Two stores in one database have each its own jobs, keys and log."""
    one, two = (PostgresStorage(postgres, schema=name) for name in (schema, f"{schema}_2"))
    add(one, new(1))
    assert (two.find(), list(two.events()), claim(two)) == ([], [], [])
    assert start(two, 1).key == claim(one)[0].key
    one.close()
    two.close()


def test_empty_schema_is_taken(postgres: str, schema: str, ask: Ask) -> None:
    """A schema that an administrator made is filled."""
    ask(f"CREATE SCHEMA {schema}")
    storage = PostgresStorage(postgres, schema=schema)
    add(storage, new(1))
    storage.close()


def test_current_schema_needs_no_rights_to_make_one(postgres: str, schema: str, ask: Ask) -> None:
    """A user who may only read and write the tables can work; what he lacks is told."""
    PostgresStorage(postgres, schema=schema).close()
    ask(f"CREATE ROLE {schema}_user LOGIN")
    mine = postgres.replace("user=postgres", f"user={schema}_user")
    with pytest.raises(StorageError, match=r"may not do that.*grant"):
        PostgresStorage(mine, schema=schema)
    ask(f"GRANT USAGE ON SCHEMA {schema} TO {schema}_user")
    for what in ("TABLES", "SEQUENCES"):
        ask(f"GRANT ALL ON ALL {what} IN SCHEMA {schema} TO {schema}_user")
    storage = PostgresStorage(mine, schema=schema)
    assert settle(storage, start(storage), SUCCEED)
    assert [event.kind for event in storage.events()] == [Kind.ENQUEUE, Kind.CLAIM, Kind.SUCCEED]
    storage.close()


def test_newer_schema_is_refused(postgres: str, schema: str, ask: Ask) -> None:
    """What a later version made is not touched."""
    PostgresStorage(postgres, schema=schema).close()
    ask(f"UPDATE {schema}.jobsim_schema SET version = 99")
    with pytest.raises(StorageForeign, match=r"newer jobsim \(schema 99.*upgrade"):
        PostgresStorage(postgres, schema=schema)


def test_foreign_schema_is_refused(postgres: str, schema: str, ask: Ask) -> None:
    """Tables of others are named, and nothing is added to them."""
    ask(f"CREATE SCHEMA {schema}")
    ask(f"CREATE TABLE {schema}.invoice ()")
    with pytest.raises(StorageForeign, match=r"holds 'invoice'.*name another schema"):
        PostgresStorage(postgres, schema=schema)
    assert ask(f"SELECT relname FROM pg_class WHERE relnamespace = '{schema}'::regnamespace") == [
        ("invoice",)
    ]


def test_missing_schema_is_not_made_unasked(postgres: str, schema: str, ask: Ask) -> None:
    """A command that only looks makes no tables."""
    with pytest.raises(StorageError, match="does not hold jobsim's tables"):
        PostgresStorage(postgres, schema=schema, create=False)
    assert ask(f"SELECT to_regnamespace('{schema}')") == [(None,)]


def test_lost_table_is_told(postgres: str, schema: str, ask: Ask) -> None:
    """A table that somebody dropped is missed in our own words."""
    storage = PostgresStorage(postgres, schema=schema)
    ask(f"DROP TABLE {schema}.job CASCADE")
    with pytest.raises(StorageForeign, match="has not the tables"):
        add(storage, new(1))
    storage.close()


@pytest.mark.parametrize("name", ["", "1st", "with space", 'quo"te', "pg_mine", "x" * 64, "é"])
def test_name_that_cannot_be_a_schema_is_refused(name: str) -> None:
    """The name is checked before anything is connected to."""
    with pytest.raises(ConfigError, match="cannot be the name of a schema"):
        PostgresStorage("postgresql://nowhere", schema=name)


@pytest.mark.parametrize("url", ["postgresql://host/db?shema=x", "host"])
def test_wrong_address_is_refused_with_a_right_one(url: str) -> None:
    """What libpq does not understand is told as it says, with an example."""
    with pytest.raises(ConfigError, match="write for example postgresql://"):
        PostgresStorage(url)


def test_options_in_a_url_are_told_apart_from_those_of_libpq() -> None:
    """What is ours is taken out, the rest is passed on as it was."""
    url = "postgresql:///db?host=/tmp/a%20b&schema=mine&prepared=off&connections=7&patience=3s"
    conninfo, options = conninfo_and_options(url)
    assert conninfo == "postgresql:///db?host=%2Ftmp%2Fa%20b"
    assert options == {
        "schema": "mine",
        "prepared": False,
        "connections": 7,
        "patience": "3s",
    }
    assert conninfo_and_options("postgresql://me@host/db") == ("postgresql://me@host/db", {})


def test_commit_is_durable_whatever_the_server_was_told(postgres: str, schema: str, ask: Ask) -> None:
    """A session whose commits would not wait for the disk makes those of the store wait all the same."""
    PostgresStorage(postgres, schema=schema).close()
    ask(f"CREATE TABLE {schema}.seen (setting text)")
    body = f"INSERT INTO {schema}.seen SELECT current_setting(''synchronous_commit''); RETURN NULL;"
    ask(f"CREATE FUNCTION {schema}.see() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN {body} END'")
    ask(f"CREATE TRIGGER see AFTER INSERT ON {schema}.event EXECUTE FUNCTION {schema}.see()")
    for told, done in (("off", "on"), ("on", "on"), ("remote_apply", "remote_apply"), ("local", "local")):
        storage = PostgresStorage(f"{postgres}&options=-csynchronous_commit%3D{told}", schema=schema)
        start(storage, len(told))
        storage.close()
        assert set(ask(f"SELECT setting FROM {schema}.seen")) == {(done,)}
        ask(f"TRUNCATE {schema}.seen, {schema}.job, {schema}.content")


def test_session_is_left_as_it_was(postgres: str, schema: str) -> None:
    """Behind a proxy the next transaction may be another's: no setting, lock or prepared statement stays."""
    storage = PostgresStorage(postgres, schema=schema, prepared=False, listen=False, connections=1)
    for number in range(9):
        settle(storage, start(storage, number), SUCCEED)
    storage.cancel([job_id(1)], new(1).run_at)
    assert storage.watch() is None
    with storage._database._connections.borrow() as connection:
        for query, found in (
            ("SELECT count(*) FROM pg_prepared_statements", 0),
            ("SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'", 0),
            ("SELECT count(*) FROM pg_settings WHERE source = 'session'", 0),
            ("SELECT count(*) FROM pg_listening_channels()", 0),
        ):
            assert connection.execute(query, prepare=False).fetchall() == [(found,)]
    storage.close()


def test_payload_of_megabytes_is_out_of_the_way(postgres: str, schema: str, ask: Ask) -> None:
    """A large payload comes back whole, and the rows that claims go through stay small."""
    storage = PostgresStorage(postgres, schema=schema)
    large = '"' + "x\\u0000é" * 800_000 + '"'
    add(storage, new(1, payload=large, priority=-1), new(2))
    assert [len(lease.payload) for lease in claim(storage)] == [2, len(large)]
    assert stored(storage, job_id(1)).payload == large
    assert stored(storage, job_id(1)).state is State.RUNNING
    [(size,)] = ask(f"SELECT pg_table_size('{schema}.job')")
    assert isinstance(size, int)
    assert size < 100_000
    storage.close()
