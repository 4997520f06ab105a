"""Jitter: how randomness spreads a backoff delay. Values; one uniform number in, microseconds out."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol

from jobsim.core.errors import ConfigError, did_you_mean
from jobsim.core.fields import DurationField, default
from jobsim.core.time import DurationLike, duration


class Jitter(Protocol):
    """Spreads a delay at random."""

    def spread(self, delay: int, cap: int, retry: int, u: float) -> float:
        """Return `delay` (microseconds, at most `cap`) before retry number `retry` (from 1), spread.

        `u` is uniform on [0, 1). What passes `cap` is cut off there afterwards.
        """
        ...


@dataclass(frozen=True, slots=True)
class NoJitter:
    """The delay as it is."""

    def spread(self, delay: int, cap: int, retry: int, u: float) -> float:
        return delay


@dataclass(frozen=True, slots=True)
class Full:
    """Uniform on 0..delay; with `step`, a whole number of steps, both ends included.

    Source: Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015. The stepped form
    is Celery's (celery/utils/time.py, randrange(countdown + 1) seconds).
    """

    step: DurationField = default(0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "step", duration(self.step, "Full.step"))

    def spread(self, delay: int, cap: int, retry: int, u: float) -> float:
        step = self.step
        return int(u * (delay // step + 1)) * step if step else u * delay

    def __repr__(self) -> str:
        return f"Full(step='{self.step}')" if self.step else "Full()"


@dataclass(frozen=True, slots=True)
class Equal:
    """Half the delay, plus a uniform number on the other half.

    Source: Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """

    def spread(self, delay: int, cap: int, retry: int, u: float) -> float:
        return delay / 2 + u * (delay / 2)


@dataclass(frozen=True, slots=True)
class Stretched:
    """The delay times a uniform number on 1..2; where that passes the cap, uniform on cap/2 .. cap.

    Source: Dramatiq, dramatiq/common.py, compute_backoff.
    """

    def spread(self, delay: int, cap: int, retry: int, u: float) -> float:
        stretched = delay * (1 + u)
        if stretched < cap:
            return stretched
        # Known not to lie below the bound, `u` is as good as a new draw on what is left of [0, 1).
        bound = cap / delay - 1
        return cap / 2 * (1 + (u - bound) / (1 - bound))


@dataclass(frozen=True, slots=True)
class Proportional:
    """The delay times a uniform number on 1-down .. 1+up; `up` alone means both.

    With `step`, the part that is added or taken away is cut to whole steps.
    Source: River, internal/retrypolicy (0.1 both ways); Oban, lib/oban/backoff.ex (0.1, only up, step 1 s).
    """

    up: float
    down: float | None = None
    step: DurationField = default(0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "step", duration(self.step, "Proportional.step"))
        for name, share in (("up", self.up), ("down", self._down)):
            if not 0 <= share <= 1:
                raise ConfigError(f"Proportional.{name}: a share lies between 0 and 1: {share!r}")

    @property
    def _down(self) -> float:
        return self.up if self.down is None else self.down

    def spread(self, delay: int, cap: int, retry: int, u: float) -> float:
        step, down = self.step, self._down
        change = delay * (u * (self.up + down) - down)
        return delay + (int(change / step) * step if step else change)

    def __repr__(self) -> str:
        down = f", down={self.down!r}" if self.down is not None else ""
        step = f", step='{self.step}'" if self.step else ""
        return f"Proportional({self.up!r}{down}{step})"


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

    upto: DurationLike  # no DurationField: type checkers see a descriptor only where there is a default
    step: DurationField = default(0)
    grows: str = Growth.NONE

    def __post_init__(self) -> None:
        object.__setattr__(self, "upto", duration(self.upto, "Added.upto"))
        object.__setattr__(self, "step", duration(self.step, "Added.step"))
        if self.grows not in list(Growth):
            hint = did_you_mean(self.grows, Growth)
            raise ConfigError(f"Added.grows: {self.grows!r} is not one of {', '.join(Growth)}{hint}")

    def spread(self, delay: int, cap: int, retry: int, u: float) -> float:
        step = self.step
        draw = u * duration(self.upto) * (retry if self.grows == Growth.RANGE else 1)
        if step:
            draw = int(draw / step) * step
        return delay + draw * (retry if self.grows == Growth.DRAW else 1)

    def __repr__(self) -> str:
        step = f", step='{self.step}'" if self.step else ""
        grows = f", grows='{self.grows}'" if self.grows != Growth.NONE else ""
        return f"Added('{self.upto}'{step}{grows})"


JitterLike = Jitter | str

if TYPE_CHECKING:

    class JitterField:
        """Written as a `JitterLike`, read as a `Jitter`."""

        def __get__(self, owner: object, kind: type | None = None) -> Jitter: ...
        def __set__(self, owner: object, value: JitterLike) -> None: ...

else:
    JitterField = JitterLike

_BY_NAME: Final[dict[str, Jitter]] = {
    "none": NoJitter(),
    "full": Full(),
    "equal": Equal(),
    "stretched": Stretched(),
}
_TO_NAME: Final = {value: name for name, value in _BY_NAME.items()}


def jitter(value: JitterLike) -> Jitter:
    """Return the jitter that `value` is or names: ``"none"``, ``"full"``, ``"equal"`` or ``"stretched"``.

    Raises:
        ConfigError: an unknown name, or something that cannot spread a delay.
    """
    if isinstance(value, str):
        if value not in _BY_NAME:
            hint = did_you_mean(value, _BY_NAME)
            raise ConfigError(
                f"jitter: {value!r} is not one of {', '.join(_BY_NAME)}{hint}; "
                "Proportional(0.1) and Added('100ms') are written as objects"
            )
        return _BY_NAME[value]
    if isinstance(value, type) or not callable(getattr(value, "spread", None)):
        raise ConfigError(f"jitter: {value!r} is no jitter; write for example 'full' or Added('100ms')")
    return value


def jitter_text(value: Jitter) -> str:
    """Return source text that `jitter` reads back: the quoted name where there is one."""
    try:
        name = _TO_NAME.get(value)
    except TypeError:  # a user's jitter need not be hashable
        name = None
    return repr(name) if name else repr(value)
