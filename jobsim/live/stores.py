"""The store that a URL names, and what one process has of it."""

import threading
from collections.abc import Collection
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from jobsim.core.errors import ConfigError, StorageError, did_you_mean
from jobsim.core.ids import IdMint
from jobsim.core.masking import masked
from jobsim.core.streams import Streams
from jobsim.core.time import SECOND, Instant
from jobsim.live.telemetry import Telemetry
from jobsim.runtime.clock import ServerClock
from jobsim.runtime.live import now
from jobsim.storage.base import Storage, Timekeeper
from jobsim.storage.postgres_url import conninfo_and_options
from jobsim.storage.sqlite_url import file_and_options

_FRESH: Final = 60 * SECOND

if TYPE_CHECKING:
    from jobsim.live.rehearsal import Rehearsal
    from jobsim.live.worker import LiveWorker

_KNOWN: Final = (
    "sqlite:///jobs.db (or four slashes and an absolute path), sqlite:// for memory, "
    "or postgresql://user@host/database"
)
_SCHEMES: Final = ("memory", "postgres", "postgresql", "sqlite")


@dataclass(frozen=True, slots=True, repr=False)
class Address:
    """Where a store is: a file, a server, or memory where there is neither."""

    url: str
    path: Path | None
    on_server: bool = False

    def __str__(self) -> str:
        return masked(self.url)

    def __repr__(self) -> str:
        return f"Address({masked(self.url)!r})"

    @property
    def caveat(self) -> str:
        """What reports that name the store are to say of its durability; nothing if that is full."""
        if self.path is None or file_and_options(self.url)[1].get("durability") != "normal":
            return ""
        return "durability normal: power loss may undo the last commits, though they were acknowledged"

    @property
    def in_memory(self) -> bool:
        """Whether the jobs end with their process."""
        return self.path is None and not self.on_server

    @classmethod
    def of(cls, url: object) -> "Address":
        """Return the address that `url` spells; a relative path is taken from the current directory.

        Raises:
            ConfigError: it is not the URL of a store.
        """
        if not isinstance(url, str):
            raise ConfigError(f"{url!r} is not the URL of a store; write {_KNOWN}")
        scheme, colon, rest = url.partition("://")
        match scheme:
            case _ if not colon:
                raise ConfigError(f"{masked(url)!r} is not a URL; write {_KNOWN}")
            case "sqlite":
                return cls(url, file_and_options(url)[0])
            case "memory" if not rest:
                return cls(url, None)
            case "postgres" | "postgresql":
                conninfo_and_options(url)  # is it readable?
                return cls(url, None, on_server=True)
            case _:
                hint = did_you_mean(scheme, _SCHEMES)
                raise ConfigError(f"{masked(url)!r} names no store that jobsim knows{hint}; write {_KNOWN}")

    def open(self, *, create: bool = True) -> Storage:
        """Open the store; a file that is not there is made, unless not to be created.

        Raises:
            StorageError: it cannot be opened.
        """
        if self.on_server:
            return _on_server(self.url, create=create)
        from jobsim.storage.sqlite import SqliteStorage

        options = file_and_options(self.url)[1]
        return SqliteStorage(":memory:" if self.path is None else self.path, create=create, **options)


def _on_server(url: str, *, create: bool) -> Storage:
    try:
        from jobsim.storage.postgres import PostgresStorage
    except ImportError as error:
        raise StorageError(
            f"a PostgreSQL store needs psycopg, which cannot be imported ({error}); "
            f"run: pip install 'psycopg[binary,pool]'"
        ) from error
    conninfo, options = conninfo_and_options(url)
    return PostgresStorage(conninfo, create=create, **options)


def clock_of(storage: Storage) -> ServerClock | None:
    """Return the clock of the store's server; `None` where its jobs go by this machine's own.

    Raises:
        StorageError: it cannot be looked at.
    """
    return ServerClock(storage.clock) if isinstance(storage, Timekeeper) else None


def present(storage: Storage) -> Instant:
    """Return the time, by the clock by which the store's jobs go.

    Raises:
        StorageError: it cannot be looked at.
    """
    return storage.clock() if isinstance(storage, Timekeeper) else now()


class Presence:
    """What one process has of a queue: its store, opened when first needed, its ids, its workers, and
    those who are told of them.

    A forked child needs another. It shares no connection with its parent, and mints no id twice.
    """

    rehearsed = False
    """Whether it is one for tests, that keeps even what is enqueued through a connection."""

    def __init__(self, where: Address | Storage, *, forked: bool = False) -> None:
        self.mint = IdMint(Streams())
        self.workers: Collection[LiveWorker | Rehearsal] = WeakSet()
        self.telemetry = Telemetry()
        self.where = where
        self._forked = forked
        self._lock = threading.Lock()
        self._store: Storage | None = None
        self._clock: ServerClock | None = None
        self._closed = False

    def enlist(self, worker: "LiveWorker") -> None:
        """Add a worker; to another set, as threads that enqueue may be going through this one."""
        with self._lock:
            self.workers = WeakSet((*self.workers, worker))

    def open(self) -> Storage:
        """Return the store.

        Raises:
            StorageError: it cannot be opened, was closed, or is the memory of another process.
        """
        with self._lock:
            self.check()
            if self._store is None:
                store = self._opened()
                self._clock = self._clock_of(store)  # first: without it, jobs would go by this machine's own
                self._store = store
            return self._store

    def beside(self) -> AbstractContextManager[Storage]:
        """Return the store for a look that may take long: calls of others do not wait for it.

        Raises:
            StorageError: it cannot be opened.
        """
        if isinstance(self.where, Address) and self.where.path is not None:
            return closing(self.where.open(create=False))
        return nullcontext(self.open())

    def check(self) -> None:
        """Refuse to go on after the end.

        Raises:
            StorageError: this was closed.
        """
        if self._closed:
            raise StorageError("this queue was closed; make another to go on")

    @property
    def clock(self) -> ServerClock | None:
        """The clock of the store's server, by which all go who use it; `None` where there is none.

        Raises:
            StorageError: the store cannot be opened, or its clock not be seen.
        """
        if isinstance(self.where, Address) and not self.where.on_server:
            return None
        self.open()
        return self._clock

    def now(self) -> Instant:
        """Return the time, by the clock by which the jobs go.

        Raises:
            StorageError: the store cannot be opened, or its clock not be seen.
        """
        if self.clock is None:
            return now()
        self.clock.look_after(_FRESH)
        return self.clock.now()

    def _opened(self) -> Storage:
        in_memory = not isinstance(self.where, Address) or self.where.in_memory
        if self._forked and in_memory:
            raise StorageError("this queue is in the memory of the process that this one was forked from")
        return self.where.open() if isinstance(self.where, Address) else self.where

    def _clock_of(self, store: Storage) -> ServerClock | None:
        try:
            return clock_of(store)
        except BaseException:
            if isinstance(self.where, Address):  # it was opened here, and will be again
                store.close()
            raise

    def close(self) -> None:
        """Stop the workers, give back what they run, and let go of the store, for good."""
        for worker in list(self.workers):
            worker.end()
        self.telemetry.close()
        with self._lock:
            self._closed = True
            if self._store is not None:
                self._store.close()
                self._store = None
