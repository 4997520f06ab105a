"""The Azure Functions trace of 2019: counts a minute and percentiles a day, turned into jobs."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import numpy as np
from numpy.typing import NDArray

from jobsim.core.errors import ConfigError
from jobsim.core.streams import Streams
from jobsim.core.time import MAX_DURATION, MILLISECOND, SECOND, Duration
from jobsim.models.problems import not_one_of
from jobsim.models.trace_rows import ALL, ONE_KIND, reading
from jobsim.models.traces import UNKNOWN, Ints, Path, Recorder

MOST: Final = 10_000_000
"""Invocations beyond which a trace is refused: they would take a gigabyte."""

MINUTE: Final = 60 * SECOND
_MINUTES: Final = 1_440
_DAY: Final = _MINUTES * MINUTE
_KINDS: Final = ("function", "app", "trigger", ALL)
_OWN: Final = ("HashOwner", "HashApp", "HashFunction")
_PERCENTS: Final = (0, 1, 25, 50, 75, 99, 100)

Function = tuple[str, ...]
"""Owner, app and function."""

Floats = NDArray[np.float64]


def azure_2019(
    counts: Path | Sequence[Path],
    durations: Path | Sequence[Path],
    kind: str,
    trigger: str | None,
    begin: Duration,
    length: Duration,
) -> Recorder:
    """Read the Azure Functions trace of 2019; see `Trace.azure_2019`."""
    if kind not in _KINDS:
        raise ConfigError(f"kind: {not_one_of(kind, _KINDS)}")
    days, percentiles = _paths(counts), _paths(durations)
    if len(days) != len(percentiles):
        raise ConfigError(
            f"there are {len(days)} files of counts and {len(percentiles)} of durations; give a pair a day"
        )
    recorder = Recorder(zero=0)
    spread = _Spread()
    for day, (path, known) in enumerate(zip(days, percentiles, strict=True)):
        first = -(-max(0, begin - day * _DAY) // MINUTE)
        last = -(-min(_DAY, max(0, begin + length - day * _DAY)) // MINUTE)
        if first < last:
            quantiles = dict(_quantiles(known))
            for function, told, number in _counts(path, first, last):
                if trigger is not None and told != trigger:
                    recorder.skipped += 1
                    continue
                at = spread.over(number, day * _DAY + first * MINUTE - begin)
                if len(recorder.submit) + len(at) > MOST:
                    raise ConfigError(_too_many(path))
                recorder.extend(
                    at, spread.durations(quantiles.get(function), len(at)), _kind(kind, function, told)
                )
    return recorder


def _too_many(path: Path) -> str:
    return (
        f"{os.fspath(path)}: more than {MOST:,} invocations; choose some by trigger, begin and length "
        "(or by one file a day)"
    )


def _paths(given: Path | Sequence[Path]) -> list[Path]:
    return [given] if isinstance(given, (str, os.PathLike)) else list(given)


def _kind(kind: str, function: Function, trigger: str) -> str:
    match kind:
        case "function":
            return function[2]
        case "app":
            return function[1]
        case "trigger":
            return trigger
        case _:
            return ONE_KIND


class _Spread:
    """Numbers for what the trace leaves open, the same for every reading."""

    def __init__(self) -> None:
        self._streams = Streams(2019)
        self._drawn = 0

    def _uniform(self, count: int) -> Floats:
        keys = np.arange(self._drawn, self._drawn + count, dtype=np.uint64)
        self._drawn += count
        return np.array(self._streams.numbers_of("trace", keys))

    def over(self, counts: Ints, start: int) -> Ints:
        """Return a moment for each invocation of `counts`, one entry a minute from `start`."""
        minutes = np.repeat(np.arange(len(counts)), counts)
        return start + np.floor((minutes + self._uniform(len(minutes))) * MINUTE).astype(np.int64)

    def durations(self, quantiles: Floats | None, count: int) -> Ints:
        """Return durations drawn from `quantiles`, milliseconds at `_PERCENTS`; not known without them."""
        if quantiles is None:
            return np.full(count, UNKNOWN)
        drawn = np.interp(100 * self._uniform(count), _PERCENTS, quantiles) * MILLISECOND
        return np.rint(drawn).astype(np.int64)


def _counts(path: Path, first: int, last: int) -> Iterator[tuple[Function, str, Ints]]:
    """Yield each function, its trigger, and its invocations in the minutes from `first` until `last`."""
    with _lines(path, (*_OWN, "Trigger", "1", str(_MINUTES))) as (where, header, lines):
        places, trigger, begin = _own(header), header.index("Trigger"), header.index("1")
        for line, text in lines:
            cells = text.rstrip("\r\n").split(",")
            if len(cells) != len(header):
                raise ConfigError(f"{where}:{line}: has {len(cells)} columns, not {len(header)}")
            counts = cells[begin + first : begin + last]
            try:
                number = np.array(counts, dtype=np.float64).astype(np.int64)
            except ValueError:
                number = np.array([UNKNOWN])
            if (number < 0).any():
                raise ConfigError(f"{where}:{line}: {_not_a_count(counts, first)}")
            yield tuple(cells[place] for place in places), cells[trigger], number


def _not_a_count(cells: Sequence[str], first: int) -> str:
    for minute, cell in enumerate(cells, first + 1):
        if not cell.replace(".", "", 1).isdecimal():
            return f"column '{minute}': {cell!r} is not a number of invocations"
    return "a count is not a number of invocations"


def _quantiles(path: Path) -> Iterator[tuple[Function, Floats]]:
    """Yield each function and its quantiles at `_PERCENTS`, in milliseconds, where they were recorded."""
    names = [f"percentile_Average_{percent}" for percent in _PERCENTS]
    with _lines(path, (*_OWN, *names)) as (where, header, lines):
        places, told = _own(header), [header.index(name) for name in names]
        for line, text in lines:
            cells = text.rstrip("\r\n").split(",")
            if len(cells) != len(header):
                raise ConfigError(f"{where}:{line}: has {len(cells)} columns, not {len(header)}")
            values = [_milliseconds(where, line, header[place], cells[place]) for place in told]
            if min(values) >= 0:
                yield tuple(cells[place] for place in places), np.maximum.accumulate(values)


def _milliseconds(where: str, line: int, column: str, cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = np.nan
    if not value <= MAX_DURATION / MILLISECOND:
        raise ConfigError(f"{where}:{line}: column {column!r}: {cell!r} is not a duration in milliseconds")
    return value


@contextmanager
def _lines(path: Path, needed: Sequence[str]) -> Iterator[tuple[str, list[str], Iterator[tuple[int, str]]]]:
    """Open a file; yield its name, its header and its other lines with their numbers."""
    with reading(path) as text:
        header = text.readline().rstrip("\r\n").split(",")
        for name in needed:
            if name not in header:
                raise ConfigError(
                    f"{os.fspath(path)}:1: there is no column {name!r}: not a file of this trace"
                )
        yield os.fspath(path), header, enumerate(text, 2)


def _own(header: Sequence[str]) -> list[int]:
    return [header.index(name) for name in _OWN]
