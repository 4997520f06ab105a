"""The WAL of a connection: when to copy it back, and what to say where that does not help."""

import logging
from contextlib import suppress
from pathlib import Path
from typing import Final

import apsw

CHECKPOINT: Final = 2_000
"""Pages in the WAL from which it is copied back (8 MB): a page written by many commits is copied once."""

BIG: Final = 64_000_000
"""Bytes above which a WAL is that big because it cannot begin anew; a smaller one may stay as it is."""

_CHUNK: Final = 65_536
"""Bytes at a time: of more than 128 kB, SQLite's own file layer makes an error in some cases."""

_log: Final = logging.getLogger("jobsim.storage")


class Wal:
    """Counts what is in the WAL of the database `path`, by SQLite's own account after each of the `commits`.

    SQLite begins it anew, at the next commit, once all of it is copied back and nobody reads from it. While
    somebody does, it grows; then it is copied back no more often than before, and a warning says so as it
    gets big, and whenever it has doubled.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = Path(f"{path}-wal")
        self._doubt = Path(f"{path}-in-doubt")
        self.commits = 0
        self._pages = 0
        self._copied_at = 0
        self._told_of = 0

    def count(self, _: apsw.Connection, __: str, pages: int) -> int:
        """Note how many pages there are; SQLite calls this."""
        self.commits += 1
        if pages < self._pages:
            self._copied_at = self._told_of = 0
        self._pages = pages
        return apsw.SQLITE_OK

    @property
    def is_due(self) -> bool:
        """Whether the WAL has grown enough to be copied back."""
        return self._pages >= self._copied_at + CHECKPOINT

    def copy_back(self, connection: apsw.Connection) -> None:
        """Copy back what nobody reads any more, waiting for no one.

        Raises:
            apsw.Error: it cannot be done; what was committed stays in the WAL.
        """
        again, self._copied_at = self._copied_at > 0, self._pages
        inside, copied = connection.wal_checkpoint()
        if again or copied < inside:
            self._tell(inside * connection.pragma("page_size"))

    @property
    def in_doubt(self) -> bool:
        """Whether a sync has failed, of this process or another, since the WAL was last made sure of."""
        return self._doubt.exists()

    def doubt(self) -> None:
        """Tell those who come after, as far as that is possible, that the disk may lack what the WAL holds.

        The note needs no sync: what it tells of ends with the power, too.
        """
        with suppress(OSError):
            self._doubt.touch(mode=0o600)

    def make_sure(self, vfs: str) -> None:
        """Where it is in doubt, write it again, and have the disk confirm that; nobody else may be writing.

        Where a sync failed, Linux gives up what was to be written, and shows it all the same, to later
        processes too. What these commit behind such a hole, or copy back out of it, would be lost with the
        power. Source: Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020.

        Raises:
            apsw.Error: the disk does not take it.
        """
        if not self.in_doubt:
            return
        if self._file.exists():
            _write_again(str(self._file), vfs)
        with suppress(OSError):
            self._doubt.unlink()

    def _tell(self, size: int) -> None:
        if size < max(BIG, 2 * self._told_of):
            return
        self._told_of = size
        _log.warning(
            "%s-wal has grown to %d MB and cannot begin anew, as somebody always reads the database; "
            "end long transactions on it, such as those of an open sqlite3 shell",
            self._path,
            size // 1_000_000,
        )


def _write_again(path: str, vfs: str) -> None:
    file = apsw.VFSFile(vfs, path, [apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_READWRITE, 0])
    try:
        size = file.xFileSize()
        for start in range(0, size, _CHUNK):
            file.xWrite(file.xRead(min(_CHUNK, size - start), start), start)
        file.xSync(apsw.SQLITE_SYNC_FULL)
    finally:
        file.xClose()
