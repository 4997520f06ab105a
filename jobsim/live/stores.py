"""The store that a URL names, and what one process has of it."""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from jobsim.core.errors import ConfigError, StorageError, did_you_mean
from jobsim.core.ids import IdMint
from jobsim.core.streams import Streams
from jobsim.storage.base import Storage

if TYPE_CHECKING:
    from jobsim.live.worker import LiveWorker

_KNOWN: Final = "sqlite:///jobs.db (or four slashes and an absolute path), or sqlite:// for memory"
_SCHEMES: Final = ("memory", "postgres", "postgresql", "sqlite")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a store is: a file, or memory where there is no `path`."""

    url: str
    path: Path | None

    @classmethod
    def of(cls, url: str) -> "Address":
        """Return the address that `url` spells; a relative path is taken from the current directory.

        Raises:
            ConfigError: it is not the URL of a store.
        """
        if not isinstance(url, str):
            raise ConfigError(f"{url!r} is not the URL of a store; write {_KNOWN}")
        scheme, colon, rest = url.partition("://")
        match scheme:
            case _ if not colon:
                raise ConfigError(f"{url!r} is not a URL; write {_KNOWN}")
            case "sqlite":
                return cls(url, _path(url, rest))
            case "memory" if not rest:
                return cls(url, None)
            case "postgres" | "postgresql":
                raise ConfigError(f"{scheme}:// is not there yet; write {_KNOWN}")
            case _:
                hint = did_you_mean(scheme, _SCHEMES)
                raise ConfigError(f"{url!r} names no store that jobsim knows{hint}; write {_KNOWN}")

    def open(self, *, create: bool = True) -> Storage:
        """Open the store; a file that is not there is made, unless not to be created.

        Raises:
            StorageError: it cannot be opened.
        """
        from jobsim.storage.sqlite import SqliteStorage

        return SqliteStorage(":memory:" if self.path is None else self.path, create=create)


def _path(url: str, rest: str) -> Path | None:
    if rest in {"", "/:memory:"}:
        return None
    if not rest.startswith("/"):
        raise ConfigError(f"{url!r} has two slashes, after which a host would come; write sqlite:///{rest}")
    path = rest.removeprefix("/")
    if not path or path.endswith("/"):
        raise ConfigError(f"{url!r} names no file; write {_KNOWN}")
    if strange := next((c for c in path if c in "?#" or not c.isprintable()), None):
        raise ConfigError(f"{url!r}: the path may not contain {strange!r}; a store's URL has no options")
    return Path(path).absolute()


class Presence:
    """What one process has of a queue: its store, opened when first needed, its ids, and its workers.

    A forked child needs another. It shares no connection with its parent, and mints no id twice.
    """

    def __init__(self, where: Address | Storage, *, forked: bool = False) -> None:
        self.mint = IdMint(Streams())
        self.workers: WeakSet[LiveWorker] = WeakSet()
        self._where = where
        self._forked = forked
        self._lock = threading.Lock()
        self._store: Storage | None = None
        self._closed = False

    def open(self) -> Storage:
        """Return the store.

        Raises:
            StorageError: it cannot be opened, was closed, or is the memory of another process.
        """
        with self._lock:
            if self._closed:
                raise StorageError("this queue was closed; make another to go on")
            if self._store is None:
                self._store = self._opened()
            return self._store

    def _opened(self) -> Storage:
        in_memory = not isinstance(self._where, Address) or self._where.path is None
        if self._forked and in_memory:
            raise StorageError("this queue is in the memory of the process that this one was forked from")
        return self._where.open() if isinstance(self._where, Address) else self._where

    def close(self) -> None:
        """Stop the workers, give back what they run, and let go of the store, for good."""
        for worker in list(self.workers):
            worker.end()
        with self._lock:
            self._closed = True
            if self._store is not None:
                self._store.close()
                self._store = None
