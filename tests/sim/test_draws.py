"""Numbers that were foreseen are the numbers that would have been drawn."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jobsim.core.streams import Streams
from jobsim.sim.draws import KEPT, Draws

PURPOSES = ("service", "failure:0")

keys = st.lists(st.integers(0, 2**62 - 1), max_size=9)


@given(foreseen=keys, asked=keys, attempt=st.integers(1, 3))
def test_draws_are_the_same_foreseen_or_not(foreseen: list[int], asked: list[int], attempt: int) -> None:
    """A number depends on seed, purpose, job and attempt alone, also when it is asked for twice."""
    streams = Streams(3)
    draws = Draws(streams)
    numbers = draws.numbers(PURPOSES)
    draws.foresee(PURPOSES, np.array(foreseen, dtype=np.uint64))
    for key in [*foreseen, *asked, *foreseen]:
        assert list(numbers(key, attempt)) == [streams.random(purpose, key, attempt) for purpose in PURPOSES]


def test_draws_that_nobody_takes_are_not_kept_for_ever() -> None:
    """Numbers of attempts that never ask for them do not pile up."""
    streams = Streams(3)
    draws = Draws(streams)
    for first in range(0, 5 * KEPT, 1_000):
        draws.foresee(PURPOSES, np.arange(first, first + 1_000, dtype=np.uint64))
        assert len(draws._ahead[PURPOSES]) <= KEPT + 1_000
    assert list(draws.numbers(PURPOSES)(0, 1)) == [streams.random(purpose, 0, 1) for purpose in PURPOSES]
