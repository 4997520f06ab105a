"""How long an attempt takes, by inversion: one uniform number in, one duration out.

Source: Devroye, "Non-Uniform Random Variate Generation", 1986, II.2.1.
"""

import math
from functools import cached_property
from statistics import NormalDist
from typing import Annotated, Final, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from jobsim.core.errors import ConfigError
from jobsim.core.time import MAX_DURATION, Duration
from jobsim.models.fields import DurationField, PositiveField
from jobsim.models.recorded import InOrder, ReplayedService
from jobsim.models.service_base import Distribution
from jobsim.models.service_bounded import BoundedPareto, Empirical, Quantiles

_LEAST: Final = 2.0**-54
"""Stands for u = 0, where the normal quantile is infinite: half the grid of the uniform numbers."""

_normal: Final = NormalDist()
_quantile: Final = _normal.inv_cdf

Variation = Annotated[float, Field(strict=True, ge=0, le=1_000, allow_inf_nan=False)]
"""A coefficient of variation: standard deviation / mean."""


class Constant(Distribution):
    """Always `value`."""

    dist: Literal["constant"] = "constant"
    value: DurationField

    @property
    def mean(self) -> Duration:
        """The value."""
        return self.value

    def draw(self, u: float) -> Duration:
        """Return the duration at quantile `u`, on [0, 1)."""
        return self.value

    def length_biased(self, u: float) -> float:
        return self.value


class ExponentialService(Distribution):
    """Exponential: the share above x is ``exp(-x / mean)``."""

    dist: Literal["exponential"] = "exponential"
    mean: PositiveField

    def draw(self, u: float) -> Duration:
        """Return the duration at quantile `u`, on [0, 1)."""
        micros = -self.mean * math.log1p(-u)
        return Duration(round(micros)) if micros < MAX_DURATION else MAX_DURATION

    def length_biased(self, u: float) -> float:
        return self.mean * _gamma_quantile(2, u)


class Lognormal(Distribution):
    """Lognormal, given by its mean and its coefficient of variation, `cv` = standard deviation / mean.

    ``sigma^2 = ln(1 + cv^2)``, ``mu = ln(mean) - sigma^2 / 2``.
    Source: Johnson, Kotz & Balakrishnan, "Continuous Univariate Distributions" 1, 1994, chapter 14.
    """

    dist: Literal["lognormal"] = "lognormal"
    mean: PositiveField
    cv: Variation

    @cached_property
    def _mu_sigma(self) -> tuple[float, float]:
        variance = math.log1p(self.cv**2)
        return math.log(self.mean) - variance / 2, math.sqrt(variance)

    def draw(self, u: float) -> Duration:
        """Return the duration at quantile `u`, on [0, 1)."""
        mu, sigma = self._mu_sigma
        micros = math.exp(mu + sigma * _quantile(u or _LEAST))
        return Duration(round(micros)) if micros < MAX_DURATION else MAX_DURATION

    def length_biased(self, u: float) -> float:
        mu, sigma = self._mu_sigma
        return math.exp(mu + sigma * (sigma + _quantile(u or _LEAST)))


class Erlang(Distribution):
    """Erlang: the sum of `k` exponential stages, given by the mean of the whole; its cv is ``1 / sqrt(k)``.

    Source: Johnson, Kotz & Balakrishnan, "Continuous Univariate Distributions" 1, 1994, chapter 17.
    """

    dist: Literal["erlang"] = "erlang"
    mean: PositiveField
    k: Annotated[int, Field(strict=True, ge=1, le=1_000_000)]

    def quantile(self, u: float) -> float:
        return self.mean / self.k * _gamma_quantile(self.k, u)

    def length_biased(self, u: float) -> float:
        return self.mean / self.k * _gamma_quantile(self.k + 1, u)


class Gamma(Distribution):
    """Gamma, given by its mean and its coefficient of variation: ``shape = 1 / cv^2``.

    Source: Johnson, Kotz & Balakrishnan, "Continuous Univariate Distributions" 1, 1994, chapter 17.
    """

    dist: Literal["gamma"] = "gamma"
    mean: PositiveField
    cv: Variation

    def quantile(self, u: float) -> float:
        return self._quantile(u, 0)

    def length_biased(self, u: float) -> float:
        return self._quantile(u, 1)

    def _quantile(self, u: float, more: int) -> float:
        square = self.cv**2
        if square < _NARROW:  # as good as none, and the incomplete gamma function is lost there
            return self.mean
        return self.mean * square * _gamma_quantile(1 / square + more, u)


