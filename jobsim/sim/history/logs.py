"""Where event logs come from: a live store, a run, or a table that was exported."""

import csv
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from jobsim.core.decide import Why
from jobsim.core.errors import ConfigError
from jobsim.core.events import Event, EventLog
from jobsim.core.job import UNLIMITED, JobId, WorkerId
from jobsim.core.time import SECOND, Instant, instant
from jobsim.core.transitions import Kind
from jobsim.models.trace_rows import reading, told_of
from jobsim.sim.event_file import stream_events
from jobsim.sim.streaming import Recording

if TYPE_CHECKING:
    from jobsim.storage.base import Storage


@dataclass(frozen=True, slots=True)
class Place:
    """What a log does not say of a kind of job: its queue and its priority."""

    queue: str
    priority: int


@dataclass(frozen=True, slots=True)
class Told:
    """A log and what is known besides: `places` by kind, how many events are `missing`, what window it is of.

    `began` and `ended` are those of the time in which jobs arrived, where that is known.
    """

    name: str
    log: EventLog
    places: Mapping[str, Place] = field(default_factory=dict)
    missing: int = 0
    began: Instant | None = None
    ended: Instant | None = None


def told(source: Any) -> Told:
    """Return the log that `source` is or names.

    That is an `EventLog`; what has one, such as the result of a simulation or a recording; a `Storage`; the
    URL of one; or a file that `events_in` reads.

    Raises:
        ConfigError: it is none of these, or what is wrong in the table, with its line and column.
        StorageError: the store cannot be read.
    """
    match source:
        case EventLog():
            return Told("log", source)
        case str() if "://" in source:
            from jobsim.live.stores import Address

            address = Address.of(source)
            if address.in_memory:
                raise ConfigError(f"{source}: names no store that anything is kept in")
            with closing(address.open(create=False)) as store:
                return _of_store(str(address), store)
        case str() | os.PathLike():
            return Told(Path(source).stem, EventLog.of(events_in(source)))
        case _:
            return _of_object(source)


def _of_object(source: Any) -> Told:
    if isinstance(source, Recording):
        source = source.result()
    run = getattr(source, "run", source)
    if isinstance(getattr(run, "log", None), EventLog):
        began, scenario = getattr(run, "began", None), getattr(run, "scenario", None)
        if began is None or scenario is None:
            return Told("log", run.log)
        places = {job.kind: Place(job.queue, job.priority) for job in scenario.jobs}
        ended = Instant(began + scenario.horizon)
        return Told(scenario.name, run.log, places, began=began, ended=ended)
    if callable(getattr(source, "events", None)) and callable(getattr(source, "get", None)):
        return _of_store("store", source)
    raise ConfigError(
        f"{source!r} is no event log; give an EventLog, the result of a simulation, the URL of a store, "
        "or the path of a table of events"
    )


def _of_store(name: str, store: "Storage") -> Told:
    last = count = 0
    examples: dict[str, JobId] = {}

    def seen(events: Iterable[Event]) -> Iterator[Event]:
        nonlocal last, count
        for event in events:
            last, count = event.seq, count + 1
            if event.kind is Kind.ENQUEUE:
                examples[event.why.reason] = event.job
            yield event

    log = EventLog.of(seen(store.events()))
    jobs = {kind: store.get(example) for kind, example in examples.items()}
    places = {kind: Place(job.queue, job.priority) for kind, job in jobs.items() if job is not None}
    return Told(name, log, places, last - count)


def events_in(path: str | os.PathLike[str]) -> Iterator[Event]:
    """Yield the events in a file, of which few are in memory at a time.

    It is a file that `jobsim.sim.record` wrote, a table of events as ``jobsim run --out`` writes it, CSV or
    Parquet (see `jobsim.analysis.frames.events` for its columns), or what ``jobsim events --json`` wrote.
    Text may be compressed by gzip.

    Raises:
        ConfigError: it cannot be read, or what is wrong in it, with its line and column.
    """
    name = os.fspath(path)
    if name.endswith(".parquet"):
        yield from _events(name, enumerate(_parquet_rows(name), 1), ": row ", _COLUMNS)
    elif _begins_with(name, _EVENTS):
        yield from stream_events(name)
    elif _begins_with(name, _SQLITE):
        raise ConfigError(f"{name}: is a SQLite database; name it by its URL, sqlite:///{name}")
    else:
        with reading(name) as text:
            start = text.read(1)
            text.seek(0)
            if start == "{":
                yield from _events(name, _lines(name, text), ":", _KEYS)
            else:
                yield from _events(name, _csv_rows(name, text), ":", _COLUMNS)


