"""Which copy of the SQLite library this process uses on which file: APSW's, or that of Python's own sqlite3.

Two copies on one file do not know of each other's locks, and whichever closes the file first drops those of
both: then a commit can be lost, or the file broken. Source: https://sqlite.org/howtocorrupt.html, 2.2.1.
"""

import os
from threading import Lock
from typing import Final
from weakref import WeakKeyDictionary

from jobsim.core.errors import StorageError

File = tuple[int, int]
"""A device and an inode: what a lock is on, by whatever name the file was opened."""

_through_apsw: Final[WeakKeyDictionary[object, File]] = WeakKeyDictionary()
_through_stdlib: Final[set[File]] = set()
"""For the life of the process: a connection of sqlite3 takes no weak reference that would tell of its end."""

_lock: Final = Lock()


def enter_apsw(owner: object, path: str) -> None:
    """Note that `owner` has the file open through APSW, from before it is opened until it lives no more.

    Raises:
        StorageError: Python's sqlite3 has it open.
    """
    with _lock:
        file = identity(path)
        if file in _through_stdlib:
            raise StorageError(
                f"{path} was opened through Python's sqlite3 in this process, by a connection that jobs were "
                f"enqueued with; a second copy of the SQLite library must not open it here too. Go on with "
                f"such connections, or enqueue with an apsw.Connection, or do this in another process"
            )
        _through_apsw[owner] = file


def leave_apsw(owner: object) -> None:
    """Note that `owner` has its file open no more."""
    with _lock:
        _through_apsw.pop(owner, None)


def enter_stdlib(path: str) -> None:
    """Note that the file is open through Python's sqlite3.

    Raises:
        StorageError: APSW has it open.
    """
    with _lock:
        file = identity(path)
        if file in _through_apsw.values():
            raise StorageError(
                f"{path} is open through APSW in this process, by a queue or a worker; a second copy of the "
                f"SQLite library, Python's sqlite3, must not be used on it here. Enqueue with an "
                f"apsw.Connection, or in a process that has not opened the queue"
            )
        _through_stdlib.add(file)


def identity(path: str) -> File:
    """Return what the file is, by whatever name."""
    found = os.stat(path)  # noqa: PTH116  # asked for at every call of the store; a Path costs as much again
    return found.st_dev, found.st_ino


# A lock that another thread holds would be held in a forked child for ever.
os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
