"""The file of a SQLite store: what is found there, before anything is changed, and the making of it."""

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote

import apsw

from jobsim.core.errors import ConfigError, StorageError, StorageForeign, StorageFull
from jobsim.storage.base import outdated
from jobsim.storage.mounts import mounts, network_file_system
from jobsim.storage.rows import Row
from jobsim.storage.sqlite_copies import identity
from jobsim.storage.sqlite_errors import MOVED, READ_ONLY, meant
from jobsim.storage.sqlite_statements import Cursor, migrations, statement

APPLICATION_ID: Final = int.from_bytes(b"jobs")
"""Marks a database as ours, in the header of the file."""

_MIGRATIONS: Final = migrations()
NEWEST: Final = len(_MIGRATIONS)
"""The version of the schema that this code knows."""

_SCHEMA: Final = statement("schema")
_VERSION: Final = statement("version")
_SET_VERSION: Final = statement("set_version")
_MAGIC: Final = b"SQLite format 3\0"
_HEADER: Final = 100
_WRITE_VERSION_AT: Final = 18
_WAL: Final = 2
_APPLICATION_AT: Final = 68


def resolved(path: str | os.PathLike[str]) -> str:
    """Return the path after which SQLite names the files beside the database.

    Raises:
        ConfigError: it is not the path of a file.
        StorageError: it is a symbolic link that leads nowhere.
    """
    text = os.fspath(path)
    if not text or "\0" in text:
        raise ConfigError(f"{text!r} is not the path of a database; name a file, or ':memory:'")
    file = Path(text)
    if file.is_symlink() and not file.exists():
        raise StorageError(f"{path} is a symbolic link that leads nowhere; remove it, or name another file")
    return str(file.resolve())


def find(path: str, *, create: bool) -> None:
    """See that there is a file that can be written, or make an empty one for its owner alone.

    Raises:
        StorageError: there is none, or it cannot be used.
    """
    if kind := network_file_system(path, mounts()):
        raise StorageError(
            f"{path} is on a network file system ({kind}), where processes share no memory, as SQLite's "
            f"WAL needs; name a file on a local disk, or use PostgreSQL"
        )
    file = Path(path)
    try:
        found = file.stat()
    except FileNotFoundError:
        _make(file, create=create)
        return
    except OSError as error:
        raise StorageError(f"{path} cannot be opened: {error.strerror}") from error
    mode = found.st_mode
    if stat.S_ISDIR(mode):
        raise StorageError(f"{path} is a directory; name a file")
    if not stat.S_ISREG(mode):
        raise StorageForeign(f"{path} is not a regular file; name another")
    if not (os.access(file, os.R_OK | os.W_OK) and os.access(file.parent, os.W_OK | os.X_OK)):
        raise meant(READ_ONLY, path)
    if not (found.st_size or create):
        raise StorageError(f"{path} is empty: no database was made of it yet; see that the name is right")


def _make(file: Path, *, create: bool) -> None:
    if not create:
        raise StorageError(f"there is no database {file}; see that the name is right")
    if not file.parent.is_dir():
        raise StorageError(f"there is no directory {file.parent} to make {file.name} in; make it first")
    try:
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        pass  # another process was faster: then it is its file that we open
    except OSError as error:
        raise _unmade(file, error) from error


def _unmade(file: Path, error: OSError) -> StorageError:
    match error.errno:
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return meant(READ_ONLY, str(file))
        case errno.ENOSPC | errno.EDQUOT:
            return StorageFull(f"{file} cannot be made: the disk is full; free some space")
        case _:
            return StorageError(f"{file} cannot be made: {error.strerror}")


def recognise(path: str, vfs: str, *, shared: bool = False) -> None:
    """See that the file is empty or ours, without changing it; one of an application's, where it is `shared`.

    It is read through SQLite's own layer: closing a file of our own would drop the locks that other
    connections of this process have on it. Bytes that are all zero were never written, as a power cut leaves
    them; SQLite itself knows then what to make of the file, as it does of a header that was torn.

    Raises:
        StorageForeign: it is neither.
    """
    header = _header(path, vfs)
    if header.strip(b"\0") and not _begins_database(header) and _was_interrupted(path):
        _let_recover(path, vfs)
        header = _header(path, vfs)
    if not header.strip(b"\0"):
        return
    if not _begins_database(header):
        raise StorageForeign(f"{path} is not a SQLite database; name another file")
    marked = int.from_bytes(header[_APPLICATION_AT : _APPLICATION_AT + 4]) == APPLICATION_ID
    if not (marked or shared or _has_our_tables(path, vfs, in_wal=header[_WRITE_VERSION_AT] == _WAL)):
        raise StorageForeign(
            f"{path} is a SQLite database, but not one of jobsim's; name another file, or open it as shared "
            f"(sqlite:///...?shared=true) to have the jobs beside what is there"
        )


