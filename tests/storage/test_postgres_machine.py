"""The store on PostgreSQL does what its contract says, whatever happens, in whatever order."""

from itertools import count
from typing import Final

import pytest
from hypothesis import settings

from jobsim.storage.base import Storage
from jobsim.storage.postgres import PostgresStorage
from jobsim.testing.machine import QueueMachine

_NUMBERS: Final = count()


class PostgresMachine(QueueMachine):
    """The store on PostgreSQL, in a schema that another process opens where the one before has died."""

    dsn: str

    def open_storage(self) -> Storage:
        """Return an empty store."""
        self._schema = f"machine_{next(_NUMBERS)}"
        self._dead: list[Storage] = []
        return self._open()

    def reopen_storage(self) -> Storage:
        """Return the store as another process opens it, whose forerunner closed nothing."""
        self._dead.append(self.storage)
        return self._open()

    def _open(self) -> Storage:
        return PostgresStorage(self.dsn, schema=self._schema)

    def teardown(self) -> None:
        """Do as any machine does, and clear up."""
        try:
            super().teardown()
        finally:
            for storage in self._dead:
                storage.close()


@pytest.fixture(autouse=True, scope="module")
def _server(postgres: str) -> None:
    PostgresMachine.dsn = postgres


TestPostgres = PostgresMachine.TestCase
TestPostgres.settings = settings(max_examples=20, stateful_step_count=40)
