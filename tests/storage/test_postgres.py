"""The store on PostgreSQL keeps the contract, with statements prepared and, as behind a proxy, without."""

from hashlib import sha256
from pathlib import Path

import pytest

from jobsim.storage.base import Storage
from jobsim.storage.postgres import PostgresStorage
from jobsim.testing.conformance import StorageConformance


class TestPrepared(StorageConformance):
    """As it is by default."""

    dsn: str

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _server(cls, postgres: str) -> None:
        cls.dsn = postgres

    def make_storage(self, tmp_path: Path) -> Storage:
        return self.opened(tmp_path)

    def opened(self, tmp_path: Path, *, prepared: bool = True) -> PostgresStorage:
        schema = f"t_{sha256(str(tmp_path).encode()).hexdigest()[:16]}"
        return PostgresStorage(self.dsn, schema=schema, prepared=prepared)


class TestUnprepared(TestPrepared):
    """As it is behind a proxy that pools transactions."""

    def make_storage(self, tmp_path: Path) -> Storage:
        return self.opened(tmp_path, prepared=False)
