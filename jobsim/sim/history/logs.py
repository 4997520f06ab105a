"""Where event logs come from: a live store, a run, or a table that was exported."""

import csv
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jobsim.core.decide import Why
from jobsim.core.errors import ConfigError
from jobsim.core.events import Event, EventLog
from jobsim.core.job import UNLIMITED, JobId, WorkerId
from jobsim.core.time import SECOND, Instant
from jobsim.core.transitions import Kind
from jobsim.models.trace_rows import reading
from jobsim.sim.event_file import read_events
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
    URL of one; a file of events that `jobsim.sim.record` wrote; or a table of events as ``jobsim run --out``
    writes it, CSV (plain or gzip) or Parquet.

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
            return Told(Path(source).stem, _read(source))
        case _:
            return _of_object(source)


def _read(path: str | os.PathLike[str]) -> EventLog:
    """Return the log in a file, whose first bytes tell whether it is a table."""
    try:
        with Path(path).open("rb") as file:
            is_table = file.read(len(_EVENTS)) != _EVENTS
    except OSError:
        is_table = True  # reading it says what is the matter
    return read_table(path) if is_table else read_events(path)


_EVENTS: Final = b"jobsim events"


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


def read_table(path: str | os.PathLike[str]) -> EventLog:
    """Return the log that a table of events tells; see `jobsim.analysis.frames.events` for its columns.

    Raises:
        ConfigError: it cannot be read, or what is wrong in it, with its line and column.
    """
    name = os.fspath(path)
    if name.endswith(".parquet"):
        return EventLog.of(_events(name, enumerate(_parquet_rows(name), 1), ": row "))
    with reading(path) as text:
        rows = csv.DictReader(text, strict=True)
        missing = [column for column in _COLUMNS if column not in (rows.fieldnames or ())]
        if missing:
            raise ConfigError(f"{name}:1: is no table of events: there is no column {missing[0]!r}")
        return EventLog.of(_events(name, ((rows.line_num, row) for row in rows), ":"))


def _parquet_rows(name: str) -> Iterator[dict[str, Any]]:
    import pandas as pd

    try:
        table = pd.read_parquet(name)
    except (OSError, ValueError, ImportError) as error:
        raise ConfigError(f"{name}: cannot be read: {error}") from None
    missing = [column for column in _COLUMNS if column not in table]
    if missing:
        raise ConfigError(f"{name}: is no table of events: there is no column {missing[0]!r}")
    columns = [table[column].astype(object).where(table[column].notna(), "").tolist() for column in _COLUMNS]
    for values in zip(*columns, strict=True):
        yield dict(zip(_COLUMNS, values, strict=True))


def _events(name: str, rows: Iterable[tuple[int, dict[str, Any]]], place: str) -> Iterator[Event]:
    for line, row in rows:
        try:
            told_of = {column: read(row[column]) for column, read in _COLUMNS.items()}
        except (ValueError, TypeError, KeyError) as error:
            column = next(c for c, read in _COLUMNS.items() if _fails(read, row.get(c)))
            raise ConfigError(f"{name}{place}{line}: column {column!r}: {error}") from None
        yield _event(told_of)


def _fails(read: Callable[[Any], object], value: Any) -> bool:
    try:
        read(value)
    except (ValueError, TypeError, KeyError):
        return True
    return False


def _event(row: dict[str, Any]) -> Event:
    is_enqueue = row["event"] is Kind.ENQUEUE
    reason = row["kind"] if is_enqueue else row["reason"]
    return Event(
        seq=row["seq"],
        at=row["at_s"],
        job=row["job"],
        kind=row["event"],
        attempt=row["attempt"],
        max_attempts=row["max_attempts"],
        token=row["token"],
        worker=row["worker"],
        due=row["due_s"],
        why=Why(row["outcome"], reason, row["error"]),
    )


def _instant(value: Any) -> Instant:
    return Instant(round(float(value) * SECOND))


def _limit(value: Any) -> int:
    number = float(value)
    return UNLIMITED if number == float("inf") else int(number)


_COLUMNS: Final[dict[str, Callable[[Any], Any]]] = {
    "seq": int,
    "at_s": _instant,
    "job": JobId.parse,
    "kind": str,
    "event": Kind,
    "attempt": int,
    "max_attempts": _limit,
    "token": int,
    "worker": lambda value: WorkerId(value) if value else None,
    "due_s": lambda value: _instant(value) if value not in ("", None) else None,
    "outcome": str,
    "reason": str,
    "error": str,
}
