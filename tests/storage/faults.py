"""A disk that fails when it is told to, and short words for what the SQLite store's own tests do."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from jobsim.storage.sqlite import SqliteStorage

CODES = {
    "open": apsw.SQLITE_CANTOPEN,
    "read": apsw.SQLITE_IOERR_READ,
    "write": apsw.SQLITE_FULL,
    "sync": apsw.SQLITE_IOERR_FSYNC,
    "truncate": apsw.SQLITE_IOERR_TRUNCATE,
    "size": apsw.SQLITE_IOERR_FSTAT,
    "delete": apsw.SQLITE_IOERR_DELETE,
    "access": apsw.SQLITE_IOERR_ACCESS,
}
"""How each call fails where none is named."""


class FaultyDisk(apsw.VFS):
    """SQLite's own file layer, but the calls named in `failing` raise an error of the given code.

    `spare` calls go through first; only files whose name ends in `where` are hit. `read` counts the bytes
    that were read, `calls` all calls; those whose numbers, from 1, are `bad` fail, too, and have their names
    in `hit`. What the calls are is said by `CODES`. A sync is not waited for.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name, "unix")
        self.name = name
        self.failing: dict[str, int] = {}
        self.spare = 0
        self.where = ""
        self.read = 0
        self.calls = 0
        self.bad = range(0)
        self.codes = dict(CODES)
        self.hit: list[str] = []

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> "FaultyFile":  # noqa: N802
        self.fail("open", name.filename() if isinstance(name, apsw.URIFilename) else name or "")
        return FaultyFile(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        self.fail("delete", filename)
        super().xDelete(filename, syncdir)

    def xAccess(self, pathname: str, flags: int) -> bool:  # noqa: N802
        self.fail("access", pathname)
        return super().xAccess(pathname, flags)

    def fail(self, call: str, file: str) -> None:
        """Raise, if this call is to fail."""
        self.calls += 1
        if self.calls in self.bad:
            self.hit.append(call)
            raise apsw.exception_for(self.codes[call])
        code = self.failing.get(call)
        if code is None or not file.endswith(self.where):
            return
        if self.spare:
            self.spare -= 1
            return
        raise apsw.exception_for(code)


class FaultyFile(apsw.VFSFile):
    """One of its files."""

    def __init__(self, disk: FaultyDisk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("unix", name, flags)
        self._disk = disk
        self._name = name.filename() if isinstance(name, apsw.URIFilename) else name or ""

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        self._disk.read += amount
        self._disk.fail("read", self._name)
        return super().xRead(amount, offset)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self._disk.fail("write", self._name)
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._disk.fail("sync", self._name)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        self._disk.fail("truncate", self._name)
        super().xTruncate(newsize)

    def xFileSize(self) -> int:  # noqa: N802
        self._disk.fail("size", self._name)
        return super().xFileSize()


@contextmanager
def bare(path: Path) -> Iterator[apsw.Connection]:
    """Open a database past the store."""
    connection = apsw.Connection(os.fspath(path))
    try:
        yield connection
    finally:
        connection.close()


def connection(storage: SqliteStorage) -> apsw.Connection:
    """Return the connection of a store."""
    return storage._database.cursor.connection
