"""News of jobs in a PostgreSQL database, by LISTEN: the one connection whose session is its own."""

from collections.abc import Callable
from typing import Final

from psycopg.sql import SQL, Identifier

from jobsim.core.time import Duration
from jobsim.storage.postgres_errors import NATIVE, explained
from jobsim.storage.postgres_pipeline import Connection


class PostgresWatch:
    """Hears that jobs were put on the queue, by any process; see `storage.base.Watch`."""

    def __init__(self, connect: Callable[[], Connection], channel: str, where: str) -> None:
        self._connect: Final = connect
        self._channel = channel
        self._where = where
        self._connection: Connection | None = None

    def wait(self, timeout: Duration) -> bool:
        """Wait for news; `False` when `timeout` came first."""
        try:
            if self._connection is None:
                self._connection = self._connect()
                self._connection.execute(SQL("LISTEN {}").format(Identifier(self._channel)))
                return True  # nobody knows what was told before
            return bool(list(self._connection.notifies(timeout=timeout.seconds, stop_after=1)))
        except NATIVE as error:
            self.close()
            raise explained(error, self._where) from error

    def close(self) -> None:
        """Let go of the connection; a later `wait` makes another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
