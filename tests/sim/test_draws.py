"""Numbers that were foreseen are the numbers that would have been drawn."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jobsim.core.streams import Streams
from jobsim.sim.draws import KEPT, Draws

keys = st.lists(st.integers(0, 2**62 - 1), max_size=9)


@given(foreseen=keys, asked=keys, attempt=st.integers(1, 3))
def test_draws_are_the_same_foreseen_or_not(foreseen: list[int], asked: list[int], attempt: int) -> None:
    """A number depends on seed, purpose, job and attempt alone, also when it is asked for twice."""
    streams = Streams(3)
    draws = Draws(streams)
    number = draws.numbers("service")
    draws.foresee(["service", "failure:0"], np.array(foreseen, dtype=np.uint64))
    for key in [*foreseen, *asked, *foreseen]:
        assert number(key, attempt) == streams.random("service", key, attempt)


def test_draws_that_nobody_takes_are_not_kept_for_ever() -> None:
    """Numbers of attempts that never ask for them do not pile up."""
    streams = Streams(3)
    draws = Draws(streams)
    for first in range(0, 5 * KEPT, 1_000):
        draws.foresee(["service"], np.arange(first, first + 1_000, dtype=np.uint64))
        assert len(draws._ahead["service"]) <= KEPT + 1_000
    assert draws.numbers("service")(0, 1) == streams.random("service", 0, 1)
