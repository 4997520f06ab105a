"""How long attempts take."""

import math
from itertools import pairwise

import pytest

from jobsim.core.errors import ConfigError
from jobsim.core.time import MAX_DURATION, Duration
from jobsim.models import Constant, ExponentialService, Lognormal, Service

GRID = [(i + 0.5) / 100_000 for i in range(100_000)]


def moments(service: Service) -> tuple[float, float]:
    """Return mean (s) and coefficient of variation, by quadrature over the uniform number."""
    draws = [service.draw(u).seconds for u in GRID]
    mean = math.fsum(draws) / len(draws)
    square = math.fsum(d * d for d in draws) / len(draws)
    return mean, math.sqrt(square - mean * mean) / mean


def test_constant_is_always_its_value() -> None:
    """Every draw is the value."""
    assert {Constant(value="250ms").draw(u) for u in (0.0, 0.5, 0.999)} == {Duration(250_000)}


def test_exponential_has_its_mean_and_a_variation_of_one() -> None:
    """Mean and coefficient of variation are those of an exponential distribution."""
    assert moments(ExponentialService(mean="2s")) == pytest.approx((2.0, 1.0), rel=1e-3)


@pytest.mark.parametrize("cv", [0.1, 0.5, 1.0, 2.0])
def test_lognormal_has_its_mean_and_variation(cv: float) -> None:
    """Mean and coefficient of variation are the given ones."""
    assert moments(Lognormal(mean="250ms", cv=cv)) == pytest.approx((0.25, cv), rel=2e-2)


def test_lognormal_median_lies_below_the_mean() -> None:
    """The median is the mean over sqrt(1 + cv^2)."""
    assert Lognormal(mean="1s", cv=1).draw(0.5).seconds == pytest.approx(1 / math.sqrt(2), abs=1e-6)


def test_lognormal_without_variation_is_constant() -> None:
    """At cv = 0 every draw is the mean."""
    assert {Lognormal(mean="250ms", cv=0).draw(u) for u in (0.0, 0.3, 0.99)} == {Duration(250_000)}


@pytest.mark.parametrize("service", [ExponentialService(mean="1s"), Lognormal(mean="1s", cv=1.5)])
def test_draw_grows_with_the_uniform_number(service: Service) -> None:
    """A draw is a quantile, from u = 0 to the last number below 1."""
    draws = [service.draw(u) for u in (0.0, 2.0**-53, 0.1, 0.5, 0.9, 1 - 2.0**-53)]
    assert all(0 <= a <= b <= MAX_DURATION for a, b in pairwise(draws))
    assert draws[0] < draws[-1]


def test_draw_never_passes_the_longest_duration() -> None:
    """A tail beyond a hundred years is cut there."""
    assert Lognormal(mean=MAX_DURATION, cv=1000).draw(1 - 2.0**-53) == MAX_DURATION
    assert ExponentialService(mean=MAX_DURATION).draw(0.99) == MAX_DURATION


@pytest.mark.parametrize("mean", ["0s", "-1s", "5", float("nan"), float("inf"), True, 10**400])
def test_service_refuses_a_mean_that_is_not_positive(mean: str | float) -> None:
    """Means are positive durations."""
    with pytest.raises(ConfigError, match=r"^ExponentialService\.mean: "):
        ExponentialService(mean=mean)


@pytest.mark.parametrize("cv", [-0.1, float("nan"), float("inf"), 1e9])
def test_lognormal_refuses_an_impossible_variation(cv: float) -> None:
    """The coefficient of variation is a finite number from 0."""
    with pytest.raises(ConfigError, match=r"^Lognormal\.cv: must be "):
        Lognormal(mean="1s", cv=cv)
