"""Journals: what a process was told outlives it, as it was."""

from pathlib import Path

import pytest

from jobsim.core.errors import StorageUnavailable
from jobsim.core.job import JobId, NewJob, WorkerId
from jobsim.core.time import SECOND, Duration, Instant
from jobsim.core.transitions import Kind
from jobsim.storage.memory import MemoryStorage
from jobsim.storage.troubles import Mishap, Script
from jobsim.testing.clients import Told, WatchedStorage
from jobsim.testing.journals import Journal, read

NOW, LEASE = Instant(0), Duration(10 * SECOND)


def spoken(path: Path) -> Journal:
    """Return the journal of a client who enqueued a job and claimed it, and died in the next enqueue."""
    journal, store = Journal(path), MemoryStorage()
    storage = WatchedStorage(store, journal, Script({3: Mishap.LOST_REPLY}))
    storage.enqueue([NewJob(JobId(1), "work", NOW)], NOW)
    storage.claim(WorkerId("ann"), ["default"], 1, LEASE, NOW)
    with pytest.raises(StorageUnavailable):
        storage.enqueue([NewJob(JobId(2), "work", NOW)], NOW)
    journal.close()
    return journal


def test_journal_reads_as_it_was_told(tmp_path: Path) -> None:
    """What was heard stands in the place of what was asked; what was not heard is known to be asked."""
    journal = spoken(tmp_path / "1")
    clients = read([tmp_path / "1"])
    assert clients.told == journal.told
    assert clients.told == [
        Told(Kind.ENQUEUE, JobId(1), 0, True),
        Told(Kind.CLAIM, JobId(1), 1, True, WorkerId("ann")),
        Told(Kind.ENQUEUE, JobId(2), 0, None),
    ]
    assert (clients.offered, clients.accepted) == ({JobId(1), JobId(2)}, {JobId(1)})


def test_journals_of_several_processes_are_read_as_one(tmp_path: Path) -> None:
    """Each has a file of its own."""
    spoken(tmp_path / "1")
    spoken(tmp_path / "2")
    assert len(read([tmp_path / "1", tmp_path / "2"]).told) == 6


def test_line_that_was_cut_short_was_not_said(tmp_path: Path) -> None:
    """Who is killed while writing a line knew nothing of what it was to say."""
    spoken(tmp_path / "1")
    whole = (tmp_path / "1").read_bytes()
    (tmp_path / "1").write_bytes(whole[:-3])
    assert [told.job for told in read([tmp_path / "1"]).told] == [JobId(1), JobId(1)]
