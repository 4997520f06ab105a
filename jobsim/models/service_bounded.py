"""Distributions between a least and a greatest duration: the bounded Pareto's, and measured ones."""

import math
from bisect import bisect_right
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator

from jobsim.core.errors import ConfigError
from jobsim.core.time import Duration
from jobsim.models.fields import DurationsField, PositiveField, QuantilesField
from jobsim.models.service_base import Distribution, by_length


class BoundedPareto(Distribution):
    """Pareto with index `alpha`, cut off at both ends: the density is as ``x^-(alpha + 1)`` on low .. high.

    The heavier the tail, the smaller `alpha`: below 2 it is the bounds that decide on the variance, and
    below 1 on the mean, too. With r = low / high, the mean is
    ``low * alpha / (alpha - 1) * (1 - r^(alpha - 1)) / (1 - r^alpha)``, for alpha = 1
    ``low * ln(1 / r) / (1 - r)``.
    Source: Harchol-Balter, "Performance Modeling and Design of Computer Systems", 2013, chapter 20.
    """

    dist: Literal["bounded_pareto"] = "bounded_pareto"
    alpha: Annotated[float, Field(strict=True, ge=0.01, le=100, allow_inf_nan=False)]
    low: PositiveField
    high: PositiveField

    @model_validator(mode="after")
    def _low_below_high(self) -> "BoundedPareto":
        if self.low >= self.high:
            raise ConfigError(f"low ({self.low}) must be below high ({self.high})")
        return self

    @cached_property
    def _log_ratio(self) -> float:
        return math.log(self.high / self.low)

    @property
    def mean(self) -> Duration:
        """The mean."""
        ratio = _mass(self.alpha - 1, self._log_ratio) / _mass(self.alpha, self._log_ratio)
        return Duration(round(self.low * ratio))

    def quantile(self, u: float) -> float:
        return self.low * _power_quantile(self.alpha, self._log_ratio, u)

    def length_biased(self, u: float) -> float:
        return self.low * _power_quantile(self.alpha - 1, self._log_ratio, u)


def _mass(exponent: float, log_ratio: float) -> float:
    """Return the integral of ``x^-(exponent + 1)`` from 1 to ``exp(log_ratio)``."""
    return -math.expm1(-exponent * log_ratio) / exponent if exponent else log_ratio


def _power_quantile(exponent: float, log_ratio: float, u: float) -> float:
    """Return the quantile of the density ``x^-(exponent + 1)`` on 1 .. ``exp(log_ratio)``."""
    if not exponent:
        return math.exp(u * log_ratio)
    return math.exp(-math.log1p(u * math.expm1(-exponent * log_ratio)) / exponent)


class Empirical(Distribution):
    """One of the measured `values`, each as likely as the others; what is there twice, twice as likely."""

    dist: Literal["empirical"] = "empirical"
    values: DurationsField

    @cached_property
    def _sorted(self) -> list[Duration]:
        return sorted(self.values)

    @property
    def mean(self) -> Duration:
        """The mean of the values."""
        return Duration(round(sum(self.values) / len(self.values)))

    def draw(self, u: float) -> Duration:
        """Return the duration at quantile `u`, on [0, 1)."""
        return self._sorted[int(u * len(self._sorted))]

    def length_biased(self, u: float) -> float:
        return by_length(self._sorted, u)


class Quantiles(Distribution):
    """What a few measured quantiles say, such as median, p95 and p99; between them as a straight line.

    `points` are pairs of probability and duration, from the least at 0 to the greatest at 1.
    """

    dist: Literal["quantiles"] = "quantiles"
    points: QuantilesField

    @model_validator(mode="after")
    def _from_least_to_greatest(self) -> "Quantiles":
        shares, times = zip(*self.points, strict=True)
        if shares[0] != 0 or shares[-1] != 1:
            raise ConfigError(
                "points must begin with the least, [0, '...'], and end with the greatest, [1, '...']"
            )
        if any(a >= b for a, b in pairwise(shares)) or any(a > b for a, b in pairwise(times)):
            raise ConfigError("points must be in order: probabilities rising, durations not falling")
        return self

    @cached_property
    def _shares(self) -> list[float]:
        return [share for share, _ in self.points]

    @cached_property
    def _sums(self) -> list[float]:
        """The integral of the quantile function from 0 to each point."""
        parts = ((b - a) * (low + high) / 2 for (a, low), (b, high) in pairwise(self.points))
        return list(accumulate(parts, initial=0.0))

    @property
    def mean(self) -> Duration:
        """The mean: the area below the line."""
        return Duration(round(self._sums[-1]))

    def quantile(self, u: float) -> float:
        start, low, slope = self._piece(bisect_right(self._shares, u))
        return low + slope * (u - start)

    def length_biased(self, u: float) -> float:
        area = u * self._sums[-1]
        place = min(bisect_right(self._sums, area), len(self.points) - 1)
        _, low, slope = self._piece(place)
        area -= self._sums[place - 1]
        # The share s for which low * s + slope * s^2 / 2 = area, in a form that a slope of 0 does no harm.
        root = math.sqrt(low * low + 2 * slope * area)
        return low + slope * (2 * area / (low + root) if low + root else 0.0)

    def _piece(self, place: int) -> tuple[float, float, float]:
        """Return where the piece before `place` begins: its share, its duration, and its slope."""
        (start, low), (end, high) = self.points[place - 1], self.points[place]
        return start, low, (high - low) / (end - start)
