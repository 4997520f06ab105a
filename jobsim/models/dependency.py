"""What jobs call: a service with a capacity and a queue of its own, where retries feed back."""

from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from jobsim.core.errors import ConfigError
from jobsim.core.time import Duration
from jobsim.models.base import Model
from jobsim.models.contention import Row
from jobsim.models.failures import FailureField
from jobsim.models.failures_base import Failure, Fault
from jobsim.models.fields import (
    Count,
    DurationField,
    ErrorField,
    OptionalDurationField,
    Probability,
    Text,
    default,
)
from jobsim.models.service import Service

Number = Annotated[int, Field(strict=True, ge=0)]


class Overload(Model):
    """Calls fail the more, the more calls are there.

    A call that finds at most `above` others is safe; from there the probability grows linearly, up to
    `probability` at `full` and beyond. As with any fault, a call that fails is worked on all the same
    unless `takes` says how soon it is refused.
    """

    above: Number
    full: Count
    probability: Probability = 1.0
    error: ErrorField = default("ConnectionError: overloaded")
    takes: OptionalDurationField = default(None)
    retry_after: OptionalDurationField = default(None)

    @field_validator("full")
    @classmethod
    def _beyond(cls, full: int, info: ValidationInfo) -> int:
        above = info.data.get("above", 0)
        if full <= above:
            raise ConfigError(f"must be more than above, which is {above}; not {full}")
        return full

    @cached_property
    def _fault(self) -> Fault:
        return Fault(self.error, self.takes, self.retry_after)

    def chance(self, present: int) -> float:
        """Return the probability that a call fails which finds `present` others."""
        share = (present - self.above) / (self.full - self.above)
        return self.probability * min(max(share, 0.0), 1.0)

    def verdict(self, present: int, u: float) -> Fault | None:
        """Return the fault of a call that finds `present` others; `u` is uniform on [0, 1)."""
        return self._fault if u < self.chance(present) else None


class Server(Model):
    """A service that several kinds of job may call: first come, first served, `capacity` calls at a time.

    Without `capacity` no call waits. A call is worked on for its `service` time, plus `slope` for each call
    that is there already, waiting or worked on. More than `queue_limit` calls do not wait: the next is
    refused at once, with `full_error`. `network` is the time of each way, there and back.

    A caller that has no reply within `timeout` fails with `timeout_error`; the server knows nothing of it
    and goes on working on the call. So it does for a caller that has died.

    `failures` and `overload` strike calls. Where a fault says what it takes (`takes`), the call is refused
    after that time and costs the server nothing: at its arrival or, if it had to wait, when its turn comes.
    Other faults strike when work on the call begins, which goes on to its end and is in vain.
    """

    model: Literal["server"] = "server"
    name: Text
    capacity: Count | None = None
    service: Service
    slope: DurationField = default("0s")
    queue_limit: Number | None = None
    network: Service | None = None
    timeout: OptionalDurationField = default(None)
    overload: Overload | None = None
    failures: tuple[FailureField, ...] = ()
    timeout_error: ErrorField = default("TimeoutError: no reply in time")
    full_error: ErrorField = default("ConnectionError: too many calls wait")

    @field_validator("timeout")
    @classmethod
    def _some_time(cls, timeout: Duration | None) -> Duration | None:
        if timeout == 0:
            raise ConfigError("must be longer than zero, or every call fails")
        return timeout

    @field_validator("failures")
    @classmethod
    def _far_away(cls, failures: tuple[Failure, ...], info: ValidationInfo) -> tuple[Failure, ...]:
        if any(failure.kills for failure in failures):
            raise ConfigError("a dependency cannot kill the worker that calls it; write that with the job")
        if any(failure.narrows for failure in failures) and info.data.get("capacity", 1) is None:
            raise ConfigError(
                "a share of the capacity can be left only where there is one; give the server a capacity"
            )
        return failures


Dependency = Annotated[Server | Row, Field(discriminator="model")]
