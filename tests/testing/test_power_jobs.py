"""What a store has told is held against a database that lacks some of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest

from jobsim.core.decide import SUCCESS, Settlement
from jobsim.core.job import JobId, NewJob, WorkerId
from jobsim.core.time import SECOND, Duration, Instant
from jobsim.storage.base import Storage
from jobsim.storage.sqlite import SqliteStorage
from jobsim.testing.power_jobs import JobsKept, witnessed

ANN = WorkerId("ann")
NOW = Instant(SECOND)
LEASE = Duration(SECOND)


class Notes:
    """What was told."""

    def __init__(self) -> None:
        self.notes: list[object] = []

    def note(self, what: object, *, confirms: bool = True) -> None:
        """Note it."""
        self.notes.append(what)


@contextmanager
def opened(path: Path, notes: Notes) -> Iterator[Storage]:
    storage = SqliteStorage(path)
    yield witnessed(storage, notes)
    storage.close()


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def kept(tmp_path: Path, notes: Notes) -> list[bytes]:
    """Return the database as it was first, and after each of four calls: enqueue, claim, settle, cancel."""
    path = tmp_path / "jobs.db"
    with opened(path, notes):
        pass
    images = [path.read_bytes()]
    with opened(path, notes) as storage:
        storage.enqueue([NewJob(JobId(1), "work", NOW), NewJob(JobId(2), "work", NOW)], NOW)
    images.append(path.read_bytes())
    with opened(path, notes) as storage:
        [lease] = storage.claim(ANN, ["default"], 1, LEASE, NOW)
    images.append(path.read_bytes())
    with opened(path, notes) as storage:
        storage.settle([Settlement(lease, SUCCESS)], NOW)
    images.append(path.read_bytes())
    with opened(path, notes) as storage:
        storage.cancel([JobId(2)], NOW)
    return [*images, path.read_bytes()]


def test_database_that_has_all_that_was_told_is_sound(kept: list[bytes], notes: Notes) -> None:
    """One that is as far as its clients know, or further, breaks no promise."""
    judge = JobsKept(notes)
    for told in range(5):
        assert [judge(content, told) for content in kept[told:]] == [""] * (5 - told)


@pytest.mark.parametrize(
    ("found", "told", "said"),
    [
        (0, 1, "accepted, yet not there"),
        (1, 2, "has token 0, and 1 was handed out"),
        (2, 3, "succeed was confirmed, and did not happen"),
        (3, 4, "cancel was confirmed, and did not happen"),
    ],
)
def test_what_was_told_and_is_not_there_is_found(
    kept: list[bytes], notes: Notes, found: int, told: int, said: str
) -> None:
    """Whatever the last call did, a database from before it does not keep what that has answered."""
    assert said in JobsKept(notes)(kept[found], told)


def test_database_whose_log_is_not_its_state_is_found(
    tmp_path: Path, kept: list[bytes], notes: Notes
) -> None:
    """Even where all that was told is there."""
    path = tmp_path / "spoilt.db"
    path.write_bytes(kept[4])
    connection = apsw.Connection(str(path))
    connection.execute("UPDATE jobsim_job SET token = 9 WHERE id = 1")
    connection.close()
    assert "log_equals_state" in JobsKept(notes)(path.read_bytes(), 4)
