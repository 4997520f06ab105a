"""Warm-up and batch means on series whose truth is known."""

import math

import numpy as np
import pytest
from numpy.random import default_rng  # noqa: TID251
from numpy.typing import NDArray
from scipy.signal import lfilter

from jobsim.analysis.steady import batch_means, mser5
from jobsim.core.errors import ConfigError


def correlated(seed: int, length: int = 20_000, memory: float = 0.8) -> NDArray[np.float64]:
    """A first-order autoregressive series of mean 10."""
    noise = default_rng(seed).normal(0, 1, length)
    return 10 + np.asarray(lfilter([1], [1, -memory], noise))


def test_warm_up_is_cut_where_it_ends() -> None:
    """Of a beginning that fades out over some 1,000 values, most is cut, and little more than it."""
    fading = 50 * np.exp(-np.arange(20_000) / 300)
    cuts = [mser5(correlated(seed) + fading) for seed in range(20)]
    assert all(900 < cut < 4_000 for cut in cuts)
    assert all(cut % 5 == 0 for cut in cuts)


def test_warm_up_of_a_steady_series_is_short() -> None:
    """Where there is nothing to cut, a tenth goes at most, in the middle of 20 cases."""
    assert np.median([mser5(correlated(seed)) for seed in range(20)]) < 2_000


@pytest.mark.parametrize("value", [0.1, 0.7, 1 / 3, 12.3, 1e9])
def test_equal_values_have_no_warm_up(value: float) -> None:
    """Where nothing changes, rounding makes no warm-up, nor batches that are alike."""
    assert mser5(np.full(1_003, value)) == 0
    assert batch_means(np.full(1_003, value))[4:] == (0, True)


def test_warm_up_does_not_depend_on_the_level() -> None:
    """Values far from zero lose nothing of their spread."""
    fading = 50 * np.exp(-np.arange(20_000) / 300)
    for seed in range(5):
        series = correlated(seed) + fading
        assert mser5(series + 1e7) == mser5(series)


def test_warm_up_that_never_ends_is_refused() -> None:
    """A series that grows to its end has no steady state."""
    with pytest.raises(ConfigError, match="warm-up takes more than half"):
        mser5(np.arange(5_000.0))


def test_warm_up_of_few_values_is_refused() -> None:
    """The error says how many there are and what to do."""
    with pytest.raises(ConfigError, match=r"100 values, and 200 are the least; give .* a longer horizon"):
        mser5(np.zeros(100))


@pytest.mark.parametrize(("memory", "least"), [(0.0, 0.95), (0.8, 0.95), (0.99, 0.92)])
def test_batch_means_cover_as_often_as_they_say(memory: float, least: float) -> None:
    """Over 300 series, correlated ones too, about 95 % of the intervals hold the mean."""
    found = [batch_means(correlated(seed, memory=memory)[1000:]) for seed in range(300)]
    covered = sum(one.low <= 10 <= one.high for one in found)
    assert covered >= 300 * least - 2 * math.sqrt(300 * least * (1 - least))


def test_batches_that_are_too_short_are_told() -> None:
    """Batches shorter than the memory of the series are alike; long ones are not, but by chance."""
    short = [batch_means(correlated(seed, length=2_000, memory=0.995)) for seed in range(40)]
    long = [batch_means(correlated(seed)) for seed in range(40)]
    assert sum(not one.independent for one in short) > 20
    assert sum(not one.independent for one in long) < 7


def test_batches_of_equal_values_have_no_spread() -> None:
    """A constant has an interval of no width, and no correlation."""
    assert batch_means(np.full(1000, 3.0)) == (3, 3, 3, 50, 0, True)
