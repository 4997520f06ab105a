"""What a disk holds when the power goes: what was synced, and whatever survives of what was not.

The unit that survives or is lost is a write within one sector, a change of a file's size, or a name that is
made or removed. A file's own changes last from its sync on, names from that of the directory.
Source: the crash tests of SQLite, https://sqlite.org/testing.html#crash_testing, and their ``test6.c``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

SECTOR: Final = 512
"""Bytes that a disk writes whole, or not at all, unless told otherwise."""

File = int
"""A file, by whatever name: its place in the order of files."""


Found = tuple[str, File, bytes]
"""A file that was on the disk before: its name, its number, and what is in it."""


class Write(NamedTuple):
    """Bytes written to a file."""

    file: File
    offset: int
    data: bytes


class Resize(NamedTuple):
    """A file cut off at `size`, or filled up with zeros."""

    file: File
    size: int


class Name(NamedTuple):
    """A name given to a file, or (`None`) removed."""

    name: str
    file: File | None


class Sync(NamedTuple):
    """All that was written to a file has reached the disk."""

    file: File


class SyncNames(NamedTuple):
    """All names made and removed have reached the disk."""


class FailedSync(NamedTuple):
    """A sync that was refused: the system gave up what was not written, though programs still read it."""

    file: File


Change = Write | Resize | Name
"""What may survive by itself."""

Step = Change | Sync | SyncNames | FailedSync


@dataclass(frozen=True, slots=True)
class Image:
    """The files that a power cut left, by the paths they had.

    `digest` tells images apart, and is the same wherever the directory of the database is.
    """

    files: Mapping[str, bytes]
    digest: bytes

    def write(self, directory: Path) -> None:
        """Put the files into `directory`, under the names they had in theirs."""
        for name, content in self.files.items():
            (directory / Path(name).name).write_bytes(content)


class Platter:
    """What has reached the disk, and in `pending` what has not yet, in order; `take` goes on by one step.

    `synced` counts the times that something pending became lasting, or was given up. The names of files below
    `root` count from there where images are told apart.
    """

    def __init__(self, sector: int = SECTOR, found: Iterable[Found] = (), root: str = "") -> None:
        self.pending: list[Change] = []
        self.synced = 0
        self._sector = sector
        self._root = root
        self._contents: dict[File, bytes] = {}
        self._digests: dict[File, bytes] = {}
        self._names: dict[str, File] = {}

        for name, file, content in found:
            self._names[name] = file
            self._hold(file, content)

    def take(self, step: Step) -> None:
        """Let one thing happen."""
        match step:
            case Write():
                self.pending += _pieces(step, self._sector)
            case Resize() | Name():
                self.pending.append(step)
            case Sync(file):
                self._let_last([change for change in self.pending if _of(change) == file])
            case SyncNames():
                self._let_last([change for change in self.pending if isinstance(change, Name)])
            case FailedSync(file):
                self._forget([change for change in self.pending if _of(change) == file])

    def _let_last(self, changes: list[Change]) -> None:
        self._names, written = self._after(changes)
        for file, content in written.items():
            self._hold(file, content)
        self._forget(changes)

    def _hold(self, file: File, content: bytes) -> None:
        self._contents[file] = content
        self._digests[file] = _digest(content)

    def _forget(self, changes: list[Change]) -> None:
        gone = {id(change) for change in changes}
        self.pending = [change for change in self.pending if id(change) not in gone]
        self.synced += bool(changes)

    def image(self, surviving: Iterable[Change]) -> Image:
        """Return what is found where, of what is pending, just that survives, in its order."""
        names, written = self._after(surviving)
        files, whole = {}, sha256()
        for name, file in sorted(names.items()):
            content = written.get(file)
            digest = self._digests.get(file, _EMPTY) if content is None else _digest(content)
            files[name] = self._contents.get(file, b"") if content is None else content
            whole.update(f"{name.removeprefix(self._root)}\0".encode() + digest)
        return Image(files, whole.digest())

    def _after(self, changes: Iterable[Change]) -> tuple[dict[str, File], dict[File, bytes]]:
        """Return which file has which name after `changes`, and what is then in those that they alter."""
        names, altered = dict(self._names), dict[File, bytearray]()
        for change in changes:
            if isinstance(change, Name):
                _rename(names, change)
                continue
            content = altered.get(change.file)
            if content is None:
                content = altered[change.file] = bytearray(self._contents.get(change.file, b""))
            _alter(content, change)
        return names, {file: bytes(content) for file, content in altered.items()}


def _digest(content: bytes) -> bytes:
    return sha256(content).digest()


_EMPTY: Final = _digest(b"")


def _of(change: Change) -> File | None:
    """Return the file whose sync makes a change last."""
    return None if isinstance(change, Name) else change.file


def _pieces(write: Write, sector: int) -> Iterable[Write]:
    """Split a write where sectors end."""
    file, offset, data = write
    first = sector - offset % sector
    for start in (0, *range(first, len(data), sector)):
        yield Write(file, offset + start, data[start : start + sector if start else first])


def _rename(names: dict[str, File], change: Name) -> None:
    if change.file is None:
        names.pop(change.name, None)
    else:
        names[change.name] = change.file


def _alter(content: bytearray, change: Write | Resize) -> None:
    if isinstance(change, Resize):
        del content[change.size :]
        content.extend(bytes(change.size - len(content)))
        return
    _, offset, data = change
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data