def _header(path: str, vfs: str) -> bytes:
    file = apsw.VFSFile(vfs, path, [apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_READONLY, 0])
    try:
        return file.xRead(min(_HEADER, file.xFileSize()), 0)
    finally:
        file.xClose()


def _begins_database(header: bytes) -> bool:
    return header.startswith(_MAGIC) and len(header) == _HEADER


def _was_interrupted(path: str) -> bool:
    """Return whether there is something beside the file that SQLite can make it whole with."""
    beside = (Path(path + suffix) for suffix in ("-journal", "-wal"))
    return any(file.exists() and file.stat().st_size for file in beside)


def _let_recover(path: str, vfs: str) -> None:
    connection = apsw.Connection(path, apsw.SQLITE_OPEN_READWRITE, vfs or None)
    try:
        with suppress(apsw.Error):  # then it is no database, as its header will say
            connection.execute(_SCHEMA).fetchall()
    finally:
        connection.close()


def _has_our_tables(path: str, vfs: str, *, in_wal: bool) -> bool:
    """Look for tables of ours beside those of an application."""
    # SQLite makes a WAL file even to read, but where there is none the file says all by itself.
    alone = in_wal and not os.path.exists(f"{path}-wal")  # noqa: PTH110  # a suffix, not a part of a path
    uri = f"file:{quote(path)}?mode=ro" + ("&immutable=1" if alone else "")
    connection = apsw.Connection(uri, apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI, vfs or None)
    try:
        return bool(connection.execute(_SCHEMA).fetchall())
    finally:
        connection.close()


def migrate(
    connection: apsw.Connection,
    path: str,
    *,
    create: bool = True,
    shared: bool = False,
    begun: Callable[[], None] = lambda: None,
) -> None:
    """Bring the schema up to date, in one transaction that one process makes while the others wait.

    The marks in the header of a file that is `shared` belong to the application. `begun` is called within the
    transaction, before anything is written.

    Raises:
        StorageForeign: it is newer, or older than the first that was released.
        StorageError: there is something to `create`, and that is not wanted.
    """
    cursor = connection.cursor()
    before = version(cursor, path)
    if before == NEWEST:
        return
    if not create:
        raise outdated(path, before, NEWEST)
    cursor.execute("BEGIN IMMEDIATE")
    try:
        begun()
        before = version(cursor, path)
        for script in _MIGRATIONS[before:]:
            cursor.execute(script)
        cursor.execute(_SET_VERSION, (NEWEST,))
        if connection.pragma("application_id") == APPLICATION_ID or not (before or shared):
            connection.pragma("application_id", APPLICATION_ID)
            connection.pragma("user_version", NEWEST)
        cursor.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def version(cursor: Cursor, path: str) -> int:
    """Return the version of the schema, 0 where there is none.

    Raises:
        StorageForeign: it is newer than `NEWEST`, or older than the first that was released.
    """
    found = any_version(cursor, path)
    _check_version(path, found)
    return found


def any_version(cursor: Cursor, path: str) -> int:
    """Return the version of the schema, 0 where there is none, even of one newer than `NEWEST`.

    Its table says it; the mark in the header is for other programs to read. What a newer schema adds is not
    in the way of a process that is at work with an older one.

    Raises:
        StorageForeign: it is older than the first that was released, or none that jobsim can have written.
    """
    if not cursor.execute(_SCHEMA).fetchall():
        rows: list[Row] = cursor.execute("PRAGMA application_id").fetchall()
        if rows[0][0] == APPLICATION_ID:
            raise StorageForeign(f"{path} was made by a pre-release of jobsim; start with a new file")
        return 0
    match cursor.execute(_VERSION).fetchall():
        case [(int(found),)] if found > 0:
            return found
    raise StorageForeign(f"{path} has a table of jobsim's name that is not jobsim's; name another file")


def _check_version(path: str, version: int) -> None:
    if version > NEWEST:
        raise StorageForeign(
            f"{path} was made by a newer jobsim (schema {version}, this one knows {NEWEST}); upgrade jobsim"
        )


class Watch:
    """Tells whether files are those that were opened: SQLite would write on into an unlinked WAL."""

    __slots__ = ("_known", "_path")

    def __init__(self, path: str) -> None:
        self._path = path
        beside = (path + suffix for suffix in ("", "-wal", "-shm"))
        self._known = [(file, identity(file)) for file in beside if Path(file).exists()]

    def check(self) -> None:
        """See that all is as it was.

        Raises:
            StorageError: a file is gone, or another has taken its place.
        """
        try:
            same = all(identity(file) == known for file, known in self._known)
        except OSError as error:
            raise meant(MOVED, self._path) from error
        if not same:
            raise meant(MOVED, self._path)
