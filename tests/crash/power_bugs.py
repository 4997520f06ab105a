"""Bugs that only a power cut shows, planted in the SQLite store, and who looks for them."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from time import perf_counter  # a table says how long it took
from typing import Any

import apsw
import pytest

from jobsim.storage import sqlite_connection, sqlite_wal
from jobsim.storage.sqlite import Durability
from jobsim.storage.sqlite_database import Database
from jobsim.testing.power_cut import PowerCutDisk
from jobsim.testing.power_jobs import JobsKept
from jobsim.testing.power_losses import QUICK
from jobsim.testing.power_survey import survey
from tests.crash.power import in_doubt, play
from tests.planted.instruments import Found

Plant = Callable[[pytest.MonkeyPatch], None]
"""Plants a bug for a test."""

FEW = replace(QUICK, most=4, random=1, garbage=0)
SEED = 1


def late_commit(patch: pytest.MonkeyPatch) -> None:
    """A call is acknowledged before its commit, which comes with the next one."""
    safely = Database._safely

    def late(database: Database, step: Callable[..., Any], *args: Any) -> Any:
        def after_the_last(*args: Any) -> Any:
            if database._connection is not None and database._connection.in_transaction:
                database.cursor.execute("COMMIT")
            return step(*args)

        return safely(database, after_the_last, *args)

    def transact(database: Database, work: Callable[..., Any], args: Any) -> Any:
        database._begin()
        return work(*args)

    patch.setattr(Database, "_safely", late)
    patch.setattr(Database, "_transact", transact)


def no_syncs(patch: pytest.MonkeyPatch) -> None:
    """Full durability waits for no disk."""
    patch.setitem(sqlite_connection._SYNCHRONOUS, Durability.FULL, 0)


def lazy_syncs(patch: pytest.MonkeyPatch) -> None:
    """Full durability is normal durability."""
    patch.setitem(sqlite_connection._SYNCHRONOUS, Durability.FULL, 1)


def trusted_wal(patch: pytest.MonkeyPatch) -> None:
    """After a sync that failed, the next process builds on what it reads, and the disk may not have."""
    patch.setattr(Database, "_make_sure", lambda *_: None)


def unsynced_wal(patch: pytest.MonkeyPatch) -> None:
    """After a sync that failed, the next process writes the WAL again, and waits for no disk."""

    def write_again(path: str, vfs: str) -> None:
        file = apsw.VFSFile(vfs, path, [apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_READWRITE, 0])
        file.xWrite(file.xRead(file.xFileSize(), 0), 0)
        file.xClose()

    patch.setattr(sqlite_wal, "_write_again", write_again)


PLANTS: tuple[Plant, ...] = (late_commit, no_syncs, lazy_syncs, trusted_wal, unsynced_wal)


def by_power_cuts(directory: Path) -> Found | None:
    """Cut the power until something is wrong; `examples` are images."""
    images, began = 0, perf_counter()
    for disk in _disks(directory):
        for case in survey(disk, FEW, SEED, JobsKept(disk)):
            images += case.is_new
            if not case.sound:
                return Found(images, perf_counter() - began)
    return None


def by_syncs(directory: Path) -> Found | None:
    """Ask, whenever a call is answered, whether the disk has what programs read; `examples` are answers."""
    answers, began = 0, perf_counter()
    for disk in _disks(directory):
        told = 0
        for cut in disk.cuts():
            if cut.told > told:
                answers, told = answers + cut.told - told, cut.told
                if cut.platter.image([]).digest != cut.seen.digest:
                    return Found(answers, perf_counter() - began)
    return None


def _disks(directory: Path) -> Iterator[PowerCutDisk]:
    """Yield disks on which a queue was at work, on all but the second of which a sync has failed.

    One connection does all, as some of these bugs would keep a second one out.
    """
    with PowerCutDisk() as disk:
        yield in_doubt(_made(directory / "in-doubt"), disk)
    for failing in (0, 18, 24):
        with PowerCutDisk(failing_sync=failing) as disk:
            yield play(_made(directory / f"sync-{failing}"), disk, SEED, rounds=1, connections=1)


def _made(place: Path) -> Path:
    place.mkdir(parents=True)
    return place
