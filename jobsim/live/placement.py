"""Where, when and under which keys a job is put on the queue: what whoever enqueues it may say."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import EllipsisType
from typing import Any, Final, Self, TypedDict

from jobsim.core.checks import word_of
from jobsim.core.errors import ConfigError, did_you_mean
from jobsim.core.job import Conflict
from jobsim.core.policy import check_max_attempts
from jobsim.core.time import DurationLike, Instant, duration, instant
from jobsim.live.keys import Key, KeyLike

NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_KIND: Final = re.compile(r"\w[\w.:/-]{0,127}")
_PRIORITIES: Final = range(-(2**31), 2**31)

Attempts = int | EllipsisType | None
"""A number of attempts, `None` for no limit, `...` for what is said elsewhere."""


class Options(TypedDict, total=False):
    """What `Placement` takes, for signatures that pass it on."""

    delay: DurationLike | None
    run_at: datetime | None
    priority: int | None
    queue: str | None
    max_attempts: Attempts
    unique_key: KeyLike | None
    on_conflict: Conflict | str | None
    limit_key: KeyLike | None
    connection: Any


RESERVED: Final = frozenset(Options.__annotations__)
"""What `enqueue` takes for itself; no handler's parameter may be called so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where and when a job is to run; `None` and `...` leave it to the kind's own settings.

    With a `connection` the job is written by the transaction that is open there.

    Raises:
        ConfigError: a value cannot be used, or two contradict each other.
    """

    delay: DurationLike | None = None
    run_at: datetime | None = None
    priority: int | None = None
    queue: str | None = None
    max_attempts: Attempts = ...
    unique_key: KeyLike | None = None
    on_conflict: Conflict | str | None = None
    limit_key: KeyLike | None = None
    connection: Any = None

    def __post_init__(self) -> None:
        if self.delay is not None:
            if self.run_at is not None:
                raise ConfigError("delay and run_at: give one of the two")
            object.__setattr__(self, "delay", duration(self.delay, "delay"))
        if self.run_at is not None:
            if not isinstance(self.run_at, datetime):
                raise ConfigError(f"run_at: must be a datetime with a time zone, not {self.run_at!r}")
            instant(self.run_at)
        if self.priority is not None:
            check_priority(self.priority)
        if self.queue is not None:
            check_queue(self.queue)
        if self.max_attempts is not ...:
            check_max_attempts(self.max_attempts)
        for name in ("unique_key", "limit_key"):
            object.__setattr__(self, name, Key.of(getattr(self, name), name))
        object.__setattr__(self, "on_conflict", conflict(self.on_conflict))

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """Return the placement that `options`, such as a caller's keyword arguments, ask for.

        Raises:
            ConfigError: there is no such option, or its value cannot be used.
        """
        check_known(options, RESERVED, "option")
        return cls(**options)

    def start(self, now: Instant) -> Instant:
        """Return when the job may start, if it is enqueued `now`."""
        if self.run_at is not None:
            return instant(self.run_at)
        return now if self.delay is None else Instant(now + duration(self.delay))


def conflict(word: Conflict | str | None) -> Conflict | None:
    """Return what `word` says is to be done where a unique key is taken.

    Raises:
        ConfigError: it is none of the words there are.
    """
    return None if word is None else word_of(word, Conflict, "on_conflict")


def check_known(given: Mapping[str, Any], known: frozenset[str], what: str) -> None:
    """Refuse names that nothing goes by.

    Raises:
        ConfigError: one of those `given` is not among those `known`.
    """
    for name in given:
        if name not in known:
            raise ConfigError(
                f"there is no {what} {name!r}{did_you_mean(name, known)}; there are: "
                f"{', '.join(sorted(known))}"
            )


def check_kind(kind: object) -> None:
    """Refuse what cannot name a kind of job.

    Raises:
        ConfigError: it cannot.
    """
    if not isinstance(kind, str) or not _KIND.fullmatch(kind):
        raise ConfigError(
            f"{kind!r} cannot name a kind of job; use letters, digits and _ . : / -, at most 128, "
            "the first of them a letter, digit or _"
        )


def check_queue(name: object) -> None:
    """Refuse what cannot name a queue.

    Raises:
        ConfigError: it cannot.
    """
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ConfigError(
            f"queue: {name!r} cannot name a queue; use letters from a to z, digits and _ . -, at most 64"
        )


def check_priority(priority: object) -> None:
    """Refuse a priority that a store could not keep.

    Raises:
        ConfigError: it is not a whole number of 32 bits.
    """
    if not isinstance(priority, int) or isinstance(priority, bool) or priority not in _PRIORITIES:
        raise ConfigError(f"priority: must be a whole number of at most 32 bits, not {priority!r}")
