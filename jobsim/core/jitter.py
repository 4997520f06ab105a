"""Jitter: how randomness spreads a backoff delay. Values; one uniform number in, microseconds out."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from jobsim.core.errors import ConfigError, did_you_mean
from jobsim.core.time import DurationLike, duration


class Jitter(Protocol):
    """Spreads `delay` (microseconds) before retry number `retry` (from 1) by `u`, uniform on [0, 1)."""

    def spread(self, delay: int, retry: int, u: float) -> float: ...


@dataclass(frozen=True, slots=True)
class NoJitter:
    """The delay as it is."""

    def spread(self, delay: int, retry: int, u: float) -> float:
        return delay


@dataclass(frozen=True, slots=True)
class Full:
    """Uniform on 0..delay; with `step`, a whole number of steps, both ends included.

    Source: Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015. The stepped form
    is Celery's (celery/utils/time.py, randrange(countdown + 1) seconds).
    """

    step: DurationLike = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "step", duration(self.step, "Full.step"))

    def spread(self, delay: int, retry: int, u: float) -> float:
        step = duration(self.step)
        return int(u * (delay // step + 1)) * step if step else u * delay

    def __repr__(self) -> str:
        return f"Full(step='{self.step}')" if self.step else "Full()"


@dataclass(frozen=True, slots=True)
class Equal:
    """Half the delay, plus a uniform number on the other half.

    Source: Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """

    def spread(self, delay: int, retry: int, u: float) -> float:
        return delay / 2 + u * (delay / 2)


@dataclass(frozen=True, slots=True)
class Proportional:
    """The delay times a uniform number on 1-down .. 1+up; `up` alone means both.

    Source: River, internal/retrypolicy (0.1 both ways); Oban, lib/oban/backoff.ex (0.1, only up).
    """

    up: float
    down: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.up <= 1 or not 0 <= self._down <= 1:
            raise ConfigError(f"{self!r}: the share of a proportional jitter lies between 0 and 1")

    @property
    def _down(self) -> float:
        return self.up if self.down is None else self.down

    def spread(self, delay: int, retry: int, u: float) -> float:
        return delay * (1 - self._down + u * (self.up + self._down))


class Growth(StrEnum):
    """How added jitter grows with the retry number r: not; its range r times as wide; or r times
    the drawn value."""

    NONE = "none"
    RANGE = "range"
    DRAW = "draw"


@dataclass(frozen=True, slots=True)
class Added:
    """The delay plus a uniform number on 0..upto; with `step`, a whole number of steps below it.

    Source: Sidekiq, job_retry.rb, rand(10 * (count + 1)) s: step 1 s, grows by range; Faktory,
    manager/retry.go, rand.Intn(30) * (count + 1) s: step 1 s, grows by draw.
    """

    upto: DurationLike
    step: DurationLike = 0
    grows: str = Growth.NONE

    def __post_init__(self) -> None:
        object.__setattr__(self, "upto", duration(self.upto, "Added.upto"))
        object.__setattr__(self, "step", duration(self.step, "Added.step"))
        if self.grows not in set(Growth):
            hint = did_you_mean(self.grows, list(Growth))
            raise ConfigError(f"Added.grows: {self.grows!r} is not one of {_names(Growth)}{hint}")

    def spread(self, delay: int, retry: int, u: float) -> float:
        upto, step = duration(self.upto), duration(self.step)
        draw = u * upto * (retry if self.grows == Growth.RANGE else 1)
        if step:
            draw = int(draw / step) * step
        return delay + draw * (retry if self.grows == Growth.DRAW else 1)

    def __repr__(self) -> str:
        step = f", step='{self.step}'" if self.step else ""
        grows = f", grows='{self.grows}'" if self.grows != Growth.NONE else ""
        return f"Added('{self.upto}'{step}{grows})"


JitterLike = Jitter | str

_BY_NAME: Final[dict[str, Jitter]] = {"none": NoJitter(), "full": Full(), "equal": Equal()}
_TO_NAME: Final = {value: name for name, value in _BY_NAME.items()}


def jitter(value: JitterLike) -> Jitter:
    """Return the jitter that `value` is or names: ``"none"``, ``"full"`` or ``"equal"``.

    Raises:
        ConfigError: an unknown name, or something that cannot spread a delay.
    """
    if isinstance(value, str):
        if value not in _BY_NAME:
            hint = did_you_mean(value, _BY_NAME)
            raise ConfigError(
                f"jitter: {value!r} is not one of none, full, equal{hint}; "
                "Proportional(0.1) and Added('100ms') are written as objects"
            )
        return _BY_NAME[value]
    if not callable(getattr(value, "spread", None)):
        raise ConfigError(f"jitter: {value!r} has no method spread(delay, retry, u)")
    return value


def jitter_text(value: Jitter) -> str:
    """Return source text that `jitter` reads back: the quoted name where there is one."""
    try:
        name = _TO_NAME.get(value)
    except TypeError:  # a user's jitter need not be hashable
        name = None
    return repr(name) if name else repr(value)


def _names(words: type[StrEnum]) -> str:
    return ", ".join(word.value for word in words)

