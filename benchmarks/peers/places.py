"""Where the queues of one run are: new files in one directory, new databases of one server."""

import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from jobsim.testing.postgres_server import PostgresServer, find_binaries
from peers import Entry

SERVER: Final = {
    "synchronous_commit": "on",
    "fsync": "on",
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
}
"""The settings of the server, for all queues on it."""

_HERE: Final = Path(__file__).parent.parent
_COMMITS: Final = 200


class Places:
    """New files and databases; `server` is `None` where PostgreSQL is not installed."""

    def __init__(self, directory: Path, server: PostgresServer | None) -> None:
        self._directory = directory
        self.server = server
        self._numbers = count()

    def new(self, store: str) -> str:
        """Return a place where nothing is yet, as a peer is told of it."""
        name = f"bench{next(self._numbers)}"
        if store == "sqlite":
            return str(self._directory / f"{name}.db")
        self.execute(f"CREATE DATABASE {name}")
        return self.database(name)

    def database(self, name: str) -> str:
        """Return how libpq is told of a database of the server."""
        if self.server is None:
            raise LookupError("there is no PostgreSQL server")
        return self.server.dsn.replace("///postgres?", f"///{name}?")

    def copy(self, where: str) -> str:
        """Return a copy of a file, or of a database, which nobody has open."""
        if not where.startswith("postgresql:"):
            return shutil.copyfile(where, self._directory / f"bench{next(self._numbers)}.db").as_posix()
        name = f"bench{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {where.partition('///')[2].partition('?')[0]}")
        return self.database(name)

    def execute(self, sql: str, where: str | None = None) -> None:
        """Let the server execute a statement, in a database if one is named."""
        import psycopg

        with psycopg.connect(where or self.database("postgres"), autocommit=True) as connection:
            connection.execute(sql.encode())


@contextmanager
def places(directory: str | None) -> Iterator[Places]:
    """Give places, and remove them afterwards; files are in a new directory within `directory`."""
    with ExitStack() as stack:
        files = Path(stack.enter_context(TemporaryDirectory(prefix="jobsim-bench-", dir=directory)))
        binaries = find_binaries() if _has_psycopg() else None
        server = None if binaries is None else stack.enter_context(PostgresServer(binaries, SERVER))
        if server is None:
            print("PostgreSQL is left out: its server or psycopg is not installed", file=sys.stderr)
        yield Places(files, server)


def _has_psycopg() -> bool:
    try:
        import psycopg
    except ImportError:
        return False
    return bool(psycopg)


class Child:
    """A queue's process, which prints an object a line."""

    def __init__(self, entry: Entry, where: str, action: str, *arguments: object) -> None:
        words = [entry.name, where, action, *map(str, arguments)]
        self._name = f"{entry.name}, {action}"
        self._process = subprocess.Popen(  # noqa: S603  # our own Python
            [sys.executable, "-m", "peers", *words], cwd=_HERE, stdout=subprocess.PIPE, text=True
        )

    def answer(self) -> dict[str, Any]:
        """Wait for its next object."""
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise RuntimeError(f"{self._name}: it ended with exit code {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def end(self) -> None:
        """Wait for its end."""
        self._process.communicate()


def ask(entry: Entry, where: str, action: str, *arguments: object) -> dict[str, Any]:
    """Return what a process says that does one thing."""
    child = Child(entry, where, action, *arguments)
    answer = child.answer()
    child.end()
    return answer


def commit_costs_ms(places: Places) -> dict[str, float]:
    """Return what a durable commit of a single small row costs here, by store: the median."""
    costs = {"sqlite": _sqlite_commit_ms(places.new("sqlite"))}
    if places.server is not None:
        costs["postgres"] = _postgres_commit_ms(places.new("postgres"))
    return costs


def _sqlite_commit_ms(path: str) -> float:
    import apsw

    connection = apsw.Connection(path)
    connection.pragma("journal_mode", "wal")
    connection.pragma("synchronous", 2)
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, at INTEGER)")
    cost = _median_ms(lambda: connection.execute("INSERT INTO t (at) VALUES (1)"))
    connection.close()
    return cost


def _postgres_commit_ms(conninfo: str) -> float:
    import psycopg

    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("CREATE TABLE t (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at BIGINT)")
        return _median_ms(lambda: connection.execute("INSERT INTO t (at) VALUES (1)"))


def _median_ms(step: Callable[[], object]) -> float:
    spent = []
    for _ in range(_COMMITS):
        began = time.perf_counter()
        step()
        spent.append(1e3 * (time.perf_counter() - began))
    return statistics.median(spent)
