"""The tables of the SQLite store: their names, their version, and whose file they may be in."""

from pathlib import Path

import pytest

from jobsim.core.budget import Budget
from jobsim.core.decide import Settlement
from jobsim.core.errors import StorageError, StorageForeign
from jobsim.core.job import State
from jobsim.core.limits import By, Limit, Scope
from jobsim.storage.sqlite import SqliteStorage
from jobsim.storage.sqlite_file import APPLICATION_ID
from jobsim.testing.conformance_base import BEGAN, SUCCEED, add, claim, job_id, new
from tests.storage.faults import bare


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs.db"


def test_all_names_have_the_prefix(path: Path) -> None:
    """Nothing of ours can be taken for something of an application's."""
    SqliteStorage(path).close()
    with bare(path) as other:
        rows = other.execute("SELECT name FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
    names = [str(name) for (name,) in rows]
    assert len(names) > 10
    assert [name for name in names if not name.startswith(("jobsim_", "sqlite_sequence"))] == []


def test_version_is_in_a_table_and_in_the_header(path: Path) -> None:
    """The table has the version in one row; the header has the marks by which tools know the file."""
    SqliteStorage(path).close()
    with bare(path) as other:
        [(version,)] = other.execute("SELECT version FROM jobsim_schema").fetchall()
        assert other.pragma("user_version") == version
        assert other.pragma("application_id") == APPLICATION_ID


def test_file_of_the_first_schema_is_brought_up_to_date(path: Path) -> None:
    """It keeps its jobs, and has what is new: tables of budgets, breakers and paused queues, and headers."""
    storage = SqliteStorage(path)
    add(storage, new(1))
    storage.close()
    with bare(path) as other:
        other.execute(
            "DROP VIEW jobsim_whole_job; DROP VIEW jobsim_whole_lease;"
            "ALTER TABLE jobsim_payload DROP COLUMN headers;"
            "DROP TABLE jobsim_guard; DROP TABLE jobsim_paused; UPDATE jobsim_schema SET version = 1"
        )
        other.pragma("user_version", 1)
    for _ in range(2):  # it is left as it is
        with pytest.raises(StorageError, match=r"has schema 1, and this jobsim knows \d+; jobsim migrate"):
            SqliteStorage(path, create=False)
    storage = SqliteStorage(path)
    limits = {Scope(By.KIND, "mail"): Limit(budget=Budget())}
    storage.set_limits(limits)
    assert storage.limits() == limits
    assert storage.pause("mail")
    add(storage, new(2, headers="{}"))
    assert [(job.id, job.headers) for job in storage.find()] == [(job_id(1), ""), (job_id(2), "{}")]
    storage.close()


def test_running_process_goes_on_beside_a_newer_schema(path: Path) -> None:
    """What a newer jobsim adds is not in the way of one that was there before; only a start is refused."""
    storage = SqliteStorage(path)
    add(storage, new(1))
    with bare(path) as other:
        other.execute(
            "ALTER TABLE jobsim_job ADD COLUMN more TEXT; ALTER TABLE jobsim_payload ADD COLUMN more TEXT;"
            "ALTER TABLE jobsim_event ADD COLUMN more TEXT; UPDATE jobsim_schema SET version = 99"
        )
    add(storage, new(2))
    leases = claim(storage)
    assert storage.settle([Settlement(lease, SUCCEED) for lease in leases], BEGAN) == [True, True]
    assert storage.counts()[State.SUCCEEDED] == len(list(storage.events(job=job_id(2)))) - 1 == 2
    with pytest.raises(StorageForeign, match=r"newer jobsim \(schema 99.*upgrade"):
        SqliteStorage(path)
    storage.close()


def test_file_of_a_pre_release_is_refused(path: Path) -> None:
    """Tables of the layout before the first release are not mistaken for those of today."""
    with bare(path) as other:
        other.pragma("application_id", APPLICATION_ID)
        other.pragma("user_version", 1)
        other.execute("CREATE TABLE job (id INTEGER PRIMARY KEY)")
    before = path.read_bytes()
    with pytest.raises(StorageForeign, match="pre-release"):
        SqliteStorage(path)
    assert path.read_bytes() == before


def application(path: Path, mode: str = "delete") -> None:
    """Make the database of an application."""
    with bare(path) as other:
        other.pragma("journal_mode", mode)
        other.pragma("application_id", 7)
        other.pragma("user_version", 12)
        other.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY); INSERT INTO orders VALUES (1)")


