"""Bugs that only a power cut shows, planted in the SQLite store, and the cuts that look for them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import perf_counter  # a table says how long it took
from typing import Any

import pytest

from jobsim.storage import sqlite_database
from jobsim.storage.sqlite import Durability
from jobsim.storage.sqlite_database import Database
from jobsim.testing.power_cut import PowerCutDisk
from jobsim.testing.power_jobs import JobsKept
from jobsim.testing.power_losses import QUICK
from jobsim.testing.power_survey import Case, survey
from tests.crash.power import play

Plant = Callable[[pytest.MonkeyPatch], None]
"""Plants a bug for a test."""

FEW = replace(QUICK, most=4, random=1, garbage=0)
SEED = 1


def late_commit(patch: pytest.MonkeyPatch) -> None:
    """A call is acknowledged before its commit, which comes with the next one."""
    safely = Database._safely

    def late(database: Database, step: Callable[..., Any], *args: Any) -> Any:
        if database._connection is not None and database._connection.in_transaction:
            database.cursor.execute("COMMIT")
        return safely(database, step, *args)

    def transact(database: Database, work: Callable[..., Any], args: Any) -> Any:
        database._begin()
        return work(*args)

    patch.setattr(Database, "_safely", late)
    patch.setattr(Database, "_transact", transact)


def no_syncs(patch: pytest.MonkeyPatch) -> None:
    """Full durability waits for no disk."""
    patch.setitem(sqlite_database._SYNCHRONOUS, Durability.FULL, 0)


def lazy_syncs(patch: pytest.MonkeyPatch) -> None:
    """Full durability is normal durability."""
    patch.setitem(sqlite_database._SYNCHRONOUS, Durability.FULL, 1)


def trusted_wal(patch: pytest.MonkeyPatch) -> None:
    """After a sync that failed, the next process builds on what it reads, and the disk may not have."""
    patch.setattr(Database, "_make_sure", lambda *_: None)


PLANTS: tuple[Plant, ...] = (late_commit, no_syncs, lazy_syncs, trusted_wal)


def by_power_cuts(directory: Path) -> tuple[int, float, Case] | None:
    """Cut the power until something is wrong; return after how many images and seconds that was, and what.

    One connection does all, as some of these bugs would keep a second one out. The last days are those of a
    disk on which a sync fails.
    """
    images, began = 0, perf_counter()
    for failing in (0, 18, 24):
        place = directory / f"sync-{failing}"
        place.mkdir()
        with PowerCutDisk(failing_sync=failing) as disk:
            play(place, disk, SEED, rounds=1, connections=1)
            for case in survey(disk, FEW, SEED, JobsKept(disk)):
                images += case.is_new
                if not case.sound:
                    return images, perf_counter() - began, case
    return None
