"""Quantiles in constant space."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsim.analysis.sketch import Sketch


@given(st.lists(st.integers(0, 2**61), min_size=1, max_size=200))
def test_sketch_tells_every_rank_within_half_a_percent(values: list[int]) -> None:
    """The value of any rank is off by 0.5 % of itself at the most, and the mean by nothing."""
    sketch, half = Sketch(), len(values) // 2
    sketch.add(np.array(values[:half], dtype=np.int64))
    sketch.add(np.array(values[half:], dtype=np.int64))
    for rank, value in enumerate(sorted(values), 1):
        assert sketch.at(rank) == pytest.approx(value, rel=0.005 + 1e-9, abs=0)
    assert sketch.mean == pytest.approx(sum(values) / len(values))


def test_sketch_has_no_value_beyond_the_last_rank() -> None:
    """Beyond what was counted a quantile is infinite, and the mean of nothing is not a number."""
    sketch = Sketch()
    assert math.isnan(sketch.mean)
    assert sketch.at(1) == math.inf
    sketch.add(np.array([3, 0], dtype=np.int64))
    assert sketch.at(1) == 0
    assert sketch.at(3) == math.inf
