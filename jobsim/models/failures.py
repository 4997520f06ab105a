"""What befalls attempts: each model looks at when an attempt starts and at one uniform number."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import (
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    ValidatorFunctionWrapHandler,
    WrapSerializer,
    WrapValidator,
    model_validator,
)

from jobsim.core.errors import ConfigError
from jobsim.core.time import MAX_DURATION, Duration
from jobsim.models.failures_base import Failure, Fault, left
from jobsim.models.failures_phased import Alternating, GilbertElliott
from jobsim.models.fields import (
    DurationField,
    ErrorField,
    Flag,
    OptionalDurationField,
    PositiveField,
    Probability,
    SlowdownFactor,
    default,
)


class Independent(Failure):
    """Each attempt fails with the same probability, whatever befell the others."""

    model: Literal["independent"] = "independent"
    probability: Probability
    error: ErrorField = default("RuntimeError: simulated failure")
    takes: OptionalDurationField = default(None)
    retry_after: OptionalDurationField = default(None)
    kills: Flag = False

    def verdict(self, at: Duration, u: float) -> Fault | None:
        """Return the fault of an attempt that starts at offset `at`; `u` is its number, uniform on [0, 1)."""
        return self.fault if u < self.probability else None


class Outage(Failure):
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
    retry_after: OptionalDurationField = default(None)
    kills: Flag = False

    def chance(self, at: Duration) -> float:
        """Return the probability that an attempt started at offset `at` fails."""
        return self.probability * severity(at, self.start, self.duration, self.recovery)

    def verdict(self, at: Duration, u: float) -> Fault | None:
        """Return the fault of an attempt that starts at offset `at`; `u` is its number, uniform on [0, 1)."""
        return self.fault if u < self.chance(at) else None


class Brownout(Failure):
    """Attempts that start within `start` .. `start + duration` take `factor` times their service time.

    Of a dependency no more than the share `capacity` may be left meanwhile: what is worked on goes on, and
    new calls wait for one of the fewer servers, at least one unless the share is 0. Attempts may fail, too,
    with `probability`. Over the `recovery` that follows, factor, capacity and probability return linearly.
    For brownouts that come and go, see `Alternating`.
    """

    model: Literal["brownout"] = "brownout"
    start: DurationField
    duration: PositiveField
    recovery: DurationField = default("0s")
    factor: SlowdownFactor = 1.0
    capacity: Probability = 1.0
    probability: Probability = 0.0
    error: ErrorField = default("TimeoutError: simulated brownout")
    takes: OptionalDurationField = default(None)
    retry_after: OptionalDurationField = default(None)
    kills: Flag = False

    @model_validator(mode="after")
    def _less_of_something(self) -> "Brownout":
        if not self.model_fields_set & {"factor", "capacity"}:
            raise ConfigError(
                "needs factor, by which it slows attempts, or capacity, the share that it leaves"
            )
        return self

    @property
    def narrows(self) -> bool:
        """Whether it takes capacity away."""
        return self.capacity < 1

    def opened(self, at: Duration, capacity: int) -> tuple[int, Duration]:
        """Return how many of `capacity` servers begin calls at offset `at`, and until when that holds."""
        end = self.start + self.duration
        lost = capacity - left(capacity, self.capacity)
        if at < self.start:
            return capacity, self.start
        if at < end:
            return capacity - lost, Duration(end)
        if not lost or at >= end + self.recovery:
            return capacity, MAX_DURATION
        back = lost * (at - end) // self.recovery  # they come back one by one
        return capacity - lost + back, Duration(end - (-(back + 1) * self.recovery // lost))

    def slowdown(self, at: Duration) -> float:
        """Return by what an attempt's service time is multiplied that starts at offset `at`."""
        return 1 + (self.factor - 1) * severity(at, self.start, self.duration, self.recovery)

    def verdict(self, at: Duration, u: float) -> Fault | None:
        """Return the fault of an attempt that starts at offset `at`; `u` is its number, uniform on [0, 1)."""
        chance = self.probability * severity(at, self.start, self.duration, self.recovery)
        return self.fault if u < chance else None


class Permanent(Failure):
    """Jobs that can never succeed: every attempt fails, of a `share` of all jobs.

    Which jobs those are is decided once a job, however often its client enqueues it. Poison pills that take
    their workers with them are such jobs whose fault `kills`.
    """

    of_job: ClassVar[bool] = True

    model: Literal["permanent"] = "permanent"
    share: Probability = 1.0
    error: ErrorField = default("ValueError: simulated permanent failure")
    takes: OptionalDurationField = default(None)
    retry_after: OptionalDurationField = default(None)
    kills: Flag = False

    def verdict(self, at: Duration, u: float) -> Fault | None:
        """Return the fault of an attempt; `u` is the number of its job, uniform on [0, 1)."""
        return self.fault if u < self.share else None


def severity(at: Duration, start: Duration, duration: Duration, recovery: Duration) -> float:
    """Return 1 within the window, 0 outside, and what lies between over the recovery that follows it."""
    since = at - start
    if since < 0:
        return 0.0
    after = since - duration
    if after < 0:
        return 1.0
    return 1 - after / recovery if after < recovery else 0.0


FailureModel = Annotated[
    Independent | Outage | Brownout | Permanent | Alternating | GilbertElliott,
    Field(discriminator="model"),
]
"""The failure models that a scenario file knows."""


class OwnFailure:
    """A failure model of the caller's, in a tree of tables, where pydantic would take a model apart."""

    __slots__ = ("model",)

    def __init__(self, model: Failure) -> None:
        self.model = model


def _read(value: Any, known: ValidatorFunctionWrapHandler) -> Failure:
    """Return a failure model of the caller's as it is; all else is for the known ones to read."""
    own = value.model if isinstance(value, OwnFailure) else value
    return own if isinstance(own, Failure) and not hasattr(own, "model") else known(value)


def _told(model: Failure, known: SerializerFunctionWrapHandler, info: SerializationInfo) -> Any:
    """Return the table of a known model; one of the caller's is kept, or told by its `repr`."""
    if hasattr(model, "model"):
        return known(model)
    return OwnFailure(model) if info.mode == "python" else repr(model)


if TYPE_CHECKING:
    FailureField = Failure
else:
    FailureField = Annotated[FailureModel, WrapValidator(_read), WrapSerializer(_told)]
