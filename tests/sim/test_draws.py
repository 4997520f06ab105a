"""Numbers that were foreseen are the numbers that would have been drawn."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jobsim.core.streams import Streams
from jobsim.sim.draws import KEPT, Draw, Draws

DRAWN = (Draw("service"), Draw("failure:0", of_job=True))


def expected(streams: Streams, key: int, attempt: int) -> list[float]:
    """Return the numbers that are drawn one by one."""
    return [streams.random("service", key, attempt), streams.random("failure:0", key)]


keys = st.lists(st.integers(0, 2**62 - 1), max_size=9)


@given(foreseen=keys, asked=keys, attempt=st.integers(1, 3))
def test_draws_are_the_same_foreseen_or_not(foreseen: list[int], asked: list[int], attempt: int) -> None:
    """A number depends on seed, purpose, job and, unless it is the job's own, attempt alone."""
    streams = Streams(3)
    draws = Draws(streams)
    numbers = draws.numbers(DRAWN)
    draws.foresee(DRAWN, np.array(foreseen, dtype=np.uint64))
    for key in [*foreseen, *asked, *foreseen]:
        assert list(numbers(key, attempt)) == expected(streams, key, attempt)


def test_draws_that_nobody_takes_are_not_kept_for_ever() -> None:
    """Numbers of attempts that never ask for them do not pile up."""
    streams = Streams(3)
    draws = Draws(streams)
    for first in range(0, 5 * KEPT, 1_000):
        draws.foresee(DRAWN, np.arange(first, first + 1_000, dtype=np.uint64))
        assert len(draws._ahead[DRAWN]) <= KEPT + 1_000
    assert list(draws.numbers(DRAWN)(0, 1)) == expected(streams, 0, 1)
