"""Enqueueing by a connection of Python's sqlite3, always in a process of its own: see `sqlite_copies`."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from jobsim.storage.sqlite import SqliteStorage
from jobsim.testing.invariants import verify

pytestmark = pytest.mark.live


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database where the queue was opened once."""
    path = tmp_path / "jobs.db"
    SqliteStorage(path).close()
    return path


def found(path: Path) -> list[int]:
    """Return the numbers of the jobs that are in the database."""
    storage = SqliteStorage(path)
    jobs = storage.find()
    verify(storage.events(), jobs=jobs)
    storage.close()
    return [job.id & 0xFFFF for job in jobs]


HEAD: Final = """
import os, signal, sqlite3, sys
from jobsim.core.errors import *
from jobsim.core.job import Conflict
from jobsim.storage.sqlite import Durability, SqliteStorage
from jobsim.storage.sqlite_join import enqueue
from jobsim.testing.conformance_base import *
path = sys.argv[1]
def refused(kind, word, call, *args):
    try:
        call(*args)
    except kind as error:
        assert word in str(error), error
    else:
        raise AssertionError("not refused")
"""


def child(script: str, path: Path) -> int:
    """Run a script in a process of its own, where the file is opened through Python's sqlite3."""
    ran = subprocess.run(
        [sys.executable, "-c", HEAD + script, path], capture_output=True, text=True, check=False
    )
    assert ran.returncode <= 0, ran.stderr
    return ran.returncode


COMMITTED: Final = """
with sqlite3.connect(path) as connection:
    connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY)")
    connection.execute("INSERT INTO orders VALUES (7)")
    assert connection.in_transaction
    assert enqueue(connection, path, [new(1), new(2, kind="bill")], BEGAN) == [job_id(1), job_id(2)]
enqueue(connection, path, [new(3)], BEGAN)
connection.rollback()
enqueue(connection, path, [new(4, unique_key="a")], BEGAN)
taken = new(6, unique_key="a", conflict=Conflict.RAISE)
refused(KeyTaken, "'a'", enqueue, connection, path, [new(5), taken], BEGAN)
refused(StorageError, "is there already", enqueue, connection, path, [new(5), new(1)], BEGAN)
refused(StorageError, "not Unicode", enqueue, connection, path, [new(5), new(6, kind=chr(0xD800))], BEGAN)
refused(StorageError, "64 bits", enqueue, connection, path, [new(5), new(6, priority=2**70)], BEGAN)
assert connection.in_transaction
connection.commit()
"""


def test_stdlib_connection_commits_and_rolls_back(path: Path) -> None:
    """The same holds for Python's sqlite3, which begins its transactions by itself."""
    child(COMMITTED, path)
    assert found(path) == [1, 2, 4]


HABITS: Final = """
connection = sqlite3.connect(path)
connection.text_factory = bytes
connection.row_factory = lambda cursor, row: {"row": row}
enqueue(connection, path, [new(1, unique_key="a")], BEGAN)
assert enqueue(connection, path, [new(2, unique_key="a")], BEGAN) == [job_id(1)]
assert connection.execute("SELECT 'x'").fetchone() == {"row": (b"x",)}
connection.commit()
plain = sqlite3.connect(path, isolation_level=None)
refused(ConfigError, "BEGIN", enqueue, plain, path, [new(3)], BEGAN)
plain.execute("BEGIN")
enqueue(plain, path, [new(3)], BEGAN)
plain.execute("COMMIT")
plain.execute("PRAGMA synchronous = 1")
plain.execute("BEGIN")
refused(ConfigError, "synchronous = full", enqueue, plain, path, [new(4)], BEGAN)
enqueue(plain, path, [new(4)], BEGAN, Durability.NORMAL)
refused(StorageBusy, "in use", enqueue, sqlite3.connect(path, timeout=0), path, [new(5)], BEGAN)
plain.execute("COMMIT")
plain.close()
refused(sqlite3.ProgrammingError, "closed", enqueue, plain, path, [new(5)], BEGAN)
refused(ConfigError, "same file", enqueue, sqlite3.connect(":memory:"), path, [new(5)], BEGAN)
sqlite3.sqlite_version_info = (3, 34, 1)
refused(StorageError, "too old", enqueue, sqlite3.connect(path), path, [new(5)], BEGAN)
"""


def test_stdlib_connection_keeps_its_habits(path: Path) -> None:
    """Whatever it makes of rows and transactions, it can be used, or the error says what to do."""
    child(HABITS, path)
    assert found(path) == [1, 3, 4]


KILLED: Final = """
connection = sqlite3.connect(path)
enqueue(connection, path, [new(1)], BEGAN)
connection.commit()
enqueue(connection, path, [new(2)], BEGAN)
connection.rollback()
enqueue(connection, path, [new(3)], BEGAN)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_killed_process_leaves_what_it_committed(path: Path) -> None:
    """SIGKILL between the enqueue and the commit leaves no job, and no lock."""
    assert child(KILLED, path) == -9
    assert found(path) == [1]


COPIES: Final = """
other = path + "2"
SqliteStorage(other).close()
connection, elsewhere = sqlite3.connect(path), sqlite3.connect(other)
storage = SqliteStorage(path)
refused(StorageError, "APSW", enqueue, connection, path, [new(1)], BEGAN)
enqueue(elsewhere, other, [new(1)], BEGAN)
storage.close()
enqueue(connection, path, [new(1)], BEGAN)
connection.commit()
refused(StorageError, "sqlite3", SqliteStorage, path)
os.symlink(path, path + "3")
refused(StorageError, "sqlite3", SqliteStorage, path + "3")
"""


def test_two_copies_of_the_library_never_meet_on_one_file(path: Path) -> None:
    """Whichever opens a file first, the other is refused in this process, by whatever name it is called."""
    child(COPIES, path)
    assert found(path) == [1]


REFUSED: Final = """
storage = SqliteStorage(path)
storage.enqueue([new(1)], BEGAN)
connection = sqlite3.connect(path)
refused(StorageError, "APSW", enqueue, connection, path, [new(2)], BEGAN)
connection.close()
storage.enqueue([new(3)], BEGAN)
storage.close()
"""


def test_refused_connection_never_opened_the_file(path: Path) -> None:
    """Closing a connection that was refused takes no WAL from under the store."""
    child(REFUSED, path)
    assert found(path) == [1, 3]


FORKED: Final = """
storage = SqliteStorage(path)
child = os.fork()
if child == 0:
    connection = sqlite3.connect(path)
    enqueue(connection, path, [new(1)], BEGAN)
    connection.commit()
    refused(StorageError, "sqlite3", storage.find)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert [job.id for job in storage.find()] == [job_id(1)]
"""


def test_forked_child_chooses_anew(path: Path) -> None:
    """A child that does not use the store it was forked with may use sqlite3, and then not the store."""
    child(FORKED, path)
    assert found(path) == [1]
