"""What an attempt can end in, as values; exceptions never carry an outcome between parts."""

import builtins
from dataclasses import dataclass
from typing import Final

from jobsim.core.time import Duration, DurationLike, duration

ERROR_TEXT_LIMIT: Final = 8_192
"""Longest error text kept, in characters (reliability.md, security rule 4: bound what is stored)."""


def error_name(error: type[BaseException] | str) -> str:
    """Return the name by which policies know an error: qualified, without ``builtins.``."""
    if isinstance(error, str):
        return error
    name: str = error.__name__
    return name if vars(builtins).get(name) is error else f"{error.__module__}.{error.__qualname__}"


@dataclass(frozen=True, slots=True)
class Error:
    """An error as a value: `kind`, and `lineage`, the names of its class and base classes."""

    kind: str
    message: str = ""
    lineage: tuple[str, ...] = ()

    @classmethod
    def of(cls, exception: BaseException) -> "Error":
        """Return the value for a caught exception; its traceback is not kept."""
        names = tuple(error_name(c) for c in type(exception).__mro__[:-1])
        try:
            text = str(exception)
        except Exception:  # noqa: BLE001  # whatever a user's __str__ raises
            text = "(its message could not be read: __str__ raised)"
        return cls(names[0], text[:ERROR_TEXT_LIMIT], names)

    def is_a(self, name: str) -> bool:
        """Return whether `name`, qualified or bare, names this error or one of its bases."""
        return any(n == name or n.endswith(f".{name}") for n in self.lineage or (self.kind,))

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}" if self.message else self.kind


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The handler returned; `result` is its value as JSON text, if it is to be kept."""

    result: str | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The handler raised; `retry_after` is a wait the error itself demanded, never shortened.

    After a `final` failure there is no other attempt, whatever the policy says.
    """

    error: Error
    retry_after: Duration | None = None
    final: bool = False


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The attempt ran longer than it may."""

    after: Duration


@dataclass(frozen=True, slots=True)
class Lost:
    """The lease ended without a settlement: the worker died, hung or was cut off."""


@dataclass(frozen=True, slots=True)
class Released:
    """The worker shuts down and gives the attempt back."""


@dataclass(frozen=True, slots=True)
class Snoozed:
    """The handler asked to be run later; the attempt is given back."""

    delay: Duration


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The handler asked that the job be cancelled."""

    reason: str


Outcome = Succeeded | Failed | TimedOut | Lost | Released | Snoozed | Cancelled

SUCCEEDED: Final = Succeeded()


class RetryAfter(Exception):
    """Raise in a handler: this attempt failed, and the next must not start before `delay` is over."""

    def __init__(self, delay: DurationLike, message: str = "") -> None:
        super().__init__(delay, message)
        self.delay = duration(delay, "RetryAfter")

    def __str__(self) -> str:
        return str(self.args[1]) or f"retry after {self.delay}"


class Snooze(Exception):
    """Raise in a handler: run this job again after `delay`; the attempt is given back."""

    def __init__(self, delay: DurationLike) -> None:
        super().__init__(delay)
        self.delay = duration(delay, "Snooze")


class Cancel(Exception):
    """Raise in a handler: cancel this job, with a reason for the log."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


class Discard(Exception):
    """Raise in a handler: no other attempt can mend this; the job becomes a dead letter now."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
