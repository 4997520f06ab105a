"""The file of the SQLite store: what is made, what is taken, and what is refused and left alone."""

import errno
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from jobsim.core.errors import ConfigError, StorageError, StorageForeign, StorageFull, StorageReadOnly
from jobsim.core.job import State
from jobsim.storage import sqlite_connection, sqlite_file
from jobsim.storage.sqlite import Durability, SqliteStorage
from jobsim.testing.conformance_base import BEGAN, add, claim, job_id, new, snapshot
from tests.storage.faults import FaultyDisk, bare, connection


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs.db"


def refused(path: object, error: type[StorageError], *words: str) -> None:
    """See that opening fails with one sentence that has these words in it."""
    with pytest.raises(error) as caught:
        SqliteStorage(path)  # type: ignore[arg-type]
    assert type(caught.value) is error
    assert all(word in str(caught.value) for word in words), str(caught.value)


def contents(directory: Path) -> dict[str, bytes]:
    """Return every file of a directory."""
    return {file.name: file.read_bytes() for file in directory.iterdir()}


@pytest.mark.parametrize("durability", [Durability.FULL, Durability.NORMAL])
def test_settings_are_in_force(path: Path, durability: Durability) -> None:
    """A commit is durable as asked, and nothing in a file of ours can run code or reach another file."""
    storage = SqliteStorage(path, durability=durability)
    pragma = connection(storage).pragma
    assert storage.durability is durability
    assert pragma("journal_mode") == "wal"
    assert pragma("synchronous") == (2 if durability is Durability.FULL else 1)
    assert (pragma("trusted_schema"), pragma("cell_size_check")) == (0, 1)
    with pytest.raises(apsw.SQLError, match="attached"):
        connection(storage).execute("ATTACH ':memory:' AS other")
    storage.close()


def test_full_durability_is_the_default(path: Path) -> None:
    """Less must be asked for, by name."""
    storage = SqliteStorage(path)
    assert storage.durability is Durability.FULL
    storage.close()


def test_memory_says_that_nothing_lasts() -> None:
    """A database in memory claims no durability; a file cannot be without."""
    storage = SqliteStorage(":memory:")
    assert storage.durability is Durability.NONE
    storage.close()
    with pytest.raises(ConfigError, match="durability"):
        SqliteStorage("jobs.db", durability=Durability.NONE)


def test_setting_that_is_not_followed_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite keeps silent about a setting that it does not follow; the store does not."""
    monkeypatch.setitem(sqlite_connection._SETTINGS, "journal_size_limit", -7)
    refused(path, StorageError, "journal_size_limit", "jobs.db")


def test_new_file_is_its_owners_alone(path: Path) -> None:
    """Neither the database nor the files beside it can be read by others, whatever the umask."""
    before = os.umask(0)
    try:
        storage = SqliteStorage(path)
        add(storage, new(1))
        modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
        storage.close()
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("jobs.db", "jobs.db-wal", "jobs.db-shm"), 0o600)


def test_closing_leaves_one_file(path: Path) -> None:
    """The last to close a database leaves nothing beside it."""
    SqliteStorage(path).close()
    assert [file.name for file in path.parent.iterdir()] == ["jobs.db"]


def test_empty_file_is_taken(path: Path) -> None:
    """A file that somebody made and left empty becomes a database."""
    path.touch()
    storage = SqliteStorage(path)
    assert add(storage, new(1)) == [job_id(1)]
    storage.close()


def test_link_to_a_database_is_followed(path: Path, tmp_path: Path) -> None:
    """A symbolic link leads to the same jobs, and the files beside are the database's own."""
    storage = SqliteStorage(path)
    add(storage, new(1))
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "jobs.db").symlink_to(path)
    other = SqliteStorage(tmp_path / "link" / "jobs.db")
    assert [job.id for job in other.find()] == [job_id(1)]
    assert len(list((tmp_path / "link").iterdir())) == 1
    storage.close()
    other.close()


def test_missing_file_is_not_made_where_only_looked_for(path: Path) -> None:
    """A command that reads makes no database."""
    with pytest.raises(StorageError, match="there is no database"):
        SqliteStorage(path, create=False)
    assert not path.exists()


def test_empty_file_is_left_empty_where_only_looked_for(path: Path) -> None:
    """A command that reads makes no database of a file that somebody left empty."""
    path.touch()
    with pytest.raises(StorageError, match="is empty"):
        SqliteStorage(path, create=False)
    assert path.stat().st_size == 0