class Weibull(Distribution):
    """Weibull, given by its mean and either its `shape` or its `cv` = standard deviation / mean.

    The share above x is ``exp(-(x / scale)^shape)``. With a shape below 1 what has lasted long is likely to
    last longer: so are the times between failures of large systems, with shapes of 0.7 to 0.8.
    Source: Johnson, Kotz & Balakrishnan, "Continuous Univariate Distributions" 1, 1994, chapter 21;
    Schroeder & Gibson, "A large-scale study of failures in high-performance computing systems", DSN 2006.
    """

    dist: Literal["weibull"] = "weibull"
    mean: PositiveField
    shape: Annotated[float, Field(strict=True, ge=0.1, le=1_000, allow_inf_nan=False)] | None = None
    cv: Variation | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "Weibull":
        if (self.shape is None) == (self.cv is None):
            raise ConfigError("is given by its mean and one of shape and cv")
        return self

    @cached_property
    def _exponent_scale(self) -> tuple[float, float]:
        exponent = _weibull_exponent(self.cv or 0.0) if self.shape is None else 1 / self.shape
        return exponent, self.mean / math.gamma(1 + exponent)

    def quantile(self, u: float) -> float:
        exponent, scale = self._exponent_scale
        return scale * float((-math.log1p(-u)) ** exponent)

    def length_biased(self, u: float) -> float:
        exponent, scale = self._exponent_scale
        return scale * float(_gamma_quantile(1 + exponent, u) ** exponent)


class Normal(Distribution):
    """Normal, given by mean and standard deviation, which is at most a quarter of the mean.

    What lies below zero is cut off, less than one in 30,000; mean and deviation stand.
    Source: Johnson, Kotz & Balakrishnan, "Continuous Univariate Distributions" 1, 1994, chapter 13.
    """

    dist: Literal["normal"] = "normal"
    mean: PositiveField
    sd: DurationField

    @field_validator("sd")
    @classmethod
    def _small(cls, sd: Duration, info: ValidationInfo) -> Duration:
        mean = info.data.get("mean", MAX_DURATION)
        if 4 * sd > mean:
            raise ConfigError(f"must be at most a quarter of the mean, {mean}; take lognormal for more")
        return sd

    @cached_property
    def _cut(self) -> float:
        """The share of the normal distribution that lies below zero."""
        return _normal.cdf(-self.mean / self.sd) if self.sd else 0.0

    def quantile(self, u: float) -> float:
        z = _quantile((1 - (1 - u) * (1 - self._cut)) or _LEAST)
        return max(0.0, self.mean + self.sd * z)

    def length_biased(self, u: float) -> float:
        from scipy.optimize import brentq  # late: only this needs it

        mean, sd = self.mean, self.sd
        if not sd:
            return mean

        def below(z: float) -> float:
            return mean * _normal.cdf(z) - sd * _normal.pdf(z)

        least, most = -mean / sd, 9.0
        target = below(least) + u * (below(most) - below(least))
        return mean + sd * float(brentq(lambda z: below(z) - target, least, most))


_NARROW: Final = 1e-12


def _weibull_exponent(cv: float) -> float:
    """Return x = 1 / shape for `cv`: where ``ln(1 + cv^2) = ln Gamma(1 + 2x) - 2 ln Gamma(1 + x)``."""
    from scipy.optimize import brentq  # late: only this needs it

    target = math.log1p(cv**2)
    return float(brentq(lambda x: math.lgamma(1 + 2 * x) - 2 * math.lgamma(1 + x) - target, 0, 20))


def _gamma_quantile(shape: float, u: float) -> float:
    """Return the quantile of the gamma distribution of scale 1."""
    from scipy.special import gammaincinv  # late: most scenarios do without

    return float(gammaincinv(shape, u))


Service = Annotated[
    Constant
    | ExponentialService
    | Lognormal
    | Normal
    | Erlang
    | Gamma
    | Weibull
    | BoundedPareto
    | Empirical
    | Quantiles
    | InOrder
    | ReplayedService,
    Field(discriminator="dist"),
]
