"""A handler: the function that runs jobs of one kind, and how such jobs are enqueued."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial, update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar, Unpack

from jobsim.core.errors import ConfigError
from jobsim.core.job import Conflict, JobId
from jobsim.core.time import DurationLike
from jobsim.live.calls import Call, call_of, calls_of
from jobsim.live.keys import Key, KeyLike
from jobsim.live.payload import Arguments
from jobsim.live.placement import RESERVED, Attempts, Options, Placement, check_kind
from jobsim.live.processes import origin_of
from jobsim.live.terms import Isolation, Terms

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)

Accept = Callable[[str, Iterable[Call], Placement, int | None], list[JobId]]
"""Enqueues a job of a kind for each of its calls: all or none, or batches of the number given."""


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
        self.origin = origin_of(fn, kind) if terms.isolation is Isolation.PROCESS else None
        self.arguments = Arguments(kind, fn)
        for name in self.arguments.names:
            if name in RESERVED:
                raise ConfigError(f"{kind}: enqueue has an option {name!r} of its own; rename the parameter")
        for key in (terms.unique_key, terms.limit_key):
            if isinstance(key, Key):
                key.check(self.arguments.names)
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
        max_attempts: Attempts = ...,
        unique_key: KeyLike | None = None,
        on_conflict: Conflict | str | None = None,
        limit_key: KeyLike | None = None,
        connection: Any = None,
        **named: Any,
    ) -> JobId:
        """Put one call of the function on the queue, durably, and return the job's id.

        The job starts no sooner than `delay` from now, or than `run_at`. Of the jobs that are due, those
        of the highest `priority` start first.

        Of all jobs that are not final, of whatever kind, one holds a `unique_key`. Where it is held,
        `on_conflict` "skip" (the default) returns the holder's id, "replace" cancels the holder or, if it
        runs, its retries, and "raise" raises. `limit_key` is what `Limit.running_per_key` counts by. Keys
        have 1 to 255 characters, or are functions of the arguments.

        With the `connection` of a psycopg, apsw or sqlite3 transaction on the queue's own database, the job
        is there once that commits, and never if it does not.

        Raises:
            PayloadError: the function cannot be called like that, or an argument cannot be stored as JSON.
            ConfigError: an option cannot be used.
            KeyTaken: the unique key is, and `on_conflict` is "raise".
            StorageError: the store could not take it.
        """
        placement = Placement(
            delay=delay,
            run_at=run_at,
            priority=priority,
            queue=queue,
            max_attempts=max_attempts,
            unique_key=unique_key,
            on_conflict=on_conflict,
            limit_key=limit_key,
            connection=connection,
        )
        call = self.call(self.arguments.bind(args, named, RESERVED), placement)
        return self._accept(self.kind, [call], placement, None)[0]

    def enqueue_many(
        self, calls: Iterable[Mapping[str, Any]], *, batch: int | None = None, **options: Unpack[Options]
    ) -> list[JobId]:
        """Put a job on the queue for each of `calls`, arguments by name: all in one commit, or none.

        With `batch` it takes as many at a time from `calls`, and commits them before it takes more; on an
        error, those committed stay, and the error says how many. The options are those of `enqueue`, for
        all of them: a key that is to differ is a function of the arguments.

        Raises:
            PayloadError: one of the calls cannot be stored; the message says which.
            ConfigError: an option cannot be used.
            KeyTaken: a unique key is, and `on_conflict` is "raise".
            StorageError: the store could not take them.
        """
        placement = Placement.of(options)

        def read(call: Mapping[str, Any]) -> Call:
            return self.call(self.arguments.bind((), call), placement)

        return self._accept(self.kind, calls_of(calls, read), placement, batch)

    def call(self, arguments: Mapping[str, Any], placement: Placement) -> Call:
        """Return what is stored of a call with `arguments`.

        Raises:
            PayloadError: they do not fit the annotations, or cannot be stored as JSON.
            ConfigError: a key cannot be used.
        """
        payload = self.arguments.encode(arguments, self.terms.payload_limit)
        return call_of(payload, partial(self.arguments.complete, payload), placement, self.terms)


def _check_function(kind: str, fn: object) -> None:
    if not callable(fn) or isinstance(fn, (type, staticmethod, classmethod)):
        raise ConfigError(f"{kind}: a handler must be a function, not {fn!r}")
    if inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
        raise ConfigError(f"{kind}: a handler must return, but this one is a generator: it has a yield")


def _is_async(fn: Callable[..., Any]) -> bool:
    while isinstance(fn, partial):
        fn = fn.func
    return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(type(fn).__call__)
