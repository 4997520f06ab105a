"""A handler: the function that runs jobs of one kind, and how such jobs are enqueued."""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial, update_wrapper
from types import EllipsisType
from typing import Any, Final, Generic, ParamSpec, TypedDict, TypeVar, Unpack

from jobsim.core.backoff import Backoff
from jobsim.core.errors import ConfigError, PayloadError
from jobsim.core.job import DEFAULT_QUEUE, JobId
from jobsim.core.policy import RetryPolicy, check_max_attempts
from jobsim.core.time import Duration, DurationLike, Instant, duration, instant
from jobsim.live.payload import Arguments
from jobsim.policies import named

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)

RESERVED: Final = frozenset(
    {"connection", "delay", "max_attempts", "priority", "queue", "run_at", "unique_key"}
)
"""What `enqueue` takes for itself, now or soon; no handler's parameter may be called so."""

NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_KIND: Final = re.compile(r"\w[\w.:/-]{0,127}")
_PRIORITIES: Final = range(-(2**31), 2**31)

RetryLike = RetryPolicy | Backoff | str

Limit = int | EllipsisType | None
"""A number of attempts, `None` for no limit, `...` for what is said elsewhere."""


class Options(TypedDict, total=False):
    """What `Placement` takes, for signatures that pass it on."""

    delay: DurationLike | None
    run_at: datetime | None
    priority: int | None
    queue: str | None
    max_attempts: Limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where and when a job is to run; `None` and `...` leave it to the kind's own settings.

    Raises:
        ConfigError: a value cannot be used, or two contradict each other.
    """

    delay: DurationLike | None = None
    run_at: datetime | None = None
    priority: int | None = None
    queue: str | None = None
    max_attempts: Limit = ...

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

    def start(self, now: Instant) -> Instant:
        """Return when the job may start, if it is enqueued `now`."""
        if self.run_at is not None:
            return instant(self.run_at)
        return now if self.delay is None else Instant(now + duration(self.delay))


Accept = Callable[[str, Sequence[str], Placement], list[JobId]]
"""Enqueues a job of a kind for each of its payloads, all or none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How jobs of one kind are run. `timeout` is for one attempt; `keep_result` stores what it returns.

    Raises:
        ConfigError: a value cannot be used.
    """

    policy: RetryPolicy
    timeout: DurationLike | None = None
    queue: str = DEFAULT_QUEUE
    priority: int = 0
    keep_result: bool = False

    def __post_init__(self) -> None:
        if self.timeout is not None:
            object.__setattr__(self, "timeout", duration(self.timeout, "timeout"))
            if not self.timeout:
                raise ConfigError("timeout: must be longer than 0s; None for no limit")
        check_queue(self.queue)
        check_priority(self.priority)

    @property
    def limit(self) -> Duration | None:
        """How long one attempt may take."""
        return None if self.timeout is None else duration(self.timeout)


class Handler(Generic[P, R_co]):
    """A function that a queue's workers run; calling it runs it here and now, as if it were undecorated.

    Raises:
        ConfigError: `fn` cannot be a handler.
    """

    def __init__(self, accept: Accept, kind: str, fn: Callable[P, R_co], terms: Terms) -> None:
        _check_function(kind, fn)
        check_kind(kind)
        self._accept = accept
        self.kind = kind
        self.fn = fn
        self.terms = terms
        self.is_async = _is_async(fn)
        self.arguments = Arguments(kind, fn)
        for name in self.arguments.names:
            if name in RESERVED:
                raise ConfigError(f"{kind}: enqueue has an option {name!r} of its own; rename the parameter")
        update_wrapper(self, fn)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        return self.fn(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<handler of {self.kind!r}: {self.home}>"

    @property
    def home(self) -> str:
        """Where the function is defined."""
        return f"{getattr(self.fn, '__module__', '?')}.{getattr(self.fn, '__qualname__', repr(self.fn))}"

    def enqueue(
        self,
        *args: Any,
        delay: DurationLike | None = None,
        run_at: datetime | None = None,
        priority: int | None = None,
        queue: str | None = None,
        max_attempts: Limit = ...,
        **named: Any,
    ) -> JobId:
        """Put one call of the function on the queue, durably, and return the job's id.

        The job starts no sooner than `delay` from now, or than `run_at`. Of the jobs that are due, those
        of the highest `priority` start first.

        Raises:
            PayloadError: the function cannot be called like that, or an argument cannot be stored as JSON.
            ConfigError: an option cannot be used.
            StorageError: the store could not take it.
        """
        placement = Placement(
            delay=delay, run_at=run_at, priority=priority, queue=queue, max_attempts=max_attempts
        )
        payload = self.arguments.encode(self.arguments.bind(args, named))
        return self._accept(self.kind, [payload], placement)[0]

    def enqueue_many(self, calls: Iterable[Mapping[str, Any]], **options: Unpack[Options]) -> list[JobId]:
        """Put a job on the queue for each of `calls`, arguments by name: all in one commit, or none.

        The options are those of `enqueue`, for all of them.

        Raises:
            PayloadError: one of the calls cannot be stored; the message says which.
            ConfigError: an option cannot be used.
            StorageError: the store could not take them.
        """
        placement = Placement(**options)
        payloads = encoded(calls, lambda call: self.arguments.encode(self.arguments.bind((), call)))
        return self._accept(self.kind, payloads, placement)


def encoded(calls: Iterable[Mapping[str, Any]], encode: Callable[[Mapping[str, Any]], str]) -> list[str]:
    """Return the payloads of `calls`.

    Raises:
        PayloadError: of the first that has none, with its place where there are several.
    """
    if isinstance(calls, Mapping):
        raise PayloadError(
            "the calls must be several mappings of arguments by name, not one; put it in a list"
        )
    calls = list(calls)
    payloads = []
    for number, call in enumerate(calls):
        place = f"call {number}: " if len(calls) > 1 else ""
        if not isinstance(call, Mapping):
            raise PayloadError(f"{place}must be a mapping of arguments by name, not {call!r}")
        try:
            payloads.append(encode(call))
        except PayloadError as error:
            raise PayloadError(f"{place}{error}") from None
    return payloads


def policy_of(retry: RetryLike | None, max_attempts: Limit) -> RetryPolicy:
    """Return the policy that `retry` means, with `max_attempts` in place of its own where given.

    Raises:
        ConfigError: `retry` is neither a policy, a backoff nor a preset's name.
    """
    match retry:
        case None:
            policy = RetryPolicy()
        case RetryPolicy():
            policy = retry
        case str():
            policy = named(retry)
        case type():
            raise ConfigError(f"retry: {retry.__name__} is a class; write {retry.__name__}(...)")
        case Backoff():
            policy = RetryPolicy(retry)
        case _:
            raise ConfigError(
                f"retry: {retry!r} is no policy; give a RetryPolicy, a backoff such as "
                "jobsim.Exponential(base='1s'), or the name of a preset"
            )
    return policy if max_attempts is ... else replace(policy, max_attempts=max_attempts)


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


def _check_function(kind: str, fn: object) -> None:
    if not callable(fn) or isinstance(fn, (type, staticmethod, classmethod)):
        raise ConfigError(f"{kind}: a handler must be a function, not {fn!r}")
    if inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
        raise ConfigError(f"{kind}: a handler must return, but this one is a generator: it has a yield")


def _is_async(fn: Callable[..., Any]) -> bool:
    while isinstance(fn, partial):
        fn = fn.func
    return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(type(fn).__call__)
