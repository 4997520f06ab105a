"""Transactional enqueue: jobs that are written by the caller's own transaction, and stand or fall with it."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from jobsim.core.errors import ConfigError, StorageError
from jobsim.core.job import JobId, NewJob
from jobsim.core.time import Instant
from jobsim.live.stores import Address
from jobsim.runtime.live import now
from jobsim.storage.base import Storage
from jobsim.storage.postgres_url import conninfo_and_options
from jobsim.storage.sqlite_url import file_and_options


class Join(NamedTuple):
    """The caller's transaction: how jobs are enqueued by it, and the time by the clock of its store."""

    enqueue: Callable[[Sequence[NewJob], Instant], list[JobId]]
    now: Instant


def join(where: Address | Storage, connection: Any) -> Join:
    """Return how to enqueue by the transaction of `connection`, which is on the database at `where`.

    Nothing is opened: all goes through the connection.

    Raises:
        ConfigError: it cannot take the jobs of this queue.
        StorageError: the driver of its database is not installed.
    """
    if isinstance(where, Address):
        if where.on_server:
            return _on_server(where.url, connection)
        if where.path is not None:
            return _in_file(where.url, where.path, connection)
    raise ConfigError(
        "connection: the jobs of this queue are kept where no transaction of yours reaches; make the queue "
        "with a URL, such as sqlite:///jobs.db or postgresql://user@host/database"
    )


def _on_server(url: str, connection: Any) -> Join:
    try:
        from jobsim.storage import postgres_join
    except ImportError as error:
        raise StorageError(
            f"a PostgreSQL store needs psycopg, which cannot be imported ({error}); "
            f"run: pip install 'psycopg[binary,pool]'"
        ) from error
    schema = conninfo_and_options(url)[1].get("schema", "jobsim")
    return Join(partial(postgres_join.enqueue, connection, schema), postgres_join.clock(connection))


def _in_file(url: str, path: Path, connection: Any) -> Join:
    from jobsim.storage import sqlite_join

    given = file_and_options(url)[1]
    options = {name: given[name] for name in ("durability",) if name in given}
    return Join(partial(sqlite_join.enqueue, connection, path, **options), now())
