"""Poisson arrivals whose rate changes with time, by thinning, or at random between two levels."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count, pairwise
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, field_validator

from jobsim.core.errors import ConfigError
from jobsim.core.time import MAX_DURATION, SECOND, Duration
from jobsim.models.base import Model, Uniform
from jobsim.models.fields import (
    DurationField,
    LevelField,
    LevelPairField,
    LevelsField,
    PositiveField,
    PositivePairField,
    RateField,
    default,
)

Level = tuple[Duration, float]
"""From when on there is which rate, in arrivals a second."""


class Piece(NamedTuple):
    """A stretch of time that ends at offset `until`: its `rate` at each moment, and the `peak` of that.

    In microseconds, and arrivals a microsecond. Without `rate` it is the peak all the time.
    """

    until: float
    peak: float
    rate: Callable[[float], float] | None = None


def thinned(pieces: Iterable[Piece], uniform: Uniform) -> Iterator[Duration]:
    """Yield the offsets of a Poisson process whose rate is that of `pieces`, one after the other.

    Candidates come at the peak rate of the piece, and stay with the probability rate / peak.
    Source: Lewis & Shedler, "Simulation of nonhomogeneous Poisson processes by thinning", Naval Research
    Logistics Quarterly 26, 1979.
    """
    numbers, at = map(uniform, count()), 0.0
    for until, peak, rate in pieces:
        end = min(until, MAX_DURATION)
        while peak and (at := at - math.log1p(-next(numbers)) / peak) < end:
            if rate is None or next(numbers) * peak < rate(at):
                yield Duration(round(at))
        at = end  # what would have come later does not depend on what has been


def steps(levels: Sequence[Level]) -> Iterator[Piece]:
    """Yield pieces of constant rate; the first level holds before it, too, and the last for ever."""
    for (_, rate), (until, _) in pairwise(levels):
        yield Piece(until, rate / SECOND)
    yield Piece(math.inf, levels[-1][1] / SECOND)


def lines(levels: Sequence[Level]) -> Iterator[Piece]:
    """Yield pieces between whose ends the rate is a straight line; before and behind it stays as it is."""
    yield Piece(levels[0][0], levels[0][1] / SECOND)
    for (start, low), (until, high) in pairwise(levels):
        yield Piece(until, max(low, high) / SECOND, _line(start, low / SECOND, until, high / SECOND))
    yield Piece(math.inf, levels[-1][1] / SECOND)


def _line(start: float, low: float, end: float, high: float) -> Callable[[float], float]:
    slope = (high - low) / (end - start)
    return lambda at: low + slope * (at - start)


class Diurnal(Model):
    """Arrivals that come and go with the hour: ``rate * (1 + amplitude * cos(2 pi (t - peak) / period))``.

    `rate` is the mean over a `period`, `peak` the offset at which there are most, and `amplitude` the share
    of the mean that comes on top then and is missing half a period later, from 0 to 1.
    """

    process: Literal["diurnal"] = "diurnal"
    rate: RateField
    amplitude: Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]
    period: PositiveField = default("1d")
    peak: DurationField = default("12h")

    def times(self, uniform: Uniform) -> Iterator[Duration]:
        """Yield offsets from the start, non-decreasing, for up to a hundred years."""
        mean, swing, turn, peak = self.rate / SECOND, self.amplitude, math.tau / self.period, self.peak
        rate = lambda at: mean * (1 + swing * math.cos(turn * (at - peak)))  # noqa: E731  # it is that, for once
        return thinned([Piece(math.inf, mean * (1 + swing), rate)], uniform)


class Ramp(Model):
    """Arrivals at `rate` until `start`, from there on a straight line to the rate `to` over `duration`."""

    process: Literal["ramp"] = "ramp"
    rate: LevelField
    to: LevelField
    start: DurationField = default("0s")
    duration: PositiveField

    def times(self, uniform: Uniform) -> Iterator[Duration]:
        """Yield offsets from the start, non-decreasing, for up to a hundred years."""
        end = Duration(self.start + self.duration)
        return thinned(lines([(self.start, self.rate), (end, self.to)]), uniform)


class Spike(Model):
    """Arrivals at `rate`, but within `start` .. `start + duration` at the rate `to`."""

    process: Literal["spike"] = "spike"
    rate: LevelField
    to: LevelField
    start: DurationField
    duration: PositiveField

    def times(self, uniform: Uniform) -> Iterator[Duration]:
        """Yield offsets from the start, non-decreasing, for up to a hundred years."""
        end = Duration(self.start + self.duration)
        return thinned(steps([(Duration(0), self.rate), (self.start, self.to), (end, self.rate)]), uniform)


class Piecewise(Model):
    """Arrivals at the given `rates`, pairs of an offset and the rate from there on.

    Between them the rate stays (`between` ``"steps"``) or is a straight line (``"lines"``); the first holds
    before it, too, and the last for ever.
    """

    process: Literal["piecewise"] = "piecewise"
    rates: LevelsField
    between: Literal["steps", "lines"] = "steps"

    @field_validator("rates", mode="after")
    @classmethod
    def _in_order(cls, levels: Sequence[Level]) -> Sequence[Level]:
        for (before, _), (after, _) in pairwise(levels):
            if before >= after:
                raise ConfigError(f"the offsets must rise: {after} does not come after {before}")
        return levels

    def times(self, uniform: Uniform) -> Iterator[Duration]:
        """Yield offsets from the start, non-decreasing, for up to a hundred years."""
        return thinned((steps if self.between == "steps" else lines)(self.rates), uniform)


class Mmpp(Model):
    """Arrivals at a rate that changes at random between two: a Markov-modulated Poisson process, MMPP-2.

    Each of the `rates` holds for a time that is exponential, with means `sojourns`; the first moment finds
    the process as any other does. With s1 and s2 the rates of leaving either, one over the mean sojourns,
    the mean rate is ``(r1 * s2 + r2 * s1) / (s1 + s2)``, and the variance of counts over long times is
    ``1 + 2 * s1 * s2 * (r1 - r2)^2 / ((s1 + s2)^2 * (r1 * s2 + r2 * s1))`` times that of a Poisson process.
    Source: Fischer & Meier-Hellstern, "The Markov-modulated Poisson process (MMPP) cookbook", Performance
    Evaluation 18, 1993.
    """

    process: Literal["mmpp"] = "mmpp"
    rates: LevelPairField
    sojourns: PositivePairField

    def times(self, uniform: Uniform) -> Iterator[Duration]:
        """Yield offsets from the start, non-decreasing, for up to a hundred years."""
        return switching(self.rates, self.sojourns, uniform)


class OnOff(Model):
    """Arrivals in bursts: at `rate` for a while, then none for a while.

    Both times are exponential, with means `on` and `off`. The first moment finds the process as any other
    does: within a burst with probability ``on / (on + off)``.
    """

    process: Literal["on_off"] = "on_off"
    rate: RateField
    on: PositiveField
    off: PositiveField

    def times(self, uniform: Uniform) -> Iterator[Duration]:
        """Yield offsets from the start, non-decreasing, for up to a hundred years."""
        return switching((self.rate, 0.0), (self.on, self.off), uniform)


def switching(
    rates: tuple[float, float], sojourns: tuple[Duration, Duration], uniform: Uniform
) -> Iterator[Duration]:
    """Yield the offsets of an MMPP-2; `rates` in arrivals a second.

    Arrivals and changes of the rate compete: which of both comes next is as likely as its rate.
    """
    numbers, at = map(uniform, count()), 0.0
    phase = next(numbers) * sum(sojourns) >= sojourns[0]
    while True:
        arriving, changing = rates[phase] / SECOND, 1 / sojourns[phase]
        at -= math.log1p(-next(numbers)) / (arriving + changing)
        if at > MAX_DURATION:
            return
        if next(numbers) * (arriving + changing) < arriving:
            yield Duration(round(at))
        else:
            phase = not phase
