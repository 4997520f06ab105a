"""The formats of traces."""

import csv
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import chain
from typing import IO, TYPE_CHECKING, Any, Final, get_args

from jobsim.core.errors import ConfigError, did_you_mean
from jobsim.core.time import SECOND
from jobsim.models.problems import not_one_of, shown
from jobsim.models.trace_cells import UNITS, attempts_of, kind_of, length, moment, number, ok_of
from jobsim.models.trace_rows import ALL, ONE_KIND, Cell, Layout, Row, absent, reading, told_of
from jobsim.models.traces import UNKNOWN, Path, Recorder, Unit

if TYPE_CHECKING:
    from types import ModuleType


def swf(path: Path, kind: str) -> Recorder:
    """Read a log in the Standard Workload Format; see `Trace.swf`."""
    if kind not in (*_SWF_KINDS, ALL):
        raise ConfigError(f"kind: {not_one_of(kind, (*_SWF_KINDS, ALL))}")
    with reading(path, encoding="latin-1") as text:
        return _swf_layout(kind).record(os.fspath(path), _swf_rows(os.fspath(path), text))


# Places in a line, from 0; the format's own description counts from 1.
_SUBMIT, _RUN, _STATUS = 1, 3, 10
_SWF_KINDS: Final = {"user": 11, "group": 12, "executable": 13, "queue": 14, "partition": 15}
_SWF_FIELDS: Final = 18
_PARTIAL: Final = frozenset("234")
_CANCELLED: Final = "5"
_SWF_OK: Final = {"0": 0, "1": 1}


def _swf_rows(name: str, lines: Iterable[str]) -> Iterator[tuple[int, Row]]:
    for line, text in enumerate(lines, 1):
        fields = text.split()
        if not fields or fields[0].startswith(";"):
            continue
        if len(fields) != _SWF_FIELDS:
            raise ConfigError(f"{name}:{line}: has {len(fields)} fields, not the format's {_SWF_FIELDS}")
        yield line, fields


def _swf_layout(kind: str) -> Layout:
    place = _SWF_KINDS.get(kind, -1)
    return Layout(
        moment=Cell("field 2 (submit time)", lambda row: _positive(number(row[_SUBMIT], SECOND))),
        duration=Cell("field 4 (run time)", lambda row: length(_plain(row[_RUN]), SECOND)),
        kind=absent(ONE_KIND)
        if kind == ALL
        else Cell(f"field {place + 1} ({kind})", lambda row: _numbered(kind, row[place])),
        ok=Cell("field 11 (status)", lambda row: _SWF_OK.get(row[_STATUS], UNKNOWN)),
        attempts=absent(UNKNOWN),
        skips=lambda row: row[_STATUS] in _PARTIAL or (row[_STATUS] == _CANCELLED and _plain(row[_RUN]) <= 0),
    )


def _plain(text: str) -> float:
    """Return a number; here a text with a unit is none."""
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{shown(text)} is not a number") from None


def _positive(micros: int) -> int:
    if micros < 0:
        raise ValueError("is not known; a job needs the time of its submission")
    return micros


@cache
def _numbered(kind: str, text: str) -> str:
    number = int(text)
    return f"{kind}-{number}" if number != UNKNOWN else f"{kind}-unknown"


def azure_2021(path: Path, kind: str) -> Recorder:
    """Read the Azure Functions trace of 2021; see `Trace.azure_2021`."""
    kinds = ("function", "app", ALL)
    if kind not in kinds:
        raise ConfigError(f"kind: {not_one_of(kind, kinds)}")
    names = {"end": "end_timestamp", "duration": "duration", "app": "app", "func": "func"}
    with reading(path) as text:
        places, rows = _table(os.fspath(path), text, names)
        layout = _layout(names, places, "s", ends=True)
        app, func = places["app"], places["func"]
        match kind:
            case "function":
                told = Cell("app, func", lambda row: f"{row[app]}/{row[func]}")
            case "app":
                told = Cell("app", lambda row: row[app])
            case _:
                told = absent(ONE_KIND)
        return replace(layout, kind=told).record(os.fspath(path), rows)


_COLUMNS: Final = ("submit", "end", "duration", "kind", "ok", "attempts")


def csv_file(path: Path, columns: Mapping[str, str] | None, unit: Unit) -> Recorder:
    """Read a CSV file; see `Trace.csv`."""
    names = _named(columns, unit)
    with reading(path) as text:
        places, rows = _table(os.fspath(path), text, names, optional=columns is None)
        return _layout(names, places, unit, ends="end" in places).record(os.fspath(path), rows)


