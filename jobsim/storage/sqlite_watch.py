"""News of what other processes wrote to a SQLite file: the system tells of writes, SQLite of commits."""

import os
import select
import threading
from collections.abc import Iterator
from typing import Final

from jobsim.core.errors import StorageError
from jobsim.core.time import MILLISECOND, SECOND, Duration
from jobsim.storage.sqlite_database import Database

_MODIFIED: Final = 0x2
"""Inotify's event of a write."""

_ENOUGH: Final = 65_536
"""Bytes that hold all the events that are waiting, as equal ones are kept but once."""

_FOREIGN_MS: Final = (1, 1, 1, 1, 2, 2, 4, 4, 8, 8, 16, 16)
"""After which pauses to look for a commit whose pages have just been written: a disk may be slow to sync."""

_OWN_MS: Final = (8,)
"""The same, where what was written is likely our own: others are seldom heard of later for it."""

_PERIOD: Final = Duration(10 * MILLISECOND)
"""How often to look where the system does not tell of writes."""


class SqliteWatch:
    """Hears that another connection, of any process, committed; see `storage.base.Watch`.

    Pages reach the WAL, are synced, and then committed, without a sign outside of SQLite. So a write of the
    WAL, of which Linux tells at no cost, is followed by a few looks at `PRAGMA data_version`, which commits
    of others change. Other systems do not tell: there it is looked at all the time.

    Where several listen in one process, as for workers of different queues, what it commits itself is news,
    too: one of them may be waiting for a place that another has freed.
    """

    def __init__(self, database: Database) -> None:
        self._database: Final = database
        self._version: int | None = None
        self._own_commits = 0
        self._heard = 0
        self._descriptor: int | None = None
        self._never = threading.Event()

    def wait(self, timeout: Duration) -> bool:
        """Wait for news; `False` when `timeout` came first, or little later."""
        try:
            if self._version is None:
                self._descriptor = _told_of_writes(f"{self._database.path}-wal")
                self._look()
                self._database.listeners.add(self)
                return True  # nobody knows what was written before
            return any(self._look() for _ in self._moments(timeout))
        except StorageError:
            self.close()
            raise

    def close(self) -> None:
        """Let go of what was listened with; a later `wait` makes another."""
        self._database.listeners.discard(self)
        self._version = None
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _look(self) -> bool:
        """Return whether others committed since the last look, or this process, where others here listen."""
        [(version,)] = self._database.read("PRAGMA data_version", (), tuple)
        before, self._version = self._version, version
        heard, self._heard = self._heard, self._database.commits
        return bool(version != before) or (self._heard != heard and len(self._database.listeners) > 1)

    def _moments(self, timeout: Duration) -> Iterator[None]:
        """Return at each moment when to look; the last one is for what the system may not have told."""
        if self._descriptor is None:
            for _ in range(timeout // _PERIOD):
                self._pause(_PERIOD // MILLISECOND)
                yield
        elif _readable(self._descriptor, timeout):
            os.read(self._descriptor, _ENOUGH)
            yield
            before, self._own_commits = self._own_commits, self._database.commits
            for pause_ms in _FOREIGN_MS if self._own_commits == before else _OWN_MS:
                self._pause(pause_ms)
                yield
        else:
            yield

    def _pause(self, pause_ms: int) -> None:
        self._never.wait(pause_ms * MILLISECOND / SECOND)


def _told_of_writes(path: str) -> int | None:
    """Return a descriptor that can be read once a file was written; `None` where the system has none to give.

    It does not open the file, as closing it again would drop the locks that SQLite has on it.
    """
    import ctypes

    system = ctypes.CDLL(None)
    if not hasattr(system, "inotify_init1"):
        return None
    descriptor: int = system.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if descriptor < 0:
        return None
    if system.inotify_add_watch(descriptor, os.fsencode(path), _MODIFIED) < 0:
        os.close(descriptor)
        return None
    return descriptor


def _readable(descriptor: int, timeout: Duration) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(timeout // MILLISECOND))