def test_missing_directory_is_named(tmp_path: Path) -> None:
    """It is the directory that is wrong then, and it is not made."""
    refused(tmp_path / "data" / "jobs.db", StorageError, "there is no directory", str(tmp_path / "data"))
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("path", ["", "a\0b"])
def test_text_that_is_no_path_is_refused(path: str) -> None:
    """An empty text and one that no file can be called are not taken for a missing file."""
    with pytest.raises(ConfigError, match="is not the path"):
        SqliteStorage(path)


def test_directory_is_refused(tmp_path: Path) -> None:
    """The name of a directory is not that of a database."""
    refused(tmp_path, StorageError, "is a directory")


def test_file_below_a_file_is_refused(path: Path) -> None:
    """A file has no files in it."""
    path.write_text("x")
    refused(path / "jobs.db", StorageError, "jobs.db")


def test_pipe_is_refused(path: Path) -> None:
    """Nothing hangs on what is not a file."""
    os.mkfifo(path)
    refused(path, StorageForeign, "not a regular file")


@pytest.mark.parametrize("there", [False, True])
def test_network_file_system_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    """Where processes cannot share memory, nothing is made, opened or changed."""
    if there:
        SqliteStorage(path).close()
    before = contents(path.parent)
    mounted = (
        f"22 1 254:0 / / rw - ext4 /dev/vda rw\n31 22 0:50 / {path.parent.resolve()} rw - nfs4 filer:/ rw"
    )
    monkeypatch.setattr(sqlite_file, "mounts", lambda: mounted)
    refused(path, StorageError, "network file system (nfs4)", "a local disk, or use PostgreSQL")
    assert contents(path.parent) == before


def test_link_to_nowhere_is_refused(path: Path) -> None:
    """No file is made at the end of a link that somebody else may have laid."""
    path.symlink_to(path.parent / "elsewhere")
    refused(path, StorageError, str(path))
    assert not (path.parent / "elsewhere").exists()


@pytest.mark.parametrize(
    "found",
    [b"#!/bin/sh\n", b"x" * 5000, b"SQLite format 3\0", b"\0" * 8192],
    ids=["short", "long", "cut", "zero"],
)
def test_file_that_is_no_database_is_left_alone(path: Path, found: bytes) -> None:
    """A file of another kind is refused, and not a byte of it changes."""
    path.write_bytes(found)
    refused(path, StorageForeign, "jobs.db")
    assert contents(path.parent) == {"jobs.db": found}


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_foreign_database_is_left_alone(path: Path, mode: str) -> None:
    """Another program's database is refused while in use and when not, and no file changes or appears."""
    with bare(path) as other:
        other.pragma("journal_mode", mode)
        other.execute("CREATE TABLE job (id INTEGER PRIMARY KEY); INSERT INTO job VALUES (1)")
        before = contents(path.parent)
        refused(path, StorageForeign, "not one of jobsim's")
        # The index of a WAL also holds how far each reader reads, of whom we were one.
        assert {**contents(path.parent), "jobs.db-shm": b""} == {**before, "jobs.db-shm": b""}
        assert contents(path.parent).keys() == before.keys()
    before = contents(path.parent)
    refused(path, StorageForeign, "not one of jobsim's")
    assert contents(path.parent) == before


@pytest.mark.parametrize("checkpointed", [True, False])
def test_newer_database_is_refused(path: Path, checkpointed: bool) -> None:
    """A schema that this version does not know is not touched, wherever its number stands."""
    SqliteStorage(path).close()
    with bare(path) as newer:
        newer.execute("UPDATE jobsim_schema SET version = 99")
        if checkpointed:
            newer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        refused(path, StorageForeign, "newer", "99", "upgrade")
        assert newer.execute("SELECT version FROM jobsim_schema").fetchall() == [(99,)]


def test_corrupt_database_is_refused(path: Path) -> None:
    """Pages overwritten with garbage are found when they are read, and the error says what to do."""
    storage = SqliteStorage(path)
    add(storage, *(new(n) for n in range(200)))
    storage.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + b"\xff" * (len(whole) - 100))
    with pytest.raises(StorageForeign, match=r"jobs\.db is corrupt.*backup"):
        SqliteStorage(path).find()


def test_cut_off_database_is_refused(path: Path) -> None:
    """A file that lost its end is corrupt."""
    storage = SqliteStorage(path)
    add(storage, *(new(n) for n in range(2_000)))
    storage.close()
    os.truncate(path, 8192)
    with pytest.raises(StorageForeign, match="corrupt"):
        SqliteStorage(path).find()


