"""The store on SQLite keeps the contract, in a file and in memory."""

from pathlib import Path

from jobsim.storage.base import Storage
from jobsim.storage.sqlite import Durability, SqliteStorage
from jobsim.testing.conformance import StorageConformance


class TestFile(StorageConformance):
    """In a file."""

    def make_storage(self, tmp_path: Path) -> Storage:
        return SqliteStorage(tmp_path / "jobs.db", durability=Durability.NORMAL)


class TestInMemory(StorageConformance):
    """In memory."""

    def make_storage(self, tmp_path: Path) -> Storage:
        return SqliteStorage(":memory:")

    def reopens(self) -> bool:
        return False
