"""What the stories share: each kind of store, empty."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jobsim.storage.base import Storage
from jobsim.storage.memory import MemoryStorage
from jobsim.storage.sqlite import Durability, SqliteStorage


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    """Return an empty store of each kind."""
    stores: dict[str, Callable[[], Storage]] = {
        "memory": MemoryStorage,
        "sqlite": lambda: SqliteStorage(tmp_path / "jobs.db", durability=Durability.NORMAL),
        "postgres": lambda: _on_server(request),
    }
    made = stores[request.param]()
    yield made
    made.close()


def _on_server(request: pytest.FixtureRequest) -> Storage:
    from jobsim.storage.postgres import PostgresStorage

    return PostgresStorage(request.getfixturevalue("postgres"), schema=request.getfixturevalue("schema"))
