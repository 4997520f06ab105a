"""The WAL of a connection: when to copy it back, and what to say where that does not help."""

import logging
from typing import Final

import apsw

CHECKPOINT: Final = 2_000
"""Pages in the WAL from which it is copied back (8 MB): a page written by many commits is copied once."""

BIG: Final = 64_000_000
"""Bytes above which a WAL is that big because it cannot begin anew; a smaller one may stay as it is."""

_log: Final = logging.getLogger("jobsim.storage")


class Wal:
    """Counts what is in the WAL of the database `path`, by SQLite's own account after each commit.

    SQLite begins it anew, at the next commit, once all of it is copied back and nobody reads from it. While
    somebody does, it grows; then it is copied back no more often than before, and a warning says so as it
    gets big, and whenever it has doubled.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._pages = 0
        self._copied_at = 0
        self._told_of = 0

    def count(self, _: apsw.Connection, __: str, pages: int) -> int:
        """Note how many pages there are; SQLite calls this."""
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
