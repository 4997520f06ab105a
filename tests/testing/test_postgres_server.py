"""The PostgreSQL server that tests start for themselves."""

from collections.abc import Iterator
from pathlib import Path

import psycopg  # noqa: TID251  # a server is asked by what speaks its language
import pytest

from jobsim.core.errors import StorageError
from jobsim.testing.postgres_server import UNSAFE_BUT_FAST, PostgresServer, find_binaries

pytestmark = pytest.mark.live


@pytest.fixture
def binaries() -> Path:
    found = find_binaries()
    if found is None:
        pytest.skip("no PostgreSQL server is installed; its launcher is NOT tested")
    return found


@pytest.fixture
def server(binaries: Path) -> Iterator[PostgresServer]:
    with PostgresServer(binaries, UNSAFE_BUT_FAST) as server:
        yield server


def ask(server: PostgresServer, statement: str) -> list[tuple[object, ...]]:
    """Return what a session of its own gets to know."""
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def test_killed_server_starts_again_with_what_was_committed(server: PostgresServer) -> None:
    """A kill is a crash, no shutdown: what was acknowledged is recovered."""
    ask(server, "CREATE TABLE kept AS SELECT 7 AS number")
    server.kill()
    with pytest.raises(psycopg.OperationalError):
        ask(server, "SELECT 1")
    server.start()
    assert ask(server, "SELECT number FROM kept") == [(7,)]
    assert any("not properly shut down" in line for line in server.said)


def test_stopped_server_leaves_nothing(binaries: Path) -> None:
    """Its directory goes with it, and ends no one else's."""
    server = PostgresServer(binaries, UNSAFE_BUT_FAST).start()
    [(data,)] = ask(server, "SHOW data_directory")
    assert Path(str(data)).parent.stat().st_mode & 0o077 == 0
    server.close()
    assert not Path(str(data)).parent.exists()


def test_server_is_reached_by_its_socket_alone(server: PostgresServer) -> None:
    """Nobody on the network, or on another port of this machine, gets in."""
    assert ask(server, "SHOW listen_addresses") == [("",)]


def test_server_that_cannot_start_says_why(binaries: Path) -> None:
    """A wrong setting is told in the words of its log."""
    server = PostgresServer(binaries, {"shared_buffers": "nonsense"})
    with pytest.raises(StorageError, match="nonsense"):
        server.start()
    server.close()
