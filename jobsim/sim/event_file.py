"""Event logs as files: written while things happen, so that memory stays flat, and read back whole.

After a line that names the format come frames: a letter, a length, and so many bytes. ``J`` holds ids of
jobs, ``T`` workers and reasons as JSON, ``R`` records, all continuing those before; ``E`` ends the file.
"""

import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike, fstat
from pathlib import Path
from typing import BinaryIO, Final

from jobsim.core.decide import Why
from jobsim.core.errors import ConfigError
from jobsim.core.events import KINDS, RECORD, Event, EventLog
from jobsim.core.job import JobId, WorkerId

_FORMAT: Final = b"jobsim events 1\n"
_FRAME: Final = struct.Struct("<cQ")
_ID_BYTES: Final = 16
_RECORDS: Final = ",".join(f"<{code}" for code in RECORD.format[1:])
"""A record as numpy takes it; its fields are then called f0, f1 and so on."""


class EventFile(EventLog):
    """A log that keeps no events but writes them to `file`; `read_events` reads them back."""

    __slots__ = ("_file", "_told")

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file
        self._told = (len(self.workers), len(self.whys))
        file.write(_FORMAT)

    def _keep(self, records: bytes) -> None:
        """Write the records, after what gives them meaning."""
        if self.jobs:
            self._frame(b"J", b"".join(job.to_bytes(_ID_BYTES) for job in self.jobs))
            self.jobs.clear()
        workers, whys = self._told
        if (len(self.workers), len(self.whys)) != self._told:
            self._frame(b"T", json.dumps([self.workers[workers:], self.whys[whys:]]).encode())
            self._told = (len(self.workers), len(self.whys))
        self._frame(b"R", records)

    def finish(self) -> None:
        """Write what is left, and that there is no more."""
        self.join()
        self._frame(b"E", b"")

    def _frame(self, kind: bytes, content: bytes) -> None:
        self._file.write(_FRAME.pack(kind, len(content)) + content)


@contextmanager
def event_file(path: str | PathLike[str]) -> Iterator[EventFile]:
    """Give a log that writes to `path`, which is there once it is whole.

    Raises:
        ConfigError: it cannot be written there; what was there before is left as it was.
    """
    goal = Path(path)
    draft = goal.with_name(f"{goal.name}.part")
    try:
        with draft.open("wb") as file:
            log = EventFile(file)
            yield log
            log.finish()
        draft.replace(goal)
    except OSError as error:
        raise ConfigError(f"events: {goal} cannot be written: {error.strerror}") from None
    finally:
        draft.unlink(missing_ok=True)


def read_events(path: str | PathLike[str]) -> EventLog:
    """Return the event log in the file at `path`.

    Raises:
        ConfigError: there is none, it is no such file, or its end is missing.
    """
    log = EventLog()
    for records in _records(path, log):
        log.extend(records)
    return log


def stream_events(path: str | PathLike[str]) -> Iterator[Event]:
    """Yield the events in the file at `path`, of which few are in memory at a time.

    Raises:
        ConfigError: as `read_events`, once it comes to that.
    """
    log, seq = EventLog(), 0
    for records in _records(path, log):
        for record in RECORD.iter_unpack(records):
            seq += 1
            yield log.event(seq, *record)


def _records(path: str | PathLike[str], log: EventLog) -> Iterator[bytes]:
    """Yield the records in a file, and fill the tables of `log`, which give them meaning, before each."""
    try:
        with Path(path).open("rb") as file:
            if file.read(len(_FORMAT)) != _FORMAT:
                raise ConfigError(f"{path} is no file of events that this version of jobsim reads")
            yield from _read(file, path, log)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None


def _read(file: BinaryIO, path: str | PathLike[str], log: EventLog) -> Iterator[bytes]:
    size = fstat(file.fileno()).st_size
    while True:
        head = file.read(_FRAME.size)
        kind, length = _FRAME.unpack(head) if len(head) == _FRAME.size else (b"", 0)
        content = file.read(min(length, size))  # a length that is damaged may be any
        if len(content) != length or not _understood(log, kind, content):
            raise ConfigError(f"{path} is damaged, or was cut off: it has no end; write it anew")
        if kind == b"E":
            return
        if kind == b"R":
            yield content


def _understood(log: EventLog, kind: bytes, content: bytes) -> bool:
    """Take in what a frame adds to the tables of `log`; return whether the frame can have been written."""
    match kind:
        case b"J":
            places = range(0, len(content), _ID_BYTES)
            log.jobs.extend(JobId.from_bytes(content[at : at + _ID_BYTES]) for at in places)
            return len(content) % _ID_BYTES == 0
        case b"T":
            return _learnt(log, content)
        case b"R":
            return bool(content) and len(content) % RECORD.size == 0 and _meaningful(log, content)
        case _:
            return kind == b"E"


def _learnt(log: EventLog, content: bytes) -> bool:
    """Add workers and reasons to the tables of `log`; return whether that is what they are."""
    try:
        workers, whys = json.loads(content)
        names = [name for name in workers if isinstance(name, str)]
        reasons = [Why(*why) for why in whys if all(isinstance(part, str) for part in why)]
    except (ValueError, TypeError, RecursionError):
        return False
    for name in names:
        log.worker_numbers[WorkerId(name)]  # to look it up is to add it
    for why in reasons:
        log.why_numbers[why]
    return len(names) == len(workers) and len(reasons) == len(whys)


def _meaningful(log: EventLog, records: bytes) -> bool:
    """Return whether all numbers in `records` stand for something in the tables of `log`."""
    import numpy as np  # late: only files of others need it

    table = np.frombuffer(records, dtype=_RECORDS)
    sizes = {"f2": len(log.jobs), "f6": len(log.workers), "f7": len(log.whys), "f8": len(KINDS)}
    return all(bool(((table[name] >= 0) & (table[name] < size)).all()) for name, size in sizes.items())
