"""What the cells of a trace say: numbers, moments, durations, words."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from jobsim.core.time import MAX_DURATION, MILLISECOND, SECOND, instant
from jobsim.models.fields import checked_duration
from jobsim.models.problems import shown
from jobsim.models.traces import UNKNOWN

UNITS: Final = {"us": 1, "ms": MILLISECOND, "s": SECOND, "min": 60 * SECOND, "h": 3600 * SECOND}
"""Microseconds of each `Unit`."""

_FURTHEST: Final = 1 << 62


_MISSING: Final = frozenset(("", "nan", "nat", "na", "n/a", "null", "none"))


def _missing(value: Any) -> bool:
    return value is None or str(value).strip().lower() in _MISSING


def number(value: Any, scale: int) -> int:
    """Return a number of units as microseconds."""
    try:
        micros = float(value) * scale
    except (ValueError, TypeError):
        raise ValueError(f"{shown(value)} is not a number") from None
    if not -_FURTHEST < micros < _FURTHEST:  # nor is nan
        raise ValueError(f"{shown(value)} is not a time")
    return round(micros)


def moment(value: Any, scale: int) -> int:
    """Return a moment, written as a number or as a date and time, in microseconds."""
    if isinstance(value, datetime):
        return instant(value if value.tzinfo else value.replace(tzinfo=UTC))
    if _missing(value):
        raise ValueError("is empty; a job needs the time of its submission")
    try:
        return number(value, scale)
    except ValueError:
        if not isinstance(value, str):
            raise
    try:
        return moment(datetime.fromisoformat(value.strip()), scale)
    except ValueError:
        raise ValueError(f"{shown(value)} is neither a number nor a date and time") from None


def length(value: Any, scale: int) -> int:
    """Return a duration, a number or a text with its unit, in microseconds; `UNKNOWN` where none is told."""
    if _missing(value):
        return UNKNOWN
    if isinstance(value, timedelta):
        return checked_duration(value, from_file=False)
    try:
        micros = number(value, scale)
    except ValueError:
        if not isinstance(value, str):
            raise
        return checked_duration(value, from_file=False)
    if micros < 0 and micros != -scale:  # the format's -1, whatever the unit
        raise ValueError(f"{value} is negative")
    if micros > MAX_DURATION:
        raise ValueError(f"{shown(value)} is longer than a hundred years")
    return micros if micros >= 0 else UNKNOWN


def kind_of(value: Any) -> str:
    """Return the kind that a cell names."""
    if _missing(value):
        raise ValueError("is empty; a job needs a kind")
    return str(value)


_WORDS: Final = {
    **dict.fromkeys(("1", "true", "t", "yes", "y", "ok", "success", "succeeded", "completed"), 1),
    **dict.fromkeys(("0", "false", "f", "no", "n", "failed", "failure", "error"), 0),
    "-1": UNKNOWN,
}


def ok_of(value: Any) -> int:
    """Return 1 or 0 for what a cell says of success; `UNKNOWN` where it says nothing."""
    found = UNKNOWN if _missing(value) else _WORDS.get(str(value).strip().lower())
    if found is None:
        raise ValueError(f"{shown(value)} is neither true nor false")
    return found


def attempts_of(value: Any) -> int:
    """Return a number of attempts; `UNKNOWN` where a cell says none."""
    number = UNKNOWN if _missing(value) else float(value)
    if number == UNKNOWN:
        return UNKNOWN
    if number != round(number) or not 0 <= number < 1 << 31:
        raise ValueError(f"{shown(value)} is not a number of attempts")
    return round(number)
