"""The store on PostgreSQL does what its contract says, whatever happens, in whatever order."""

from itertools import count
from typing import Final

import pytest
from hypothesis import settings

from jobsim.storage.base import Storage
from jobsim.storage.postgres import PostgresStorage
from jobsim.testing.machine_terms import TermsMachine

_NUMBERS: Final = count()


class PostgresMachine(TermsMachine):
    """The store on PostgreSQL, in a schema that another process opens when the one before has died."""

    dsn: str

    def open_storage(self) -> Storage:
        """Return an empty store."""
        self._schema = f"machine_{next(_NUMBERS)}"
        return PostgresStorage(self.dsn, schema=self._schema)

    def reopen_storage(self) -> Storage:
        """Return the store as another process opens it; of the one that died, the server sees the same."""
        self.storage.close()
        return PostgresStorage(self.dsn, schema=self._schema)


@pytest.fixture(autouse=True, scope="module")
def _server(postgres: str) -> None:
    PostgresMachine.dsn = postgres


TestPostgres = PostgresMachine.TestCase
TestPostgres.settings = settings(max_examples=20, stateful_step_count=40)
