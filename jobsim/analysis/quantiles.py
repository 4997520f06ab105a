"""Quantiles with the bounds that ordered values give: no distribution is assumed, values may be infinite."""

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from jobsim.analysis.statistics import Interval, known
from jobsim.core.errors import ConfigError


def quantile_interval(values: ArrayLike, probability: float, ci: float = 0.95) -> Interval:
    """Return a quantile of independent values and the two of them between which it lies.

    The quantile is the value of rank ``ceil(probability * n)``. The bounds hold with probability `ci` at
    least, whatever the distribution; where there are too few values, a bound is infinite.

    Source: David & Nagaraja, Order Statistics, 3rd ed., section 7.1.
    """
    ordered = np.sort(known(values))
    n = len(ordered)
    if n == 0:
        return Interval(math.nan, math.nan, math.nan, 0)
    rank = max(1, math.ceil(probability * n - 1e-9))
    low, high = (int(stats.binom.ppf(tail, n, probability)) for tail in ((1 - ci) / 2, (1 + ci) / 2))
    padded = np.concatenate(([-math.inf], ordered, [math.inf]))
    return Interval(float(ordered[rank - 1]), float(padded[low]), float(padded[high + 1]), n)


def checked_percents(percents: Iterable[float]) -> list[float]:
    """Return the percentages of which quantiles are asked for, each between 0 and 100.

    Raises:
        ConfigError: one is not.
    """
    given = list(percents)
    for percent in given:
        if not 0 < percent < 100:
            raise ConfigError(f"percents: each lies between 0 and 100, such as 95; not {percent!r}")
    return given