def _named(columns: Mapping[str, str] | None, unit: Unit) -> dict[str, str]:
    """Return what the file calls each thing.

    Raises:
        ConfigError: an unknown thing or unit, or no moment among them, or two.
    """
    if unit not in get_args(Unit):
        raise ConfigError(f"unit: {not_one_of(unit, get_args(Unit))}")
    if columns is None:
        return {name: name for name in _COLUMNS if name != "end"}
    for name in columns:
        if name not in _COLUMNS:
            raise ConfigError(f"columns: {not_one_of(name, _COLUMNS)}")
    if ("submit" in columns) == ("end" in columns):
        raise ConfigError("columns: must name either submit or end")
    if "end" in columns and "duration" not in columns:
        raise ConfigError("columns: with end, duration is needed to tell when a job was submitted")
    return dict(columns)


def _table(
    name: str, text: IO[str], names: Mapping[str, str], *, optional: bool = False
) -> tuple[dict[str, int], Iterator[tuple[int, Row]]]:
    """Return the place of each column and the rows, with their lines.

    Raises:
        ConfigError: a column is not there; where they are `optional`, the moment.
    """
    first = text.readline()
    delimiter = max(",\t;", key=first.count)
    reader = csv.reader(chain([first], text), delimiter=delimiter, strict=True)
    header = [column.strip() for column in next(reader, [])]
    _check_header(f"{name}:1", header, names, optional=optional)
    places = {thing: header.index(column) for thing, column in names.items() if column in header}
    return places, _csv_rows(name, reader)


def _check_header(where: str, header: Sequence[str], names: Mapping[str, str], *, optional: bool) -> None:
    needed = [names["submit"]] if optional else list(names.values())
    for column in needed:
        if column not in header:
            hint = did_you_mean(column, header) or f"; there are: {', '.join(header)}"
            raise ConfigError(f"{where}: there is no column {column!r}{hint}; name columns by `columns`")


def _csv_rows(name: str, reader: Any) -> Iterator[tuple[int, Row]]:
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except csv.Error as error:
        raise ConfigError(f"{name}:{reader.line_num}: not CSV: {error}") from None


def _layout(names: Mapping[str, str], places: Mapping[str, int], unit: Unit, *, ends: bool) -> Layout:
    """Return how rows with those columns tell a job."""
    scale = UNITS[unit]

    def cell(thing: str, read: Callable[[Any], Any], otherwise: object) -> Cell:
        if thing not in places:
            return absent(otherwise)
        place = places[thing]
        return Cell(f"column {names[thing]!r}", lambda row: read(row[place]))

    return Layout(
        moment=cell("end" if ends else "submit", lambda value: moment(value, scale), UNKNOWN),
        duration=cell("duration", lambda value: length(value, scale), UNKNOWN),
        kind=cell("kind", kind_of, ONE_KIND),
        ok=cell("ok", ok_of, UNKNOWN),
        attempts=cell("attempts", attempts_of, UNKNOWN),
        ends=ends,
    )


def parquet_file(path: Path, columns: Mapping[str, str] | None, unit: Unit) -> Recorder:
    """Read a Parquet file; see `Trace.parquet`."""
    names, parquet = _named(columns, unit), _pyarrow_parquet()
    with told_of(path):
        try:
            file = parquet.ParquetFile(os.fspath(path))
        except ValueError as error:  # pyarrow's errors of what is no Parquet file
            raise ConfigError(f"{os.fspath(path)}: is not a Parquet file: {error}") from None
        with file:
            header = file.schema_arrow.names
            _check_header(os.fspath(path), header, names, optional=columns is None)
            used = {thing: column for thing, column in names.items() if column in header}
            layout = _layout(used, {t: i for i, t in enumerate(used)}, unit, ends="end" in used)
            rows = enumerate(_parquet_rows(file, list(used.values())), 1)
            return layout.record(os.fspath(path), rows, ": row ")


def _pyarrow_parquet() -> "ModuleType":
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise ConfigError(f"Parquet needs pyarrow ({error}); run: pip install pyarrow") from None
    module: ModuleType = parquet
    return module


def _parquet_rows(file: Any, columns: list[str]) -> Iterator[Row]:
    for batch in file.iter_batches(columns=columns):
        # A batch is put in the order of the file, not in ours.
        yield from zip(*(batch.column(name).to_pylist() for name in columns), strict=True)
