"""Every store does what its contract says, whatever happens, in whatever order."""

import tempfile

import pytest
from hypothesis import settings

from jobsim.storage.base import Storage
from jobsim.storage.memory import MemoryStorage
from jobsim.storage.sqlite import Durability, SqliteStorage
from jobsim.testing.machine_terms import TermsMachine


class MemoryMachine(TermsMachine):
    """The store in memory."""

    def open_storage(self) -> Storage:
        """Return an empty store."""
        return MemoryStorage()


class SqliteMachine(TermsMachine):
    """The store on SQLite, in memory: the same statements without the waiting for a disk."""

    def open_storage(self) -> Storage:
        """Return an empty store."""
        return SqliteStorage(":memory:")


class SqliteFileMachine(TermsMachine):
    """The store on SQLite, in a file that another process opens where the one before has died."""

    def open_storage(self) -> Storage:
        """Return an empty store."""
        self._directory = tempfile.TemporaryDirectory()
        self._dead: list[Storage] = []
        return self._open()

    def reopen_storage(self) -> Storage:
        """Return the store as another process opens it, whose forerunner closed nothing."""
        self._dead.append(self.storage)
        return self._open()

    def _open(self) -> Storage:
        return SqliteStorage(f"{self._directory.name}/jobs.db", durability=Durability.NORMAL)

    def teardown(self) -> None:
        """Do as any machine does, and clear up."""
        try:
            super().teardown()
        finally:
            for storage in self._dead:
                storage.close()
            self._directory.cleanup()


TestMemory = MemoryMachine.TestCase
TestMemory.settings = settings(max_examples=200, stateful_step_count=50)

TestSqlite = SqliteMachine.TestCase
TestSqlite.settings = settings(max_examples=130, stateful_step_count=50)

TestSqliteFile = SqliteFileMachine.TestCase
TestSqliteFile.settings = settings(max_examples=20, stateful_step_count=40)


@pytest.mark.soak
class TestMemoryAtLength(MemoryMachine.TestCase):  # type: ignore[misc, valid-type]  # Hypothesis makes it of the machine
    """As many and as long examples as the profile of a soak allows."""

    settings = settings(stateful_step_count=100)


@pytest.mark.soak
class TestSqliteAtLength(SqliteMachine.TestCase):  # type: ignore[misc, valid-type]  # as above
    """As many and as long examples as the profile of a soak allows."""

    settings = settings(stateful_step_count=100)
