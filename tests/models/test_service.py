"""How long attempts take."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from scipy import stats

from jobsim.core.errors import ConfigError
from jobsim.core.streams import Streams
from jobsim.core.time import MAX_DURATION, Duration
from jobsim.models import (
    BoundedPareto,
    Constant,
    Distribution,
    Empirical,
    Erlang,
    ExponentialService,
    Gamma,
    InOrder,
    Lognormal,
    Normal,
    Quantiles,
    Service,
    Weibull,
)

GRID = [(i + 0.5) / 100_000 for i in range(100_000)]


FAMILIES: list[tuple[Distribution, Any]] = [
    (ExponentialService(mean="2s"), stats.expon(scale=2)),
    (Lognormal(mean="2s", cv=1.5), stats.lognorm(math.sqrt(math.log(3.25)), scale=2 / math.sqrt(3.25))),
    (Normal(mean="2s", sd="400ms"), stats.truncnorm(-5, math.inf, loc=2, scale=0.4)),
    (Erlang(mean="2s", k=3), stats.erlang(3, scale=2 / 3)),
    (Gamma(mean="2s", cv=0.5), stats.gamma(4, scale=0.5)),
    (Gamma(mean="2s", cv=2), stats.gamma(0.25, scale=8)),
    (Weibull(mean="2s", shape=2), stats.weibull_min(2, scale=2 / math.gamma(1.5))),
    (Weibull(mean="2s", shape=0.7), stats.weibull_min(0.7, scale=2 / math.gamma(1 + 1 / 0.7))),
    (BoundedPareto(alpha=1.5, low="1s", high="50s"), stats.truncpareto(1.5, 50)),
    (BoundedPareto(alpha=1, low="1s", high="50s"), stats.truncpareto(1, 50)),
    (BoundedPareto(alpha=0.69, low="1s", high="50s"), stats.truncpareto(0.69, 50)),
]
ALL = [
    *(family for family, _ in FAMILIES),
    Constant(value="3s"),
    Normal(mean="1s", sd="250ms"),
    Normal(mean="1s", sd="0s"),
    Gamma(mean="1s", cv=0),
    Weibull(mean="1s", cv=0.4),
    Empirical(values=["1s", "9s", "2s", "2s"]),
    InOrder(values=["1s", "9s", "2s", "2s"]),
    Quantiles(points=[(0, "10ms"), (0.5, "80ms"), (0.9, "80ms"), (0.99, "1s"), (1, "5s")]),
]


def shown(value: object) -> str:
    """Return the name of a case: the distribution of ours, and not SciPy's."""
    return repr(value) if isinstance(value, Distribution) else "scipy"


def moments(service: Distribution) -> tuple[float, float]:
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


@pytest.mark.parametrize(("service", "truth"), FAMILIES, ids=shown)
def test_draws_are_quantiles_of_the_distribution(service: Service, truth: Any) -> None:
    """A draw is the quantile that SciPy knows of the same distribution, and so are its mean and variation."""
    for u in (1e-3, 0.1, 0.5, 0.9, 0.999):
        assert service.draw(u).seconds == pytest.approx(truth.ppf(u), rel=1e-9, abs=1e-6)
    assert service.mean.seconds == pytest.approx(truth.mean(), rel=1e-6)


@pytest.mark.parametrize(("service", "truth"), FAMILIES, ids=shown)
def test_draws_from_a_stream_follow_the_distribution(service: Service, truth: Any) -> None:
    """The draws of 5,000 jobs are what a Kolmogorov-Smirnov test expects (seed fixed)."""
    number = Streams(11).numbers("service")
    draws = [service.draw(number(key)).seconds for key in range(5_000)]
    assert stats.kstest(draws, truth.cdf).pvalue > 0.01


@pytest.mark.parametrize("service", ALL, ids=repr)
def test_mean_is_the_mean_of_the_draws(service: Distribution) -> None:
    """What a distribution gives as its mean is that of its draws."""
    assert moments(service)[0] == pytest.approx(service.mean.seconds, rel=2e-2)


@pytest.mark.parametrize("service", ALL, ids=repr)
def test_draw_grows_with_the_uniform_number(service: Distribution) -> None:
    """A draw is a quantile, from u = 0 to the last number below 1."""
    draws = [service.draw(u) for u in (0.0, 2.0**-53, 0.1, 0.5, 0.9, 1 - 2.0**-53)]
    assert all(0 <= a <= b <= MAX_DURATION for a, b in pairwise(draws))
    assert draws[0] < draws[-1] or moments(service)[1] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("service", ALL, ids=repr)