def test_value_that_means_nothing_is_corrupt(path: Path) -> None:
    """A state that no code of ours wrote is neither believed nor a traceback."""
    storage = SqliteStorage(path)
    add(storage, new(1))
    with bare(path) as other:
        with pytest.raises(apsw.ConstraintError):
            other.execute("UPDATE jobsim_job SET state = 'paused'")
        other.pragma("ignore_check_constraints", 1)
        other.execute("UPDATE jobsim_job SET state = 'paused'")
    for call in (storage.find, storage.counts, lambda: storage.cancel([job_id(1)], BEGAN)):
        with pytest.raises(StorageForeign, match="'paused'"):
            call()
    storage.close()


def test_file_without_our_tables_is_refused(path: Path) -> None:
    """A file that is marked as ours but is not is refused at the first call that shows it."""
    SqliteStorage(path).close()
    with bare(path) as other:
        other.execute("DROP VIEW jobsim_full_job")
    with pytest.raises(StorageForeign, match="jobsim_full_job"):
        SqliteStorage(path).find()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_is_told_when_a_file_is_made(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """There is no room for even an empty file."""

    def full(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", full)
    refused(path, StorageFull, "full")


@pytest.fixture
def disk() -> Iterator[FaultyDisk]:
    disk = FaultyDisk("creation")
    yield disk
    disk.unregister()


@pytest.mark.parametrize(
    ("call", "code"), [("write", apsw.SQLITE_FULL), ("sync", apsw.SQLITE_IOERR_FSYNC)], ids=["write", "sync"]
)
def test_creation_is_whole_or_can_be_repeated(tmp_path: Path, disk: FaultyDisk, call: str, code: int) -> None:
    """Whichever write or sync of it fails, the next to open the file gets an empty database."""
    failures = 0
    for spare in range(100):
        path = tmp_path / f"{call}-{spare}.db"
        disk.failing, disk.spare = {call: code}, spare
        try:
            SqliteStorage(path, vfs=disk.name).close()
        except StorageError:
            failures += 1
        else:
            break
        disk.failing = {}
        storage = SqliteStorage(path, vfs=disk.name)
        assert storage.counts() == dict.fromkeys(State, 0)
        add(storage, new(1))
        storage.close()
    assert 3 < failures < 100


READER = """
import os, sys
from jobsim.core.errors import StorageError
from jobsim.storage.sqlite import SqliteStorage
if os.getuid() == 0:  # to whom nothing is forbidden
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    SqliteStorage(sys.argv[1])
except StorageError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.live
@pytest.mark.parametrize("part", ["file", "directory", "new"])
def test_what_may_not_be_written_is_refused(part: str) -> None:
    """A file or a directory without permission is told in one sentence, and nothing changes."""
    with tempfile.TemporaryDirectory() as name:  # pytest's own directories are closed to others
        directory = Path(name)
        path = directory / "jobs.db"
        if part != "new":
            SqliteStorage(path).close()
            path.chmod(0o444 if part == "file" else 0o666)
        directory.chmod(0o777 if part == "file" else 0o555)
        before = contents(directory)
        ran = subprocess.run([sys.executable, "-c", READER, path], capture_output=True, text=True, check=True)
        assert ran.stdout.startswith(f"{StorageReadOnly.__name__} {path} cannot be written")
        assert contents(directory) == before
        directory.chmod(0o700)


def test_closed_store_says_so(path: Path) -> None:
    """Every call after closing is refused in one sentence, and the file stays as it is."""
    storage = SqliteStorage(path)
    add(storage, new(1))
    before = snapshot(storage)
    storage.close()
    for call in (storage.find, storage.counts, lambda: add(storage, new(2)), lambda: claim(storage)):
        with pytest.raises(StorageError, match="was closed"):
            call()
    storage = SqliteStorage(path)
    assert snapshot(storage) == before
    storage.close()


def test_torn_header_is_mended_by_what_lies_beside_it(path: Path, tmp_path: Path) -> None:
    """A power cut may spoil the first sector while it is written; SQLite has it in the WAL as well."""
    storage = SqliteStorage(path)
    add(storage, *(new(number) for number in range(100)))
    (tmp_path / "cut").mkdir()
    torn = tmp_path / "cut" / path.name
    torn.write_bytes(b"\xff" * 512 + path.read_bytes()[512:])
    torn.with_name(f"{path.name}-wal").write_bytes(path.with_name(f"{path.name}-wal").read_bytes())
    mended = SqliteStorage(torn)
    assert mended.find() == storage.find()
    mended.close()
    storage.close()


def test_text_is_no_torn_database_whatever_lies_beside_it(path: Path) -> None:
    """What SQLite can make nothing of is refused, and stays as it is."""
    path.write_text("#!/bin/sh\n" * 100)
    path.with_name(f"{path.name}-wal").write_bytes(b"\xff" * 600)
    with pytest.raises(StorageForeign, match="not a SQLite database"):
        SqliteStorage(path)
    assert path.read_text() == "#!/bin/sh\n" * 100