def marks(path: Path) -> tuple[object, ...]:
    """Return what an application may know its database by."""
    with bare(path) as other:
        rows = other.execute("SELECT id FROM orders").fetchall()
        return other.pragma("application_id"), other.pragma("user_version"), *rows


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_jobs_can_be_beside_the_tables_of_an_application(path: Path, mode: str) -> None:
    """Where that is asked for, once: our tables are added, and all that is the application's stays."""
    application(path, mode)
    before = marks(path)
    with pytest.raises(StorageForeign, match="shared"):
        SqliteStorage(path)
    storage = SqliteStorage(path, shared=True)
    add(storage, new(1))
    other = SqliteStorage(path)
    assert [job.id for job in other.find()] == [job_id(1)]
    storage.close()
    other.close()
    assert marks(path) == before
    storage = SqliteStorage(path)
    assert [job.id for job in storage.find()] == [job_id(1)]
    storage.close()
    assert [file.name for file in path.parent.iterdir()] == ["jobs.db"]


def test_tables_that_are_in_the_wal_alone_are_found(path: Path) -> None:
    """A process that ended without closing leaves the file itself as it was before our tables came."""
    application(path, "wal")
    header = path.read_bytes()
    storage = SqliteStorage(path, shared=True)
    add(storage, new(1))
    copy = path.parent / "copy.db"
    for suffix in ("-wal", ""):
        Path(f"{copy}{suffix}").write_bytes(Path(f"{path}{suffix}").read_bytes())
    storage.close()
    assert copy.read_bytes() == header
    storage = SqliteStorage(copy)
    assert [job.id for job in storage.find()] == [job_id(1)]
    storage.close()


def test_shared_file_can_be_new(path: Path) -> None:
    """The queue may come before the application; the header is left to that."""
    SqliteStorage(path, shared=True).close()
    with bare(path) as other:
        assert other.pragma("application_id") == 0
        other.pragma("user_version", 99)
    SqliteStorage(path).close()


def test_shared_is_no_excuse_for_another_kind_of_file(path: Path) -> None:
    """What is not a SQLite database, or is newer than this version, is refused all the same."""
    path.write_text("#!/bin/sh\n")
    with pytest.raises(StorageForeign, match="not a SQLite database"):
        SqliteStorage(path, shared=True)
    path.unlink()
    SqliteStorage(path, shared=True).close()
    with bare(path) as other:
        other.execute("UPDATE jobsim_schema SET version = 99")
    for shared in (False, True):
        with pytest.raises(StorageForeign, match="newer"):
            SqliteStorage(path, shared=shared)


def test_version_is_the_tables_word(path: Path) -> None:
    """An application that numbers its own schema in the header of our file does not change ours."""
    SqliteStorage(path).close()
    with bare(path) as other:
        other.pragma("user_version", 99)
    SqliteStorage(path).close()


def test_file_of_an_application_gets_no_tables_unless_asked(path: Path) -> None:
    """Who only looks for jobs in a file that is shared changes nothing of it."""
    with bare(path) as other:
        other.execute("CREATE TABLE invoice (id)")
    with pytest.raises(StorageError, match="does not hold jobsim's tables"):
        SqliteStorage(path, shared=True, create=False)
    with bare(path) as other:
        assert other.execute("SELECT name FROM sqlite_schema").fetchall() == [("invoice",)]
