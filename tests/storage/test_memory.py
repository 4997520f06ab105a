"""The store in memory keeps the contract."""

from pathlib import Path

from jobsim.storage.base import Storage
from jobsim.storage.memory import MemoryStorage
from jobsim.testing.conformance import StorageConformance


class TestMemory(StorageConformance):
    """In memory."""

    def make_storage(self, tmp_path: Path) -> Storage:
        return MemoryStorage()

    def reopens(self) -> bool:
        return False
