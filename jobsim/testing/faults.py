"""Faults of a store from Hypothesis: what fails shrinks to the few troubles that matter."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final, TypeVar

from hypothesis import strategies as st

from jobsim.core.time import SECOND, Duration
from jobsim.storage.troubles import DEADLY, PASSING, Mishap, Trouble
from jobsim.testing.plots import Plot, plot

T = TypeVar("T")

Troubled = Mapping[int, Trouble]
"""What befalls calls, by their numbers from 1: for `jobsim.storage.troubles.Script`."""

_TIMES: Final = st.sampled_from([Duration(0), Duration(SECOND), Duration(15 * SECOND)])


def troubled_calls(
    mishaps: Collection[Mishap] = (*PASSING, *DEADLY), calls: int = 60, most: int = 12
) -> st.SearchStrategy[Troubled]:
    """Return a strategy for what befalls the first `calls` of a process: up to `most` of the `mishaps`."""
    trouble = st.builds(Trouble, st.sampled_from(list(mishaps)), _TIMES)
    return st.dictionaries(st.integers(1, calls), trouble, max_size=most)


@st.composite
def plots(draw: st.DrawFn) -> Plot:
    """Return a strategy for plots; they shrink to the jobs and the mishaps that matter."""

    def pick(choices: Sequence[T], /) -> T:
        return draw(st.sampled_from(choices))

    return plot(pick)
