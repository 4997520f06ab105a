"""Every store does what its contract says, whatever happens, in whatever order."""

from hypothesis import settings

from jobsim.storage.base import Storage
from jobsim.storage.memory import MemoryStorage
from jobsim.storage.sqlite import SqliteStorage
from jobsim.testing.machine import QueueMachine


class MemoryMachine(QueueMachine):
    """The store in memory."""

    def open_storage(self) -> Storage:
        """Return an empty store."""
        return MemoryStorage()


class SqliteMachine(QueueMachine):
    """The store on SQLite, in memory: the same statements without the waiting for a disk."""

    def open_storage(self) -> Storage:
        """Return an empty store."""
        return SqliteStorage(":memory:")


TestMemory = MemoryMachine.TestCase
TestMemory.settings = settings(max_examples=100, stateful_step_count=40)

TestSqlite = SqliteMachine.TestCase
TestSqlite.settings = settings(max_examples=100, stateful_step_count=40)