_EVENTS: Final = b"jobsim events"
_SQLITE: Final = b"SQLite format 3\0"


def _begins_with(name: str, start: bytes) -> bool:
    with told_of(name), Path(name).open("rb") as file:
        return file.read(len(start)) == start


def _csv_rows(name: str, text: IO[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    rows = csv.DictReader(text, strict=True)
    try:
        missing = [column for column in _COLUMNS if column not in (rows.fieldnames or ())]
        if missing:
            raise ConfigError(f"{name}:1: is no table of events: there is no column {missing[0]!r}")
        for row in rows:
            yield rows.line_num, row
    except csv.Error as error:
        raise ConfigError(f"{name}:{rows.line_num}: is no line of CSV: {error}") from None


def _lines(name: str, text: IO[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text, 1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{name}:{number}: is no line of JSON: {error}") from None
        missing = [key for key in _KEYS if not isinstance(row, dict) or key not in row]
        if missing:
            raise ConfigError(
                f"{name}:{number}: is no event: there is no {missing[0]!r}; write the log with "
                "jobsim events --after 0 --json"
            )
        yield number, row


def _parquet_rows(name: str) -> Iterator[dict[str, Any]]:
    with told_of(name):
        yield from _rows_of_batches(name)


def _rows_of_batches(name: str) -> Iterator[dict[str, Any]]:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise ConfigError(f"{name}: cannot be read: {error}") from None
    try:
        with ParquetFile(name) as file:
            missing = [column for column in _COLUMNS if column not in file.schema_arrow.names]
            if missing:
                raise ConfigError(f"{name}: is no table of events: there is no column {missing[0]!r}")
            for batch in file.iter_batches(columns=list(_COLUMNS)):
                table = batch.to_pandas().astype(object)
                values = (table[column].where(table[column].notna(), "").tolist() for column in _COLUMNS)
                for row in zip(*values, strict=True):
                    yield dict(zip(_COLUMNS, row, strict=True))
    except ArrowException as error:
        raise ConfigError(f"{name}: cannot be read: {error}") from None


_Reader = tuple[str, Callable[[Any], Any]]


def _events(
    name: str, rows: Iterable[tuple[int, dict[str, Any]]], place: str, columns: Mapping[str, _Reader]
) -> Iterator[Event]:
    for line, row in rows:
        try:
            read = {part: reader(row[column]) for column, (part, reader) in columns.items()}
        except (ValueError, TypeError, KeyError, OverflowError, AttributeError) as error:
            column = next(c for c, (_, reader) in columns.items() if _fails(reader, row.get(c)))
            raise ConfigError(f"{name}{place}{line}: column {column!r}: {error}") from None
        yield _event(read)


def _fails(read: Callable[[Any], object], value: Any) -> bool:
    try:
        read(value)
    except (ValueError, TypeError, KeyError, OverflowError, AttributeError):
        return True
    return False


def _event(read: dict[str, Any]) -> Event:
    outcome, reason, error = (read.pop(part) for part in ("outcome", "reason", "error"))
    kind_of_job = read.pop("kind_of_job", reason)
    return Event(**read, why=Why(outcome, kind_of_job if read["kind"] is Kind.ENQUEUE else reason, error))


def _instant(value: Any) -> Instant:
    return Instant(round(float(value) * SECOND))


def _limit(value: Any) -> int:
    return UNLIMITED if value is None or (number := float(value)) == float("inf") else int(number)


def _moment(text: str) -> Instant:
    return instant(datetime.fromisoformat(text))


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _worker(value: Any) -> WorkerId | None:
    return WorkerId(str(value)) if value else None


_ALIKE: Final[dict[str, _Reader]] = {
    "seq": ("seq", int),
    "job": ("job", JobId.parse),
    "event": ("kind", Kind),
    "attempt": ("attempt", int),
    "max_attempts": ("max_attempts", _limit),
    "token": ("token", int),
    "worker": ("worker", _worker),
    "outcome": ("outcome", _text),
    "reason": ("reason", _text),
    "error": ("error", _text),
}

_COLUMNS: Final[dict[str, _Reader]] = {
    **_ALIKE,
    "at_s": ("at", _instant),
    "kind": ("kind_of_job", _text),
    "due_s": ("due", lambda value: _instant(value) if value not in ("", None) else None),
}
"""What is in the columns of a table, and how it is read."""

_KEYS: Final[dict[str, _Reader]] = {
    **_ALIKE,
    "at": ("at", _moment),
    "due": ("due", lambda value: None if value is None else _moment(value)),
}
"""The same of a line of JSON."""
