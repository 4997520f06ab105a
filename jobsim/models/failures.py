"""What befalls attempts: each model looks at when an attempt starts and at one uniform number."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field

from jobsim.core.outcome import Error, Failed
from jobsim.core.time import Duration
from jobsim.models.base import Model
from jobsim.models.fields import (
    DurationField,
    ErrorField,
    OptionalDurationField,
    PositiveField,
    Probability,
    default,
)


@dataclass(frozen=True, slots=True)
class Fault:
    """What befalls an attempt: it ends in `error`, after `takes` (`None`: after its service time)."""

    error: Error
    takes: Duration | None = None
    outcome: Failed = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "outcome", Failed(self.error))


class Independent(Model):
    """Each attempt fails with the same probability, whatever befell the others."""

    model: Literal["independent"] = "independent"
    probability: Probability
    error: ErrorField = default("RuntimeError: simulated failure")

    @cached_property
    def _fault(self) -> Fault:
        return Fault(self.error)

    def verdict(self, at: Duration, u: float) -> Fault | None:
        """Return the fault of an attempt that starts at offset `at`; `u` is uniform on [0, 1)."""
        return self._fault if u < self.probability else None


class Outage(Model):
    """Attempts that start within `start` .. `start + duration` fail with `probability`.

    Over the `recovery` that follows, the probability falls linearly to 0. A failing attempt takes
    `takes`, such as a connection timeout; its service time where that is not given.
    """

    model: Literal["outage"] = "outage"
    start: DurationField
    duration: PositiveField
    recovery: DurationField = default("0s")
    probability: Probability = 1.0
    error: ErrorField = default("ConnectionError: simulated outage")
    takes: OptionalDurationField = default(None)

    @cached_property
    def _fault(self) -> Fault:
        return Fault(self.error, self.takes)

    def chance(self, at: Duration) -> float:
        """Return the probability that an attempt started at offset `at` fails."""
        since = at - self.start
        if since < 0:
            return 0.0
        after = since - self.duration
        if after < 0:
            return self.probability
        return self.probability * (1 - after / self.recovery) if after < self.recovery else 0.0

    def verdict(self, at: Duration, u: float) -> Fault | None:
        """Return the fault of an attempt that starts at offset `at`; `u` is uniform on [0, 1)."""
        return self._fault if u < self.chance(at) else None


class Permanent(Model):
    """Every attempt fails: a job that can never succeed."""

    model: Literal["permanent"] = "permanent"
    error: ErrorField = default("ValueError: simulated permanent failure")

    @cached_property
    def _fault(self) -> Fault:
        return Fault(self.error)

    def verdict(self, at: Duration, u: float) -> Fault | None:
        """Return the fault of every attempt."""
        return self._fault


FailureModel = Annotated[Independent | Outage | Permanent, Field(discriminator="model")]
