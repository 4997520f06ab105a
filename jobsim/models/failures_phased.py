"""Failures that come in bursts: two phases that alternate at random, on a course of their own.

The course of a run does not depend on who looks at it, nor when: all policies meet the same. Kinds of job
whose failures have one `name` go through it together.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate, chain, count
from typing import TYPE_CHECKING, Literal

from pydantic import model_validator

from jobsim.core.errors import ConfigError
from jobsim.core.time import MAX_DURATION, Duration
from jobsim.models.base import Uniform
from jobsim.models.failures_base import Condition, Failure, Fault, left
from jobsim.models.fields import (
    ErrorField,
    Flag,
    OptionalDurationField,
    OptionalPositiveField,
    PositiveField,
    Probability,
    SlowdownFactor,
    Text,
    default,
)
from jobsim.models.problems import Path
from jobsim.models.service import Service


class Phases:
    """A course through two phases that alternate, drawn as far as it has been looked at.

    `lengths` are those of the phases one after the other, in microseconds, the first from offset 0 on.
    """

    __slots__ = ("_begins_second", "_ends", "_to_come")

    def __init__(self, lengths: Iterator[float], *, begins_second: bool) -> None:
        self._to_come = accumulate(max(1, round(min(length, MAX_DURATION))) for length in lengths)
        self._ends = [next(self._to_come)]
        self._begins_second = begins_second

    def second(self, at: Duration) -> bool:
        """Return whether offset `at` lies in the second phase."""
        return bool(self._phase(at) & 1) is not self._begins_second

    def end(self, at: Duration) -> Duration:
        """Return when the phase ends in which offset `at` lies."""
        return Duration(self._ends[self._phase(at)])

    def _phase(self, at: Duration) -> int:
        ends = self._ends
        while ends[-1] <= at:
            ends.append(next(self._to_come))
        return bisect_right(ends, at)


class Course:
    """The condition of one run: attempts fail with one probability in the good phase, another in the bad."""

    __slots__ = ("_bad", "_fault", "_good", "_second")

    def __init__(self, phases: Phases, fault: Fault, good: float, bad: float) -> None:
        self._second = phases.second
        self._fault, self._good, self._bad = fault, good, bad

    def verdict(self, at: Duration, u: float) -> Fault | None:
        """Return the fault of an attempt that starts at offset `at`; `u` is its number, uniform on [0, 1)."""
        return self._fault if u < (self._bad if self._second(at) else self._good) else None


class SlowCourse(Course):
    """A course in whose bad phases attempts take `factor` times their service time, too.

    Of a dependency's capacity a `share` is left meanwhile.
    """

    __slots__ = ("_end", "_factor", "_share")

    def __init__(self, phases: Phases, fault: Fault, bad: float, factor: float, share: float) -> None:
        super().__init__(phases, fault, 0.0, bad)
        self._end = phases.end
        self._factor, self._share = factor, share

    def slowdown(self, at: Duration) -> float:
        """Return by what an attempt's service time is multiplied that starts at offset `at`."""
        return self._factor if self._second(at) else 1.0

    def opened(self, at: Duration, capacity: int) -> tuple[int, Duration]:
        """Return how many of `capacity` servers begin calls at offset `at`, and until when that holds."""
        return left(capacity, self._share) if self._second(at) else capacity, self._end(at)


class Phased(Failure):
    """The base of failure models with a course; those of one `name` share it, and must agree on it."""

    if TYPE_CHECKING:
        model: str
        name: str | None

    @property
    def course(self) -> tuple[object, ...]:
        """What decides on the course, and so must be equal where models share one."""
        raise NotImplementedError


def disagreements(failures: Iterable[tuple[Path, Failure]]) -> Iterator[tuple[Path, str, str]]:
    """Yield where a name stands for another course than before: as pydantic locates it, the name, and why."""
    known: dict[str, tuple[object, ...]] = {}
    for path, failure in failures:
        if isinstance(failure, Phased) and failure.name is not None:
            course = known.setdefault(failure.name, failure.course)
            if course != failure.course:
                error = f"{failure.name!r} is there with another course already; those of one name share it"
                yield (*path, failure.model, "name"), failure.name, error


