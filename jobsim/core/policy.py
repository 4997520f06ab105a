"""The retry policy: a backoff, stop rules, and which errors are worth another try."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from jobsim.core.backoff import Backoff, Exponential
from jobsim.core.breaker import Breaker
from jobsim.core.budget import Budget
from jobsim.core.errors import ConfigError
from jobsim.core.fields import OptionalDurationField, default
from jobsim.core.job import UNLIMITED
from jobsim.core.limits import check_guards
from jobsim.core.outcome import Error, error_name
from jobsim.core.time import duration

DEFAULT_BACKOFF: Final = Exponential(base="1s", cap="5m", jitter="full")

ErrorsLike = Iterable[type[BaseException] | str] | type[BaseException] | str

if TYPE_CHECKING:

    class ErrorsField:
        """Written as `ErrorsLike`, read as names."""

        def __get__(self, owner: object, kind: type | None = None) -> tuple[str, ...]: ...
        def __set__(self, owner: object, value: ErrorsLike) -> None: ...

else:
    ErrorsField = ErrorsLike


@dataclass(frozen=True, slots=True, repr=False)
class RetryPolicy:
    """Whether and when a failed job is tried again; the same object serves both worlds.

    `max_attempts` counts runs, the first included (`None`: no limit). `max_age` stops retries whose
    start would lie further than this behind the enqueue. `retry_on` names the errors that are
    retried (empty: all), `dead_letter_on` those that never are and wins over it; give exception
    classes or their names, base classes included. All jobs of a kind pay their retries from `budget`, and
    `breaker` stops them where too many fail: a worker puts both in force, as a simulation does. `name` labels
    results and takes no part in equality.
    """

    backoff: Backoff = DEFAULT_BACKOFF
    max_attempts: int | None = 5
    max_age: OptionalDurationField = default(None)
    retry_on: ErrorsField = default(())
    dead_letter_on: ErrorsField = default(())
    budget: Budget | None = None
    breaker: Breaker | None = None
    name: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if isinstance(self.backoff, type) or not isinstance(self.backoff, Backoff):
            raise ConfigError(f"backoff: {self.backoff!r} is no backoff; write for example Fixed('30s')")
        check_max_attempts(self.max_attempts)
        if self.max_age is not None:
            object.__setattr__(self, "max_age", duration(self.max_age, "max_age"))
        check_guards(self.budget, self.breaker)
        object.__setattr__(self, "retry_on", _names(self.retry_on, "retry_on"))
        object.__setattr__(self, "dead_letter_on", _names(self.dead_letter_on, "dead_letter_on"))

    @property
    def limit(self) -> int:
        """The attempts one enqueue or requeue grants, as a number."""
        return UNLIMITED if self.max_attempts is None else self.max_attempts

    @property
    def label(self) -> str:
        """The name, or the backoff's repr where there is none."""
        return self.name or repr(self.backoff)

    def retries(self, error: Error) -> bool:
        """Return whether `error` is worth another attempt."""
        if self.dead_letter_on and any(map(error.is_a, self.dead_letter_on)):
            return False
        return not self.retry_on or any(map(error.is_a, self.retry_on))

    def __repr__(self) -> str:
        parts = [repr(self.backoff), f"max_attempts={self.max_attempts}"]
        if self.max_age is not None:
            parts.append(f"max_age='{self.max_age}'")
        parts += [
            f"{n}={v!r}"
            for n in ("retry_on", "dead_letter_on", "budget", "breaker")
            if (v := getattr(self, n))
        ]
        if self.name:
            parts.append(f"name={self.name!r}")
        return f"RetryPolicy({', '.join(parts)})"


def check_max_attempts(value: int | None) -> None:
    """Refuse a number of attempts that is not a whole number from 1.

    Raises:
        ConfigError: it is not.
    """
    if value is None:
        return
    if type(value) is not int or not 1 <= value <= UNLIMITED:
        raise ConfigError(
            f"max_attempts: must be a whole number, at least 1 (it counts runs, the first included), "
            f"or None for no limit; not {value!r}"
        )


def _names(errors: ErrorsLike, name: str) -> tuple[str, ...]:
    return tuple(_name(e, name) for e in ((errors,) if isinstance(errors, (str, type)) else errors))


def _name(error: object, name: str) -> str:
    if isinstance(error, str) or (isinstance(error, type) and issubclass(error, BaseException)):
        return error_name(error)
    raise ConfigError(f"{name}: {error!r} is neither an exception class nor the name of one")
