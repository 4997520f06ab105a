"""Every store does what its contract says, whatever happens, in whatever order."""

from hypothesis import settings

from jobsim.storage.base import Storage
from jobsim.storage.memory import MemoryStorage
from jobsim.testing.machine import QueueMachine


class MemoryMachine(QueueMachine):
    """The store in memory."""

    def open_storage(self) -> Storage:
        """Return an empty store."""
        return MemoryStorage()


TestMemory = MemoryMachine.TestCase
TestMemory.settings = settings(max_examples=100, stateful_step_count=40)
