"""How long an attempt takes, by inversion: one uniform number in, one duration out.

Source: Devroye, "Non-Uniform Random Variate Generation", 1986, II.2.1.
"""

import math
from functools import cached_property
from statistics import NormalDist
from typing import Annotated, Final, Literal

from pydantic import Field

from jobsim.core.time import MAX_DURATION, Duration
from jobsim.models.base import Model
from jobsim.models.fields import DurationField, PositiveField

_LEAST: Final = 2.0**-54
"""Stands for u = 0, where the normal quantile is infinite: half the grid of the uniform numbers."""

_quantile: Final = NormalDist().inv_cdf


class Constant(Model):
    """Always `value`."""

    dist: Literal["constant"] = "constant"
    value: DurationField

    def draw(self, u: float) -> Duration:
        """Return the duration at quantile `u`, on [0, 1)."""
        return self.value


class ExponentialService(Model):
    """Exponential: the share above x is ``exp(-x / mean)``."""

    dist: Literal["exponential"] = "exponential"
    mean: PositiveField

    def draw(self, u: float) -> Duration:
        """Return the duration at quantile `u`, on [0, 1)."""
        micros = -self.mean * math.log1p(-u)
        return Duration(round(micros)) if micros < MAX_DURATION else MAX_DURATION


class Lognormal(Model):
    """Lognormal, given by its mean and its coefficient of variation, `cv` = standard deviation / mean.

    ``sigma^2 = ln(1 + cv^2)``, ``mu = ln(mean) - sigma^2 / 2``.
    Source: Johnson, Kotz & Balakrishnan, "Continuous Univariate Distributions" 1, 1994, chapter 14.
    """

    dist: Literal["lognormal"] = "lognormal"
    mean: PositiveField
    cv: Annotated[float, Field(strict=True, ge=0, le=1_000, allow_inf_nan=False)]

    @cached_property
    def _mu_sigma(self) -> tuple[float, float]:
        variance = math.log1p(self.cv**2)
        return math.log(self.mean) - variance / 2, math.sqrt(variance)

    def draw(self, u: float) -> Duration:
        """Return the duration at quantile `u`, on [0, 1)."""
        mu, sigma = self._mu_sigma
        micros = math.exp(mu + sigma * _quantile(u or _LEAST))
        return Duration(round(micros)) if micros < MAX_DURATION else MAX_DURATION


Service = Annotated[Constant | ExponentialService | Lognormal, Field(discriminator="dist")]