def test_length_biased_draws_meet_long_periods_in_proportion_to_their_length(service: Distribution) -> None:
    """The share of length-biased draws below x is what periods below x have of the sum of all periods."""
    draws = [service.draw(u).seconds for u in GRID]
    total = math.fsum(draws)
    biased = sorted(service.length_biased((i + 0.5) / 2_000) / 1e6 for i in range(2_000))
    for quantile in (0.1, 0.5, 0.9):
        x = biased[int(quantile * 2_000)]
        below = math.fsum(d for d in draws if d < x * (1 - 1e-9)) / total
        upto = math.fsum(d for d in draws if d <= x * (1 + 1e-9)) / total
        assert below - 0.01 <= quantile <= upto + 0.01


@pytest.mark.parametrize("cv", [0.01, 0.3, 1.0, 2.0, 10.0])
def test_weibull_may_be_given_by_its_variation(cv: float) -> None:
    """The shape is found for which the coefficient of variation is the given one."""
    exponent, scale = Weibull(mean="1s", cv=cv)._exponent_scale
    truth = stats.weibull_min(1 / exponent, scale=scale / 1e6)
    assert (truth.mean(), truth.std()) == pytest.approx((1.0, cv), rel=1e-6)


def test_erlang_of_one_stage_is_exponential() -> None:
    """One stage is an exponential time; many have a variation of one over the root of their number."""
    assert Erlang(mean="1s", k=1).draw(0.7) == ExponentialService(mean="1s").draw(0.7)
    assert moments(Erlang(mean="1s", k=25)) == pytest.approx((1.0, 0.2), rel=1e-3)


def test_empirical_draws_each_value_as_often_as_it_was_measured() -> None:
    """Values are drawn in order of length, each for the same share of uniform numbers."""
    measured = Empirical(values=["4s", "1s", "1s", "2s"])
    assert [str(measured.draw(u)) for u in (0.0, 0.49, 0.5, 0.74, 0.75, 1 - 2.0**-53)] == (
        ["1s", "1s", "2s", "2s", "4s", "4s"]
    )


def test_quantiles_are_met_and_joined_by_straight_lines() -> None:
    """At a given probability the draw is the given duration; between two it lies on the line."""
    service = Quantiles(points=[(0, "1s"), (0.5, "2s"), (0.9, "4s"), (1, "20s")])
    assert [str(service.draw(u)) for u in (0.0, 0.25, 0.5, 0.7, 0.9)] == ["1s", "1.5s", "2s", "3s", "4s"]
    assert str(service.mean) == "3.15s"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Weibull(mean="1s"), "Weibull: is given by its mean and one of shape and cv"),
        (
            lambda: Weibull(mean="1s", shape=1, cv=1),
            "Weibull: is given by its mean and one of shape and cv",
        ),
        (lambda: Erlang(mean="1s", k=0), "Erlang.k: must be at least 1, not 0"),
        (
            lambda: BoundedPareto(alpha=1, low="2s", high="2s"),
            "BoundedPareto: low (2s) must be below high (2s)",
        ),
        (
            lambda: BoundedPareto(alpha=0, low="1s", high="2s"),
            "BoundedPareto.alpha: must be at least 0.01, not 0",
        ),
        (lambda: Empirical(values=[]), "Empirical.values: must have at least one entry"),
        (lambda: Quantiles(points=[(0, "1s")]), "Quantiles.points: must have at least 2 entries"),
        (
            lambda: Quantiles(points=[(0.5, "1s"), (1, "2s")]),
            "Quantiles: points must begin with the least, [0, '...'], and end with the greatest, [1, '...']",
        ),
        (
            lambda: Quantiles(points=[(0, "3s"), (1, "2s")]),
            "Quantiles: points must be in order: probabilities rising, durations not falling",
        ),
        (
            lambda: Quantiles(points=[(0, "1s"), (1, "2s", 3)]),  # type: ignore[list-item]
            "Quantiles.points.1: must have at most 2 entries",
        ),
    ],
)
def test_distribution_refuses_nonsense(make: Callable[[], Distribution], message: str) -> None:
    """What makes no distribution is refused with the rule that it breaks."""
    with pytest.raises(ConfigError) as caught:
        make()
    assert str(caught.value) == message


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


def test_normal_is_for_what_varies_little() -> None:
    """A deviation that would often be cut off at zero is refused."""
    with pytest.raises(ConfigError, match=r"^Normal\.sd: must be at most a quarter of the mean, 1s"):
        Normal(mean="1s", sd="251ms")
