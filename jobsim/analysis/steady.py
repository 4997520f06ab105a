"""One long run in its steady state: where its warm-up ends, and the mean of what follows."""

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from jobsim.core.errors import ConfigError

Floats = NDArray[np.float64]

BATCHES: Final = 20
"""Few, so that batches are long and independent; Schmeiser, Operations Research 30 (1982): 10 to 30."""

_GROUP: Final = 5
_FEWEST: Final = 200
_LIKELY: Final = 0.05
_ROUNDING: Final = 1e-12
"""The relative difference below which values are equal, but for rounding."""


class Batches(NamedTuple):
    """The mean over batches of `size` values, its bounds, and how alike neighbouring batches are.

    `correlation` is that of neighbouring batch means; `independent`, whether it can be chance.
    """

    mean: float
    low: float
    high: float
    size: int
    correlation: float
    independent: bool


def mser5(series: Floats) -> int:
    """Return how many values at the beginning are best left out: those before the steady state.

    Of all beginnings, the one is cut without which the standard error of the mean is least, as means of five
    values tell it.

    Source: White, Cobb & Spratt, "A comparison of five steady-state truncation heuristics for simulation",
    Winter Simulation Conference 2000.

    Raises:
        ConfigError: fewer than 200 values, or more than half of them would have to go.
    """
    if len(series) < _FEWEST:
        raise ConfigError(
            f"the run is too short for a steady state: {len(series)} values, and {_FEWEST} are the least; "
            "give the scenario a longer horizon"
        )
    means = series[: len(series) // _GROUP * _GROUP].reshape(-1, _GROUP).mean(axis=1)
    off = _centred(means)  # or the spread of large values is lost in their squares
    left = np.arange(len(off), 0, -1)
    sums, squares = (np.cumsum(x[::-1])[::-1] for x in (off, off**2))
    errors = (squares - sums**2 / left) / left.astype(float) ** 2
    cut = int(np.argmin(errors[: len(off) * 3 // 4]))
    if cut > len(off) // 2:
        raise ConfigError(
            "the run is too short for a steady state: its warm-up takes more than half of it, or it has none,"
            " as where more work arrives than can be done; give the scenario a longer horizon or more workers"
        )
    return cut * _GROUP


def batch_means(series: Floats, ci: float = 0.95) -> Batches:
    """Return the mean of correlated values in a steady state, with the t interval over batches of them.

    Source: Law, Simulation Modeling and Analysis, 5th ed., section 9.5.3; the test of neighbours: von
    Neumann, Annals of Mathematical Statistics 12 (1941), by its normal limit.
    """
    size = len(series) // BATCHES
    means = series[len(series) - size * BATCHES :].reshape(BATCHES, size).mean(axis=1)
    mean, off = float(means.mean()), _centred(means)
    spread = math.sqrt(float((off**2).sum()) / (BATCHES - 1))
    half = float(stats.t.ppf((1 + ci) / 2, BATCHES - 1)) * spread / math.sqrt(BATCHES)
    correlation = float((off[1:] * off[:-1]).sum() / (off**2).sum()) if spread else 0.0
    chance = stats.norm.sf(correlation * math.sqrt((BATCHES**2 - 1) / (BATCHES - 2)))
    return Batches(mean, mean - half, mean + half, size, correlation, bool(chance > _LIKELY))


def _centred(values: Floats) -> Floats:
    """Return how far values are from their mean; not at all, if that may be rounding."""
    off: Floats = values - values.mean()
    off[np.abs(off) <= _ROUNDING * np.abs(values)] = 0
    return off