class Alternating(Phased):
    """Up, then down, then up again: attempts that start while it is down fail with `probability`.

    `up` and `down` are distributions of how long either lasts. In the field times between failures follow
    a Weibull distribution with a shape of 0.7 to 0.8, and times to repair a lognormal one. It is down a share
    ``mean(down) / (mean(up) + mean(down))`` of the time. With a `factor` attempts that start while it is down
    take that many times their service time, and of a dependency the share `capacity` is left: with a low
    probability, a brownout.

    A run begins as any moment would find it, within an outage or between two; or, if `begins` says so, just
    when it has come up or gone down.
    Source: Cox, "Renewal Theory", 1962, chapter 7 (alternating renewal processes, in equilibrium); Schroeder
    & Gibson, "A large-scale study of failures in high-performance computing systems", DSN 2006.
    """

    model: Literal["alternating"] = "alternating"
    name: Text | None = None
    up: Service
    down: Service
    begins: Literal["anywhere", "up", "down"] = "anywhere"
    probability: Probability = 1.0
    factor: SlowdownFactor = 1.0
    capacity: Probability = 1.0
    error: ErrorField = default("ConnectionError: simulated outage")
    takes: OptionalDurationField = default(None)
    retry_after: OptionalDurationField = default(None)
    kills: Flag = False

    @model_validator(mode="after")
    def _both_last(self) -> "Alternating":
        if not (self.up.mean and self.down.mean):
            raise ConfigError("up and down must be longer than zero on average")
        return self

    @property
    def course(self) -> tuple[object, ...]:
        """What decides on the course: both distributions, and how it begins."""
        return type(self), self.up, self.down, self.begins

    @property
    def narrows(self) -> bool:
        """Whether it takes capacity away while it is down."""
        return self.capacity < 1

    def begin(self, uniform: Uniform) -> Condition:
        """Return the condition of one run, whose course `uniform` decides."""
        phases = self._phases(map(uniform, count()))
        if self.factor == 1 and not self.narrows:
            return Course(phases, self.fault, 0.0, self.probability)
        return SlowCourse(phases, self.fault, self.probability, self.factor, self.capacity)

    def _phases(self, numbers: Iterator[float]) -> Phases:
        where, length, rest = next(numbers), next(numbers), next(numbers)
        if self.begins == "anywhere":
            down = where * (self.up.mean + self.down.mean) < self.down.mean
            # What is left of the phase that one finds at a random moment.
            first = rest * (self.down if down else self.up).length_biased(length)
        else:
            down = self.begins == "down"
            first = (self.down if down else self.up).draw(length)
        lengths = chain((first,), self._lengths(numbers, down=down))
        return Phases(lengths, begins_second=down)

    def _lengths(self, numbers: Iterator[float], *, down: bool) -> Iterator[float]:
        """Yield how long each phase lasts after the first, which is `down` or up."""
        for u in numbers:
            down = not down
            yield (self.down if down else self.up).draw(u)


class GilbertElliott(Phased):
    """A good and a bad state, of exponential length with means `good` and `bad`; attempts may fail in both.

    An attempt that starts in either fails with `failure_good` or `failure_bad`, so that
    ``(good * failure_good + bad * failure_bad) / (good + bad)`` of all do, bursts of them together.
    With a `slot` the state changes only where a slot ends, then with the probability ``slot / good`` or
    ``slot / bad``. A run begins as any moment would find it: with ``bad / (good + bad)`` in the bad state.
    Source: Gilbert, "Capacity of a burst-noise channel", Bell System Technical Journal 39, 1960; Elliott,
    "Estimates of error rates for codes on burst-noise channels", Bell System Technical Journal 42, 1963.
    """

    model: Literal["gilbert_elliott"] = "gilbert_elliott"
    name: Text | None = None
    good: PositiveField
    bad: PositiveField
    failure_good: Probability = 0.0
    failure_bad: Probability = 1.0
    slot: OptionalPositiveField = default(None)
    error: ErrorField = default("ConnectionError: simulated burst of failures")
    takes: OptionalDurationField = default(None)
    retry_after: OptionalDurationField = default(None)
    kills: Flag = False

    @model_validator(mode="after")
    def _states_last_a_slot(self) -> "GilbertElliott":
        if self.slot is not None and self.slot > min(self.good, self.bad):
            raise ConfigError(f"a slot ({self.slot}) cannot be longer than a state lasts on average")
        return self

    @property
    def course(self) -> tuple[object, ...]:
        """What decides on the course: the mean lengths, and the slot."""
        return type(self), self.good, self.bad, self.slot

    def begin(self, uniform: Uniform) -> Condition:
        """Return the condition of one run, whose course `uniform` decides."""
        numbers = map(uniform, count())
        bad = next(numbers) * (self.good + self.bad) < self.bad
        phases = Phases(self._lengths(numbers, bad=bad), begins_second=bad)
        return Course(phases, self.fault, self.failure_good, self.failure_bad)

    def _lengths(self, numbers: Iterator[float], *, bad: bool) -> Iterator[float]:
        """Yield how long each state lasts from offset 0 on; neither remembers for how long it has lasted."""
        for u in numbers:
            yield self._length(self.bad if bad else self.good, u)
            bad = not bad

    def _length(self, mean: Duration, u: float) -> float:
        if self.slot is None:
            return -mean * math.log1p(-u)
        leaving = self.slot / mean
        slots = 1 + int(math.log1p(-u) / math.log1p(-leaving)) if leaving < 1 else 1
        return self.slot * slots
