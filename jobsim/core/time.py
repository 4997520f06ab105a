"""Time as integer microseconds, with human input and output at the edges."""

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Final, NewType

import pytimeparse2

from jobsim.core.errors import ConfigError

Instant = NewType("Instant", int)
"""A point in time: microseconds since the Unix epoch, UTC."""

MILLISECOND: Final = 1_000
SECOND: Final = 1_000_000


class Duration(int):
    """A length of time in microseconds, never negative.

    An `int` subclass so that arithmetic stays exact and cheap, yet a duration read back from a
    policy is known to be one: a plain number at the edges means seconds, a `Duration` never does.
    Sums and differences are plain integers of microseconds; wrap them again where they are kept.
    """

    __slots__ = ()

    @property
    def seconds(self) -> float:
        """The length in seconds."""
        return self / SECOND

    def brief(self) -> str:
        """Return it as people read it in passing: to the millisecond, rounded down."""
        return _text(self - self % MILLISECOND)

    def __str__(self) -> str:
        return _text(int(self))

    def __repr__(self) -> str:
        return f"Duration({int(self)})"


DurationLike = Duration | timedelta | float | str
"""What people may write for a duration: ``"1.5s"``, ``"1h30m"``, ``"PT5M"``, a timedelta, or a
number of seconds."""

MAX_DURATION: Final = Duration(100 * 365 * 86_400 * SECOND)
"""A hundred years: every computed delay is clamped to it, so that times fit 64 bits."""

_NUMBER: Final = re.compile(r"[+-]?[\d._]+(e[+-]?\d+)?", re.IGNORECASE)
_NUMBERS: Final = re.compile(r"\+?\s*[\d.][^:|]*")  # pytimeparse2 also reads clock times, and "|" as a sign
_TWO_POINTS: Final = re.compile(r"\.\d*\.")  # which pytimeparse2 would take for nothing
_MICROS: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(?:us|µs|μs)")  # pytimeparse2 stops at milliseconds
_LONGEST: Final = 100
"""How many characters a duration may have."""

_ISO: Final = re.compile(r"P(?=.)", re.IGNORECASE)


def duration(value: DurationLike, name: str = "duration") -> Duration:
    """Return `value` as a `Duration`; numbers are seconds, text needs a unit.

    `name` says in the error which value was wrong.

    Raises:
        ConfigError: negative, not finite, longer than a hundred years, without a unit, or unreadable.
    """
    if isinstance(value, Duration) and 0 <= value <= MAX_DURATION:
        return value
    micros = _micros(value, name)
    if not -math.inf < micros < math.inf:  # nor does NaN
        raise ConfigError(f"{name}: a duration must be a finite number, not {value!r}")
    if micros < 0:
        raise ConfigError(f"{name}: a duration cannot be negative: {value!r}")
    if micros > MAX_DURATION:
        raise ConfigError(f"{name}: {value!r} is longer than a hundred years")
    return Duration(round(micros))


def _micros(value: object, name: str) -> float:
    """Return the microseconds that `value` stands for, whatever their sign and size."""
    match value:
        case Duration():
            return int(value)
        case timedelta():
            return value // timedelta(microseconds=1)
        case str():
            return _parse(value, name) * SECOND
        case int() | float() if not isinstance(value, bool):
            return value * SECOND
        case _:
            raise ConfigError(f"{name}: {value!r} is not a duration; write for example '5s' or '1h30m'")


def _parse(text: str, name: str) -> float:
    """Return the seconds that `text` spells, which must name its unit."""
    stripped = " ".join(text.split())  # for every run of spaces pytimeparse2 would try all ways to share it
    if len(stripped) > _LONGEST:
        raise ConfigError(
            f"{name}: {stripped[:20]!r}... is too long for a duration; write for example '1h30m'"
        )
    if stripped.startswith("-"):
        raise ConfigError(f"{name}: a duration cannot be negative: {text!r}")
    if _NUMBER.fullmatch(stripped):
        raise ConfigError(f"{name}: {text!r} has no unit; write for example '{stripped}s'")
    if _ISO.match(stripped):
        return _parse_iso(stripped, name)
    if micros := _MICROS.fullmatch(stripped):
        return float(micros[1]) / SECOND
    readable = _NUMBERS.fullmatch(stripped) and not _TWO_POINTS.search(stripped)
    seconds = pytimeparse2.parse(stripped) if readable else None
    if not isinstance(seconds, (int, float)):
        raise ConfigError(
            f"{name}: {text!r} is not a duration; write for example '250ms', '5s', '1h30m' or 'PT5M'"
        )
    return seconds


def _parse_iso(text: str, name: str) -> float:
    """Return the seconds of an ISO 8601 duration; pydantic knows the grammar."""
    from pydantic import TypeAdapter, ValidationError  # late: only ISO text needs it

    try:
        return TypeAdapter(timedelta).validate_python(text.upper()).total_seconds()
    except ValidationError:
        raise ConfigError(f"{name}: {text!r} is not an ISO 8601 duration such as 'PT5M'") from None


def _text(micros: int) -> str:
    """Return the shortest text that `duration` reads back as exactly `micros`."""
    if micros == 0:
        return "0s"
    if micros < SECOND:
        whole, rest = divmod(micros, MILLISECOND)
        return f"{whole}ms" if rest == 0 else f"{micros}us"
    whole_seconds, fraction = divmod(micros, SECOND)
    minutes, seconds = divmod(whole_seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    decimals = f"{fraction / SECOND:.6f}"[1:].rstrip("0") if fraction else ""
    parts = [f"{amount}{unit}" for amount, unit in ((days, "d"), (hours, "h"), (minutes, "m")) if amount]
    if seconds or decimals:
        parts.append(f"{seconds}{decimals}s")
    return "".join(parts)


def instant(moment: datetime) -> Instant:
    """Return an aware `moment` as an `Instant`.

    Raises:
        ConfigError: `moment` is no datetime, or has no time zone.
    """
    if not isinstance(moment, datetime):
        raise ConfigError(f"{moment!r} is no datetime; give one with a time zone")
    if moment.tzinfo is None:
        raise ConfigError(f"{moment!r} has no time zone; add tzinfo=datetime.UTC")
    return Instant((moment - _EPOCH) // timedelta(microseconds=1))


def to_datetime(moment: Instant) -> datetime:
    """Return `moment` as an aware datetime in UTC."""
    return _EPOCH + timedelta(microseconds=moment)


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
