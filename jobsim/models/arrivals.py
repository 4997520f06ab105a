"""When jobs arrive."""

import math
from collections.abc import Iterator
from itertools import count, islice
from typing import Annotated, Literal

from pydantic import Field

from jobsim.core.time import MAX_DURATION, SECOND, Duration
from jobsim.models.base import Model, Uniform
from jobsim.models.fields import Count, DurationField, DurationsField, PositiveField, RateField, default


class Poisson(Model):
    """Arrivals at random, at a constant rate: gaps are exponential, ``-ln(1 - u) / rate``.

    Source: Devroye, "Non-Uniform Random Variate Generation", 1986, II.2.1.
    """

    process: Literal["poisson"] = "poisson"
    rate: RateField

    def times(self, uniform: Uniform) -> Iterator[Duration]:
        """Yield offsets from the start, non-decreasing, for up to a hundred years."""
        mean, at = SECOND / self.rate, 0.0
        for n in count():
            at -= mean * math.log1p(-uniform(n))
            if at > MAX_DURATION:
                return
            yield Duration(round(at))


class Deterministic(Model):
    """Arrivals on the beat: the first at `start`, then one `every` so often, `jobs` in all (if given)."""

    process: Literal["deterministic"] = "deterministic"
    every: PositiveField
    start: DurationField = default("0s")
    jobs: Count | None = None

    def times(self, uniform: Uniform) -> Iterator[Duration]:
        """Yield offsets from the start, non-decreasing; endless without `jobs`."""
        return islice((Duration(at) for at in count(self.start, self.every)), self.jobs)


class Listed(Model):
    """Arrivals at the given offsets, written in any order."""

    process: Literal["list"] = "list"
    offsets: DurationsField = Field(alias="times")

    def times(self, uniform: Uniform) -> Iterator[Duration]:
        """Yield offsets from the start, non-decreasing."""
        return iter(sorted(self.offsets))


Arrivals = Annotated[Poisson | Deterministic | Listed, Field(discriminator="process")]
