"""What tests share: Hypothesis profiles, where everyday runs repeat exactly and soak runs look further
(``make soak``), and a PostgreSQL server, started when the first test asks for it.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg  # noqa: TID251  # it makes the database that the store is given
import pytest
from hypothesis import settings

from jobsim.testing.postgres_server import UNSAFE_BUT_FAST, PostgresServer, find_binaries

settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("soak", max_examples=5_000, deadline=None, print_blob=True)
settings.load_profile("ci")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As in a shell's background job, whose children would ignore the Ctrl-C that tests send them.
    signal.signal(signal.SIGINT, signal.default_int_handler)

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
    """Where a PostgreSQL server is to be found, and an empty database on it."""
    if dsn := os.environ.get("JOBSIM_TEST_POSTGRES_DSN"):
        with _database(dsn) as made:
            yield made
        return
    with request.getfixturevalue("make_server")() as server:
        yield server.dsn


@contextmanager
def _database(dsn: str) -> Iterator[str]:
    """Make a database on a server of others, and remove it in the end."""
    name = f"jobsim_test_{os.getpid()}"
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        place = urlsplit(dsn)
        yield urlunsplit(place._replace(path=f"/{name}", query=place.query or "connect_timeout=10"))
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def schema(tmp_path: Path) -> str:
    """The name of a schema of the test's own."""
    return f"t_{sha256(str(tmp_path).encode()).hexdigest()[:16]}"
