"""One connection to a SQLite database, used a transaction at a time."""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from threading import RLock
from typing import Any, Final, TypeVar, TypeVarTuple
from weakref import WeakSet

import apsw

from jobsim.core.errors import StorageBroken, StorageError
from jobsim.core.time import Duration
from jobsim.storage.rows import Row
from jobsim.storage.sqlite_connection import MEMORY, TRIES, Durability, configure, make_durable
from jobsim.storage.sqlite_copies import enter_apsw, leave_apsw
from jobsim.storage.sqlite_errors import NATIVE, explained
from jobsim.storage.sqlite_file import Watch, find, migrate, recognise
from jobsim.storage.sqlite_wal import Wal

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Database:
    """A connection, its lock, and the `listeners`, who hear of what others commit.

    `forget` is called where a transaction came to nothing.
    """

    def __init__(
        self,
        path: str,
        durability: Durability,
        patience: Duration,
        vfs: str,
        forget: Callable[[], None],
        *,
        shared: bool = False,
    ) -> None:
        self.path: Final = path
        self.durability: Final = durability
        self.cursor: apsw.Cursor
        self.listeners: Final[WeakSet[object]] = WeakSet()
        self._patience = patience
        self._vfs = vfs
        self._forget = forget
        self._shared = shared
        self.lock = RLock()
        self._connection: apsw.Connection | None = None
        self._gone: StorageError | None = None
        self._watch: Watch | None = None
        self._wal = Wal(path)
        self._in_doubt = False

    def open(self, *, create: bool) -> None:
        """Open the file, and make or migrate it where that is needed.

        Raises:
            StorageError: it cannot be used.
        """
        with _opening, self.lock:
            if self._connection is None and self._gone is None:
                self._safely(self._open, create)
                _open_here.add(self)

    def _open(self, create: bool) -> None:  # noqa: FBT001  # passed on by `_safely`
        if self.path != MEMORY:
            find(self.path, create=create)
            enter_apsw(self, self.path)
        try:
            connection = self._opened(create=create)
        except BaseException:
            leave_apsw(self)
            raise
        self.cursor = connection.cursor()
        self._connection = connection

    def _opened(self, *, create: bool) -> apsw.Connection:
        if self.path != MEMORY:
            recognise(self.path, self._vfs, shared=self._shared)
            self._in_doubt = self._wal.in_doubt
        flags = apsw.SQLITE_OPEN_READWRITE
        connection = apsw.Connection(self.path, flags, self._vfs or None, statementcachesize=512)
        try:
            self._set_up(connection, create=create)
        except BaseException:
            connection.close()
            raise
        return connection

    def _set_up(self, connection: apsw.Connection, *, create: bool) -> None:
        configure(connection, self._patience)
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, self._in_doubt)
        begun = partial(self._make_sure, connection)
        migrate(connection, self.path, create=create, shared=self._shared, begun=begun)
        make_durable(connection, self.path, self.durability)
        if self.path != MEMORY:
            connection.set_wal_hook(self._wal.count)
            connection.execute("SELECT 1 FROM jobsim_job LIMIT 1").fetchall()  # makes the files beside it
            self._watch = Watch(self.path)

    def write(self, work: Callable[[*Ts], T], *args: *Ts) -> T:
        """Return ``work(*args)``, made within one transaction: durable when this returns.

        Raises:
            StorageError: nothing was kept; of a `StorageBroken` nobody knows.
        """
        return self._safely(self._transact, work, args)

    def read(self, sql: str, bindings: Sequence[Any], value: Callable[[Row], T]) -> list[T]:
        """Return all rows of a query, each as the `value` that it stands for.

        Raises:
            StorageError: they cannot be read.
        """
        return self._safely(self._query, sql, bindings, value)

    def look(self, work: Callable[[*Ts], T], *args: *Ts) -> T:
        """Return ``work(*args)``, whose statements all see the database as it is at one moment.

        Raises:
            StorageError: it cannot be read.
        """
        return self._safely(self._snapshot, work, args)

    def close(self) -> None:
        """Close the connection; what comes later is refused."""
        with self.lock:
            self._gone = self._gone or StorageError(f"{self.path} was closed; open it again")
            if self._connection is not None:
                self._connection.close()
                self._connection = None
                leave_apsw(self)

    @property
    def commits(self) -> int:
        """How many transactions have written something to the file."""
        return self._wal.commits

    def _safely(self, step: Callable[[*Ts], T], *args: *Ts) -> T:
        """Make one step at a time; leave no transaction behind, and tell of errors in our own words."""
        with self.lock:
            if self._gone is not None:
                raise type(self._gone)(*self._gone.args)
            try:
                return step(*args)
            except NATIVE as error:
                self._undo()
                raise self._explained(error) from error
            except BaseException:
                self._undo()
                raise

    def _transact(self, work: Callable[[*Ts], T], args: tuple[*Ts]) -> T:
        self._begin()
        self._make_sure(self.cursor.connection)
        result = work(*args)
        self._see_to_file()
        self.cursor.execute("COMMIT")
        if self._wal.is_due:
            self._checkpoint()
        return result

    def _snapshot(self, work: Callable[[*Ts], T], args: tuple[*Ts]) -> T:
        self._connect()
        self._see_to_file()
        self.cursor.execute("BEGIN")
        result = work(*args)
        self.cursor.execute("COMMIT")
        return result

    def _query(self, sql: str, bindings: Sequence[Any], value: Callable[[Row], T]) -> list[T]:
        self._connect()
        self._see_to_file()
        return [value(row) for row in self.cursor.execute(sql, bindings).fetchall()]

    def _connect(self) -> None:
        if self._connection is None:  # in a forked child, once
            self._open(create=False)

    def _begin(self) -> None:
        self._connect()
        try:
            self.cursor.execute("BEGIN IMMEDIATE")
        except apsw.BusyError:
            self._begin_after_all()

    def _begin_after_all(self) -> None:
        for _ in range(TRIES - 2):
            with suppress(apsw.BusyError):
                self.cursor.execute("BEGIN IMMEDIATE")
                return
        self.cursor.execute("BEGIN IMMEDIATE")

    def _make_sure(self, connection: apsw.Connection) -> None:
        """Before the first write, see that the disk has what can be read in the WAL, if that is in doubt."""
        if self._in_doubt:
            self._wal.make_sure(self._vfs)
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)
            self._in_doubt = False

    def _see_to_file(self) -> None:
        if self._watch is not None:
            self._watch.check()

    def _checkpoint(self) -> None:
        """Copy the WAL back, here rather than within a commit, where SQLite keeps failures to itself.

        What was to be committed is so: only a disk that confirms nothing any more is an error.
        """
        try:
            self._wal.copy_back(self.cursor.connection)
        except apsw.Error as error:
            if isinstance(explained(error, self.path), StorageBroken):
                raise

    def _undo(self) -> None:
        if self._connection is not None and self._connection.in_transaction:
            with suppress(apsw.Error):  # then SQLite has done it already, or says so at the next step
                self._connection.execute("ROLLBACK")
        self._forget()

    def _explained(self, error: Exception) -> StorageError:
        meaning = explained(error, self.path)
        if isinstance(meaning, StorageBroken):
            self._gone = meaning
            if self.path != MEMORY:
                self._wal.doubt()
            if self._connection is not None:
                # What the disk has of the WAL is for the next process to make sure of.
                self._connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        return meaning

    def leave_to_parent(self) -> None:
        """Forget, in a forked child, the connection: SQLite's locks belong to the process that took them."""
        self.lock = RLock()
        self.listeners.clear()
        self._forget()
        if self._connection is not None:
            _of_parents.append(self._connection)
            self._connection = None
            leave_apsw(self)
        if self.path == MEMORY:
            self._gone = StorageError("this database is in the memory of the process that forked this one")


_opening: Final = RLock()
"""Held while a file is made: closing it must not drop the locks of a thread that has just opened it."""

_open_here: Final[WeakSet[Database]] = WeakSet()
_of_parents: Final[list[apsw.Connection]] = []
"""Connections inherited by a fork, kept for ever: closing one could drop or copy back what is its owner's."""


def _before_fork() -> None:
    """Let every call end, so that the child inherits no lock that a thread of the parent holds."""
    _opening.acquire()
    for database in _open_here:
        database.lock.acquire()


def _in_parent() -> None:
    for database in _open_here:
        database.lock.release()
    _opening.release()


def _in_child() -> None:
    for database in _open_here:
        database.leave_to_parent()
    _opening.release()


os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)
