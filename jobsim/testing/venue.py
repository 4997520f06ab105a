"""Where a test's jobs are kept: a store of its own on memory, SQLite or PostgreSQL, empty at first."""

import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import StrEnum
from itertools import count
from pathlib import Path
from typing import Final

from jobsim.core.errors import ConfigError
from jobsim.core.job import JobId, NewJob
from jobsim.core.streams import Streams
from jobsim.core.time import Instant
from jobsim.live.inline import Clocked
from jobsim.live.stores import Address
from jobsim.storage.base import Storage
from jobsim.storage.faulty import FaultyStorage
from jobsim.storage.memory import MemoryStorage
from jobsim.testing.injector import Injector


class Venue(StrEnum):
    """A kind of store."""

    MEMORY = "memory"
    SQLITE = "sqlite"
    POSTGRES = "postgres"


_NUMBERS: Final = count(1)


@contextmanager
def place(venue: Venue, dsn: str, *, shared: bool) -> Iterator[Address | Storage]:
    """Yield where an empty store is; `shared` with other processes, or for this one alone.

    It is gone afterwards. `dsn` is where a PostgreSQL server and a database are.

    Raises:
        ConfigError: no other process can reach it.
    """
    if shared:
        check_shared([venue])
    match venue:
        case Venue.MEMORY:
            yield MemoryStorage()
        case Venue.SQLITE if shared:
            with tempfile.TemporaryDirectory(prefix="jobsim-") as directory:
                file = Path(directory, "jobs.db")
                yield Address.of(f"sqlite:///{file}?durability=normal")  # a kill is no power cut
        case Venue.SQLITE:
            yield Address.of("sqlite://")
        case Venue.POSTGRES:
            with _schema(dsn) as address:
                yield address


def check_shared(storages: Iterable[str]) -> None:
    """Refuse stores that no other process can reach.

    Raises:
        ConfigError: one of them is.
    """
    if Venue.MEMORY in storages:
        raise ConfigError(
            'mode="kill" runs workers in processes of their own, which share no memory: '
            'add storage=["sqlite"], or "postgres"'
        )


@contextmanager
def _schema(dsn: str) -> Iterator[Address]:
    """Yield where a schema of a PostgreSQL database is to be made; it is dropped afterwards."""
    import psycopg  # noqa: TID251  # a store removes no schema

    if not dsn:
        raise ConfigError("postgres: name a server, by --jobsim-postgres-dsn or JOBSIM_TEST_POSTGRES_DSN")
    name = f"jobsim_test_{os.getpid()}_{next(_NUMBERS)}"
    try:
        yield Address.of(f"{dsn}{'&' if '?' in dsn else '?'}schema={name}&connections=2&listen=off")
    finally:
        # A server that is out of reach has been told of.
        with suppress(psycopg.OperationalError), psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE".encode())


class Scene(Clocked):
    """What a test has of a queue: its store, with what the `injector` lets befall it."""

    def __init__(self, where: Address | Storage, injector: Injector, seed: int) -> None:
        super().__init__(where, Streams(seed))
        self._injector = injector

    def _opened(self) -> Storage:
        return _Noted(super()._opened(), self._injector)

    def release(self) -> None:
        """Close the store until it is needed again: another process is to have it."""
        with self._lock:
            if self._store is not None:
                self._store.close()
                self._store = None


class _Noted(FaultyStorage):
    """A store whose troubles are the injector's, which is told of what was accepted."""

    def __init__(self, storage: Storage, injector: Injector) -> None:
        super().__init__(storage, injector.troubles, crash=injector.die)
        self._accepted = injector.accepted

    def enqueue(self, jobs: Sequence[NewJob], now: Instant) -> list[JobId]:
        """Accept `jobs`, all or none, and return their ids in order."""
        ids = super().enqueue(jobs, now)
        self._accepted += ids
        return ids
