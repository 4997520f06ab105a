"""Quantiles of any number of values in constant space, to a known relative error."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

_ERROR: Final = 0.005
_GAMMA: Final = (1 + _ERROR) / (1 - _ERROR)
_BINS: Final = 1 + math.ceil(math.log(2.0**63) / math.log(_GAMMA))


class Sketch:
    """Counts of whole numbers from 0 in bins whose width grows with them.

    A quantile is off by 0.5 % of its value at the most; 0 has a bin of its own.
    Source: Masson, Rim & Lee, "DDSketch", PVLDB 12(12), 2019, section 2.
    """

    def __init__(self) -> None:
        self._counts = np.zeros(_BINS, dtype=np.int64)
        self._sum = 0

    def add(self, values: NDArray[np.int64]) -> None:
        """Count `values` in."""
        bins = np.ceil(np.log(np.maximum(values, 1)) / math.log(_GAMMA)).astype(np.int64) + 1
        self._counts += np.bincount(np.where(values > 0, bins, 0), minlength=_BINS)
        self._sum += int(values.sum())

    def __len__(self) -> int:
        return int(self._counts.sum())

    @property
    def mean(self) -> float:
        """The mean, exactly; NaN of nothing."""
        return self._sum / len(self) if len(self) else math.nan

    def at(self, rank: int) -> float:
        """Return the value of a `rank` from 1, by size; infinity where there are fewer."""
        place = int(np.searchsorted(np.cumsum(self._counts), rank))
        if place >= _BINS:
            return math.inf
        return 0.0 if place == 0 else 2 * _GAMMA ** (place - 1) / (1 + _GAMMA)
