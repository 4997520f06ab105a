"""Rows of a trace and how they become jobs: read one by one, so that a file may be larger than memory."""

import gzip
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import IO, Any, Final

from jobsim.core.errors import ConfigError, did_you_mean
from jobsim.models.traces import UNKNOWN, Path, Recorder

Row = Sequence[Any]

ALL: Final = "all"
ONE_KIND: Final = "job"
"""What jobs are called where all are of one kind."""

_GZIP: Final = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Cell:
    """One thing that a row tells: what people call it, and how it is read from a row."""

    label: str
    read: Callable[[Row], Any]


def absent(value: object) -> Cell:
    """Return the cell of what a file does not tell at all."""
    return Cell("", lambda _: value)


@dataclass(frozen=True, slots=True)
class Layout:
    """How a row tells a job; `ends`: the moment is that of its end. `skips` finds rows that tell of none."""

    moment: Cell
    duration: Cell
    kind: Cell
    ok: Cell
    attempts: Cell
    ends: bool = False
    skips: Callable[[Row], bool] | None = None

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All cells, in the order of `Recorder.add`."""
        return self.moment, self.duration, self.kind, self.ok, self.attempts

    def record(self, name: str, rows: Iterable[tuple[int, Row]], place: str = ":") -> Recorder:
        """Return the jobs of `rows`, which come with their numbers in the file `name`.

        Raises:
            ConfigError: a cell cannot be read; it names the row and the column.
        """
        recorder = Recorder()
        moment, length, kind, ok, attempts = (cell.read for cell in self.cells)
        for line, row in rows:
            try:
                if self.skips is not None and self.skips(row):
                    recorder.skipped += 1
                    continue
                takes = length(row)
                at = moment(row)
                if self.ends:
                    at -= _known(takes)
                recorder.add(at, takes, kind(row), ok(row), attempts(row))
            except (ValueError, IndexError, OverflowError, TypeError, AttributeError) as error:
                raise ConfigError(f"{name}{place}{line}: {self._fault(row, error)}") from None
        return recorder

    def _fault(self, row: Row, error: Exception) -> str:
        """Return what is wrong in `row`: the first cell that cannot be read."""
        for cell in self.cells:
            try:
                cell.read(row)
            except IndexError:
                return f"{cell.label}: is missing; the row has {len(row)} columns"
            except (ValueError, OverflowError, TypeError, AttributeError) as problem:
                return f"{cell.label}: {problem}"
        return str(error)


def _known(takes: int) -> int:
    if takes == UNKNOWN:
        raise ValueError("a job of which only the end is known needs its duration")
    return takes


@contextmanager
def reading(path: Path, encoding: str = "utf-8-sig") -> Iterator[IO[str]]:
    """Open a text file, decompressed where it is in the gzip format, whatever it is called.

    Raises:
        ConfigError: it cannot be read.
    """
    with told_of(path):
        with FilePath(path).open("rb") as raw:
            compressed = raw.read(2) == _GZIP
        if compressed:
            with gzip.open(path, "rt", encoding=encoding, newline="") as text:
                yield text
        else:
            with FilePath(path).open(encoding=encoding, newline="") as text:
                yield text


@contextmanager
def told_of(path: Path) -> Iterator[None]:
    """Say what is the matter with a file that cannot be read."""
    name = os.fspath(path)
    try:
        os.access(name, os.R_OK)
    except ValueError:
        raise ConfigError(f"{name!a}: no file can be called so") from None
    try:
        yield
    except FileNotFoundError:
        near = FilePath(name).parent
        files = [file.name for file in near.iterdir()] if near.is_dir() else []
        hint = did_you_mean(FilePath(name).name, files)
        raise ConfigError(f"{name}: there is no such file{hint}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name}: is not UTF-8 text (byte 0x{error.object[error.start]:02x})") from None
    except (EOFError, zlib.error):
        raise ConfigError(f"{name}: its gzip data is cut off or damaged") from None
    except OSError as error:
        raise ConfigError(f"{name}: cannot be read: {error.strerror or error}") from None
