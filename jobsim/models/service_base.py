"""What a distribution of durations is: a mean, and a quantile for every uniform number."""

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
