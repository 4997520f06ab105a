"""What a distribution of durations is: a mean, and a quantile for every uniform number."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from jobsim.core.time import MAX_DURATION, Duration
from jobsim.models.base import Model


class Distribution(Model):
    """The base of all distributions of durations."""

    if TYPE_CHECKING:  # a field of some, and computed by others

        @property
        def mean(self) -> Duration:
            """The mean."""

    def draw(self, u: float) -> Duration:
        """Return the duration at quantile `u`, on [0, 1), at most a hundred years."""
        micros = self.quantile(u)
        return Duration(round(micros)) if micros < MAX_DURATION else MAX_DURATION

    def quantile(self, u: float) -> float:
        """Return the microseconds at quantile `u`, on [0, 1)."""
        raise NotImplementedError

    def length_biased(self, u: float) -> float:
        """Return the microseconds at quantile `u` of the length-biased distribution.

        That is how long the period lasts in which one finds things at a random moment, where periods
        follow each other: long ones are met more often, in proportion to their length.
        Source: Cox, "Renewal Theory", 1962, section 5.4.
        """
        raise NotImplementedError


def by_length(lengths: Sequence[int], u: float) -> int:
    """Return one of `lengths`, which are in order, each with a probability in proportion to itself.

    `u` is uniform on [0, 1). Not all may be 0.
    """
    ends = list(accumulate(lengths))
    return lengths[bisect_right(ends, u * ends[-1])]
