"""What a failure model is: a frozen value whose `begin` gives the condition of things in one run."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

from jobsim.core.outcome import Error, Failed
from jobsim.core.time import Duration
from jobsim.models.base import Model, Uniform
from jobsim.models.fields import ErrorField, OptionalDurationField, default


@dataclass(frozen=True, slots=True)
class Fault:
    """What befalls an attempt: it ends in `error`, after `takes` (`None`: after its service time).

    `retry_after` is the wait that the error demands. A fault that `kills` takes the machine down that the
    attempt runs on, when it would have ended, with everything else that runs there.
    """

    error: Error
    takes: Duration | None = None
    retry_after: Duration | None = None
    kills: bool = False
    outcome: Failed = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "outcome", Failed(self.error, self.retry_after))


class Condition(Protocol):
    """The state of things in one run, over its whole course: what befalls whom, and when."""

    def verdict(self, at: Duration, u: float) -> Fault | None:
        """Return the fault of an attempt that starts at offset `at`; `u` is its number, uniform on [0, 1)."""
        ...


@runtime_checkable
class Slowing(Condition, Protocol):
    """A condition that also makes attempts slower."""

    def slowdown(self, at: Duration) -> float:
        """Return by what an attempt's service time is multiplied that starts at offset `at`."""
        ...


def left(capacity: int, share: float) -> int:
    """Return the whole number nearest to a `share` of `capacity`; at least 1, unless the share is 0."""
    return max(1, round(capacity * share)) if share else 0


@runtime_checkable
class Narrowing(Condition, Protocol):
    """A condition that also leaves a dependency only some of its capacity."""

    def opened(self, at: Duration, capacity: int) -> tuple[int, Duration]:
        """Return how many of `capacity` servers begin calls at offset `at`, and until when that holds."""
        ...


class Failure(Model):
    """The base of all failure models.

    Each may say with which `error` attempts fail, how long a failing one `takes` (`None`: its service
    time), what wait the error demands (`retry_after`), and whether it `kills` the worker it ran on.
    """

    of_job: ClassVar[bool] = False
    """Whether the number that decides is one for all attempts of a job, and not drawn for each."""

    if TYPE_CHECKING:  # each model has these fields, after its own, so that it reads well where it is written
        error: ErrorField = default("RuntimeError")
        takes: OptionalDurationField = default(None)
        retry_after: OptionalDurationField = default(None)
        kills: bool = False

    @property
    def narrows(self) -> bool:
        """Whether it takes capacity away, which only a dependency has."""
        return False

    @cached_property
    def fault(self) -> Fault:
        """What befalls those whom it strikes."""
        return Fault(self.error, self.takes, self.retry_after, self.kills)

    def verdict(self, at: Duration, u: float) -> Fault | None:
        """Return the fault of an attempt that starts at offset `at`; `u` is its number, uniform on [0, 1)."""
        raise NotImplementedError

    def begin(self, uniform: Uniform) -> Condition:
        """Return the condition of one run, whose course `uniform` decides: itself where nothing is open."""
        return self
