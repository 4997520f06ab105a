"""Backoff: how long to wait before the next attempt, as frozen values whose repr evaluates back.

`attempt` is the number of the run that just failed, from 1, so it is also the number of the retry to
come. No delay exceeds the cap, jitter included, and any attempt number works: growth is clamped.
"""

import math
from dataclasses import MISSING, dataclass, fields
from typing import Protocol, runtime_checkable

from jobsim.core.errors import ConfigError
from jobsim.core.fields import DurationField, OptionalDurationField, default
from jobsim.core.jitter import JitterField, NoJitter, jitter, jitter_text
from jobsim.core.streams import Stream
from jobsim.core.time import MAX_DURATION, Duration, DurationLike, duration


@runtime_checkable
class Backoff(Protocol):
    """The rule that gives the delay before the next attempt."""

    def delay(self, attempt: int, previous: Duration, random: Stream) -> Duration:
        """Return the delay after run number `attempt` (from 1) failed.

        `previous` is the delay before that run (0 before the first); `random` is this
        attempt's own stream.
        """
        ...


def _power(base: float, exponent: float) -> float:
    """Return ``base ** exponent``, or what no delay can reach where that is too large for a float."""
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return MAX_DURATION


@dataclass(frozen=True, slots=True)
class NoBackoff:
    """Try again at once."""

    def delay(self, attempt: int, previous: Duration, random: Stream) -> Duration:
        return Duration(0)


class _Curve:
    """What the backoffs below share: a curve over the retry number, then jitter, then the cap.

    A dataclass inherits from it; fields of type `DurationLike` become `Duration`s when it is made.
    """

    __slots__ = ()
    cap: OptionalDurationField
    jitter: JitterField

    def __post_init__(self) -> None:
        name = type(self).__name__
        for field in fields(self):  # type: ignore[arg-type]  # every subclass is a dataclass
            value = getattr(self, field.name)
            if field.name == "jitter":
                value = jitter(value)
            elif field.type in (DurationLike, DurationLike | None) and value is not None:
                value = duration(value, f"{name}.{field.name}")
            object.__setattr__(self, field.name, value)
        self._check(name)

    def _check(self, name: str) -> None:
        """Refuse values that contradict each other."""

    def _curve(self, retry: int) -> float:
        """Return the delay before `retry` (from 1) in microseconds, before jitter and cap."""
        raise NotImplementedError

    def delay(self, attempt: int, previous: Duration, random: Stream) -> Duration:
        """Return the delay after run number `attempt` (from 1) failed."""
        cap = MAX_DURATION if self.cap is None else self.cap
        delay = round(min(self._curve(attempt), cap))
        if type(self.jitter) is NoJitter:
            return Duration(delay)
        spread = self.jitter.spread(delay, cap, attempt, random.random())
        return Duration(min(max(round(spread), 0), cap))

    def __repr__(self) -> str:
        parts = []
        for field in fields(self):  # type: ignore[arg-type]  # every subclass is a dataclass
            value = getattr(self, field.name)
            default = field.default if field.default is not MISSING else None
            if field.name == "jitter":
                if value != NoJitter():
                    parts.append(f"jitter={jitter_text(value)}")
            elif isinstance(value, Duration):
                if field.name == "base" or default is None or value != duration(default):
                    parts.append(f"{field.name}='{value}'")
            elif value != default:
                parts.append(f"{field.name}={value!r}")
        return f"{type(self).__name__}({', '.join(parts)})"


def _check_cap(name: str, cap: Duration | None, base: Duration) -> None:
    if cap is not None and cap < base:
        raise ConfigError(f"{name}: the cap ({cap}) is below the base ({base})")


@dataclass(frozen=True, slots=True, repr=False)
class Fixed(_Curve):
    """The same delay before every retry."""

    base: DurationField = default("1s")
    cap: OptionalDurationField = default(None)
    jitter: JitterField = default(NoJitter())

    def _check(self, name: str) -> None:
        _check_cap(name, self.cap, self.base)

    def _curve(self, retry: int) -> float:
        return self.base


@dataclass(frozen=True, slots=True, repr=False)
class Linear(_Curve):
    """``base + step * (r - 1)`` before retry r; `step` is `base` unless given."""

    base: DurationField = default("1s")
    step: OptionalDurationField = default(None)
    cap: OptionalDurationField = default(None)
    jitter: JitterField = default(NoJitter())

    def _check(self, name: str) -> None:
        _check_cap(name, self.cap, self.base)

    def _curve(self, retry: int) -> float:
        step = self.base if self.step is None else self.step
        return self.base + step * (retry - 1)


@dataclass(frozen=True, slots=True, repr=False)
class Exponential(_Curve):
    """``plus + base * factor ** (first + r - 1)`` before retry r, at most `cap`, then jitter.

    `first` is the exponent of the first retry: 0 in most systems, 1 in Oban and in AWS's published
    simulator. `plus` is a constant on top.
    Source: Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """

    base: DurationField = default("1s")
    factor: float = 2
    cap: OptionalDurationField = default(None)
    jitter: JitterField = default(NoJitter())
    first: int = 0
    plus: DurationField = default(0)

    def _check(self, name: str) -> None:
        if not (math.isfinite(self.factor) and self.factor >= 1):
            raise ConfigError(f"{name}.factor: must be a finite number, at least 1: {self.factor!r}")
        _check_first(name, self.first)
        _check_cap(name, self.cap, self.base)

    def _curve(self, retry: int) -> float:
        growth = _power(self.factor, self.first + retry - 1)
        return self.plus + self.base * growth


@dataclass(frozen=True, slots=True, repr=False)
class Polynomial(_Curve):
    """``plus + base * (first + r - 1) ** power`` before retry r, at most `cap`, then jitter.

    Source: River, internal/retrypolicy (n^4 s, first 1); Sidekiq, job_retry.rb (n^4 + 15 s, first 0).
    """

    power: float = 2
    base: DurationField = default("1s")
    cap: OptionalDurationField = default(None)
    jitter: JitterField = default(NoJitter())
    first: int = 1
    plus: DurationField = default(0)

    def _check(self, name: str) -> None:
        if not (math.isfinite(self.power) and self.power >= 0):
            raise ConfigError(f"{name}.power: must be a finite number, at least 0: {self.power!r}")
        _check_first(name, self.first)
        _check_cap(name, self.cap, self.base)

    def _curve(self, retry: int) -> float:
        growth = _power(self.first + retry - 1, self.power)
        return self.plus + self.base * growth


@dataclass(frozen=True, slots=True, repr=False)
class Decorrelated(_Curve):
    """Uniform on ``base .. 3 * previous delay``, at most `cap`; the first is on ``base .. 3 * base``.

    Source: Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """

    base: DurationField = default("1s")
    cap: OptionalDurationField = default("30s")

    def _check(self, name: str) -> None:
        _check_cap(name, self.cap, self.base)

    def delay(self, attempt: int, previous: Duration, random: Stream) -> Duration:
        """Return the delay after run number `attempt` (from 1) failed."""
        drawn = random.uniform(self.base, 3 * max(self.base, previous))
        return Duration(min(round(drawn), MAX_DURATION if self.cap is None else self.cap))


def _check_first(name: str, first: int) -> None:
    if type(first) is not int or first < 0:
        raise ConfigError(f"{name}.first: must be a whole number, at least 0: {first!r}")
