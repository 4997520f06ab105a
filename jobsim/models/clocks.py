"""How wrong the clocks of machines are."""

import math
from bisect import bisect_right
from itertools import count
from typing import Annotated, Final

from pydantic import Field

from jobsim.core.time import MAX_DURATION, Duration
from jobsim.models.base import Model, Uniform
from jobsim.models.fields import DurationField, PositiveField, default

_OFFSET, _DRIFT, _STEPS = range(3)


class ClockSteps(Model):
    """A clock is set at random, once `every` so long on average, forwards or backwards by up to `size`."""

    every: PositiveField
    size: PositiveField


class Clocks(Model):
    """Each machine's clock is ahead or behind by up to `offset`, and goes too fast or slow by up to `drift`.

    Where within these bounds, either way, is decided for each machine, uniformly; `drift` is a share: 1e-4
    are 0.1 ms a second, more than a sound quartz. `steps` are those of a clock that is set, by an operator
    or by NTP; what measures spans of time on the machine knows nothing of them.
    """

    offset: DurationField = default("0s")
    drift: Annotated[float, Field(strict=True, ge=0, le=0.1, allow_inf_nan=False)] = 0.0
    steps: ClockSteps | None = None

    def begin(self, uniform: Uniform) -> "Clock":
        """Return the clock of one machine in one run."""
        offset = round((2 * uniform(_OFFSET) - 1) * self.offset)
        return Clock(offset, (2 * uniform(_DRIFT) - 1) * self.drift, self.steps, uniform)


class Clock:
    """One machine's clock: `offset` ahead at the beginning of a run (microseconds), `drift` too fast.

    All that it tells is a function of the true time since then alone.
    """

    def __init__(self, offset: int, drift: float, steps: ClockSteps | None, uniform: Uniform) -> None:
        self.offset: Final = offset
        self.drift: Final = drift
        self._steps = steps
        self._uniform = uniform
        self._numbers = count(_STEPS, 2)
        self._at = [-math.inf]
        self._ahead = [offset]

    def elapsed(self, at: Duration) -> Duration:
        """Return how much time has passed since the beginning of the run, by the machine's steady clock."""
        return Duration(round(at * (1 + self.drift)))

    def shows(self, at: Duration) -> int:
        """Return the microseconds since the beginning of the run that its face shows; it may be negative."""
        while self._steps is not None and self._at[-1] <= at:
            self._step(self._steps)
        return self.elapsed(at) + self._ahead[bisect_right(self._at, at) - 1]

    def _step(self, steps: ClockSteps) -> None:
        """Learn of the next step."""
        number = next(self._numbers)
        wait = -steps.every * math.log1p(-self._uniform(number))
        by = round((2 * self._uniform(number + 1) - 1) * steps.size)
        self._at.append(min(max(self._at[-1], 0) + wait, MAX_DURATION + 1))
        self._ahead.append(self._ahead[-1] + by)
