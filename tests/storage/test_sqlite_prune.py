"""The SQLite store forgets jobs for good, without standing in the way of others."""

from pathlib import Path
from typing import Any

import pytest

from jobsim.core.job import State
from jobsim.storage import sqlite_prune
from jobsim.storage.sqlite import SqliteStorage
from jobsim.storage.sqlite_database import Database
from jobsim.testing.conformance_base import BURY, SUCCEED, add, at, claim, job_id, last, new, retry, settle
from tests.storage.faults import connection

TABLES = ("job", "payload", "result", "event")


def rows(storage: SqliteStorage) -> dict[str, int]:
    """Return how many rows each table has."""
    names = [f"jobsim_{table}" for table in TABLES]
    return {name: connection(storage).execute(f"SELECT count(*) FROM {name}").get for name in names}


def test_nothing_of_a_job_is_left() -> None:
    """Payload, result and events go with the job, and those of others stay."""
    storage = SqliteStorage(":memory:")
    add(storage, new(1))
    before = rows(storage)
    add(storage, new(2, priority=1))
    [lease] = claim(storage, limit=1)
    settle(storage, lease, SUCCEED._replace(result="1"))
    assert storage.prune([State.SUCCEEDED], at(1), 9) == 1
    assert rows(storage) == before
    assert storage.get(job_id(2)) is None
    storage.close()


def test_jobs_are_found_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those to go are found wherever they are in the table, and no more go than were asked for."""
    monkeypatch.setattr(sqlite_prune, "SPAN", 4)
    storage = SqliteStorage(":memory:")
    add(storage, *(new(n) for n in range(20)))
    for lease in claim(storage):
        if lease.key % 3 == 0:
            settle(storage, lease, SUCCEED)
    assert storage.prune([State.SUCCEEDED], at(1), 4) == 4
    assert storage.prune([State.SUCCEEDED], at(1), 4) == 2
    assert storage.prune([State.SUCCEEDED], at(1), 4) == 0
    assert len(storage.find(states=[State.RUNNING])) == 14
    storage.close()


def test_jobs_that_are_no_more_are_not_looked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many jobs there have been, the search takes as long as there are jobs."""
    storage, looks = SqliteStorage(":memory:"), []
    connection(storage).execute("INSERT INTO sqlite_sequence VALUES ('jobsim_job', 1000000)")
    add(storage, *(new(n) for n in range(3)))
    storage.cancel([job_id(2)], at(0))
    read = Database.read

    def counted(database: Database, sql: str, *rest: Any) -> list[Any]:
        looks.append(sql)
        return read(database, sql, *rest)

    monkeypatch.setattr(Database, "read", counted)
    assert storage.prune([State.CANCELLED], at(1), 9) == 1
    assert len(looks) == 2
    storage.close()


def test_job_that_is_needed_again_meanwhile_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another process does with a job between the search and the removal is respected."""
    storage, other = SqliteStorage(tmp_path / "jobs.db"), SqliteStorage(tmp_path / "jobs.db")
    add(storage, new(1), new(2))
    for lease in claim(storage):
        settle(storage, lease, BURY)
    find = sqlite_prune._find

    def slowly(*args: object) -> list[int]:
        found = find(*args)  # type: ignore[arg-type]
        other.requeue([job_id(1)], at(1))
        return found

    monkeypatch.setattr(sqlite_prune, "_find", slowly)
    assert storage.prune([State.DEAD_LETTER], at(1), 9) == 1
    assert [(job.id, job.state) for job in storage.find()] == [(job_id(1), State.PENDING)]
    storage.close()
    other.close()


def test_numbers_of_removed_rows_are_never_given_again() -> None:
    """Neither a lease's key nor an event's number comes a second time, were it the highest."""
    storage = SqliteStorage(":memory:")
    add(storage, new(1))
    [first] = claim(storage)
    settle(storage, first, SUCCEED)
    seq = last(storage).seq
    assert storage.prune([State.SUCCEEDED], at(1), 9) == 1
    add(storage, new(2))
    [second] = claim(storage)
    assert second.key > first.key
    assert next(storage.events()).seq > seq
    assert settle(storage, first, retry(at(2))) is False
    storage.close()
