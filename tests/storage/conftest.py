"""What the tests of stores share: a PostgreSQL server, started when the first test asks for it."""

import os
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from jobsim.testing.postgres_server import UNSAFE_BUT_FAST, PostgresServer, find_binaries

_ABSENT = (
    "no PostgreSQL: install its server, or name one by JOBSIM_TEST_POSTGRES_DSN; its store is NOT tested"
)


@pytest.fixture(scope="session")
def make_server() -> Callable[[], PostgresServer]:
    """Return what makes a server, where there are binaries for one."""
    binaries = find_binaries()
    if binaries is not None:
        return lambda: PostgresServer(binaries, UNSAFE_BUT_FAST)
    if os.environ.get("JOBSIM_REQUIRE_POSTGRES") == "1":
        pytest.fail(_ABSENT)
    pytest.skip(_ABSENT)


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where a PostgreSQL server is to be found."""
    if dsn := os.environ.get("JOBSIM_TEST_POSTGRES_DSN"):
        yield dsn
        return
    with request.getfixturevalue("make_server")() as server:
        yield server.dsn


@pytest.fixture
def schema(tmp_path: Path) -> str:
    """The name of a schema of the test's own."""
    return f"t_{sha256(str(tmp_path).encode()).hexdigest()[:16]}"
