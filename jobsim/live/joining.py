"""Transactional enqueue: jobs that are written by the caller's own transaction, and stand or fall with it."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from jobsim.core.errors import ConfigError, StorageError
from jobsim.core.job import JobId, NewJob
from jobsim.core.time import Instant
from jobsim.live.stores import Address
from jobsim.runtime.live import now
from jobsim.storage.base import Storage
from jobsim.storage.postgres_url import conninfo_and_options


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
    if not isinstance(where, Address) or where.in_memory:
        raise ConfigError(
            "connection: the jobs of this queue are kept where no transaction of yours reaches; "
            "make it with a URL, sqlite:///jobs.db or postgresql://..."
        )
    return _on_server(where, connection) if where.on_server else _in_file(where, connection)


def _on_server(where: Address, connection: Any) -> Join:
    try:
        from jobsim.storage import postgres_join
    except ImportError as error:
        raise StorageError(
            f"a PostgreSQL store needs psycopg, which cannot be imported ({error}); "
            f"run: pip install 'jobsim[postgres]'"
        ) from error
    schema = conninfo_and_options(where.url)[1].get("schema", "jobsim")
    return Join(partial(postgres_join.enqueue, connection, schema), postgres_join.clock(connection))


def _in_file(where: Address, connection: Any) -> Join:
    from jobsim.storage import sqlite_join

    return Join(partial(sqlite_join.enqueue, connection, where.path), now())
