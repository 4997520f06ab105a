"""Power cuts: a SQLite file layer that notes what reaches the disk, and every image that a cut could leave.

    from jobsim.testing.power_survey import survey

    with PowerCutDisk() as disk:
        connection = apsw.Connection("orders.db", vfs=disk.name)
        connection.execute("INSERT ...")
        disk.note("order 7 was confirmed")
        connection.close()
    for case in survey(disk):
        assert case.sound, case

hold any application's database to it: whatever moment the power goes at, the database is found as it
was after one of its commits, and none is undone of which somebody was told.
"""

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple, Self
from weakref import WeakSet

import apsw

from jobsim.testing.power_platter import (
    SECTOR,
    FailedSync,
    File,
    Found,
    Image,
    Name,
    Platter,
    Resize,
    Step,
    Sync,
    SyncNames,
    Write,
)

_JOURNALS: Final = apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_SUPER_JOURNAL | apsw.SQLITE_OPEN_WAL
_RECORDED: Final = apsw.SQLITE_OPEN_MAIN_DB | _JOURNALS

_numbers: Final = count(1)


class Cut(NamedTuple):
    """A moment at which the power may go: after so many `steps`, when so many `notes` had been taken.

    `told` is how many of these confirmed something.
    `platter` is what the disk has and is to write, `seen` what programs read: more, where a sync has failed.
    """

    steps: int
    notes: int
    told: int
    platter: Platter
    seen: Image


class PowerCutDisk(apsw.VFS):
    """SQLite's own file layer, that notes each write, sync, truncation and deletion; `name` is its name.

    Name it where a database is opened: ``SqliteStorage(path, vfs=disk.name)``,
    ``apsw.Connection(path, vfs=disk.name)``. All is done on real files, shared memory included, but
    for syncs, for whose effect nobody has to wait. A file that is found with something in it was on the disk
    before; the name of an empty one has just been made. What is surveyed is the first database opened.

    `sector` is how many bytes a disk writes whole. Without `powersafe`, SQLite is told that a torn write may
    damage what is beside it in the sector. Sync number `failing_sync`, from 1, is refused, and what it was to
    write is given up; who else has the file open is told so by the next sync, as by Linux. Source: Rebello et
    al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020.
    """

    def __init__(self, *, sector: int = SECTOR, powersafe: bool = True, failing_sync: int = 0) -> None:
        self.name: Final = f"power-cut-{next(_numbers)}"
        super().__init__(self.name, "unix")
        self.sector: Final = sector
        self.powersafe: Final = powersafe
        self.failing_sync = failing_sync
        self.database = ""
        self.notes: list[object] = []
        self.steps: list[Step] = []
        self.syncs = 0
        self._open: WeakSet[_RecordedFile] = WeakSet()
        self._noted_at: list[tuple[int, bool]] = []
        self._found: list[Found] = []
        self._files: dict[str, File] = {}
        self._fresh = count()

    def note(self, what: object, *, confirms: bool = True) -> None:
        """Note that somebody knows of `what`; where that `confirms` a commit, no later cut may undo it."""
        self.notes.append(what)
        self._noted_at.append((len(self.steps), confirms))

    def cuts(self) -> Iterator[Cut]:
        """Yield each moment, from the first on; the platter is valid until the next is asked for."""
        root = self.database.removesuffix(Path(self.database).name)
        platter, notes, told = Platter(self.sector, self._found, root), 0, 0
        memory = Platter(self.sector, self._found, root) if self.failing_sync else platter
        for number in range(len(self.steps) + 1):
            if number:
                step = self.steps[number - 1]
                platter.take(step)
                if memory is not platter and not isinstance(step, FailedSync):
                    memory.take(step)
            while notes < len(self.notes) and self._noted_at[notes][0] <= number:
                told += self._noted_at[notes][1]
                notes += 1
            yield Cut(number, notes, told, platter, memory.image(memory.pending))

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        if path is None or not flags[0] & _RECORDED:
            return apsw.VFSFile("unix", name, flags)
        made = not os.path.exists(path)  # noqa: PTH110  # SQLite hands over texts
        file = _RecordedFile(self, name, flags)
        if flags[0] & apsw.SQLITE_OPEN_MAIN_DB:
            self.database = self.database or path
        file.number = self._known(path, b"" if made else file.content())
        self._open.add(file)
        return file

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: FBT001, N802
        unknown = Path(filename) if filename not in self._files else None
        content = unknown.read_bytes() if unknown and unknown.exists() else b""
        super().xDelete(filename, syncdir)
        self._known(filename, content)
        del self._files[filename]
        self.steps.append(Name(filename, None))
        if syncdir:
            self.steps.append(SyncNames())

    def _known(self, path: str, content: bytes) -> File:
        """Return the number of a file; one not seen before had the `content`."""
        if path not in self._files:
            file = self._files[path] = next(self._fresh)
            if content:
                self._found.append((path, file, content))
            else:
                self.steps.append(Name(path, file))
        return self._files[path]

    def sync(self, file: "_RecordedFile") -> None:
        """Let what was written to a file last, or fail.

        Raises:
            apsw.IOError: it is to fail, or has failed since the file was opened, which is told once.
        """
        self.syncs += 1
        if self.syncs == self.failing_sync:
            for other in self._open:
                other.owes_error = other.number == file.number
        if file.owes_error:
            file.owes_error = False
            self.steps.append(FailedSync(file.number))
            raise apsw.exception_for(apsw.SQLITE_IOERR_FSYNC)
        self.steps.append(Sync(file.number))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.unregister()


class _RecordedFile(apsw.VFSFile):
    """One of its files."""

    number: File
    owes_error = False

    def __init__(self, disk: PowerCutDisk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._disk = disk
        self._powersafe = disk.powersafe
        self._syncs_names = bool(flags[0] & _JOURNALS and flags[0] & apsw.SQLITE_OPEN_CREATE)
        super().__init__("unix", name, flags)

    def content(self) -> bytes:
        """Return all that is in it, read in a way that keeps SQLite's locks."""
        size = self.xFileSize()
        return self.xRead(size, 0) if size else b""

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        super().xWrite(data, offset)
        self._disk.steps.append(Write(self.number, offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        super().xTruncate(newsize)
        self._disk.steps.append(Resize(self.number, newsize))

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._disk.sync(self)
        if self._syncs_names:
            self._syncs_names = False
            self._disk.steps.append(SyncNames())

    def xDeviceCharacteristics(self) -> int:  # noqa: N802
        told = super().xDeviceCharacteristics()
        return told if self._powersafe else told & ~apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE
