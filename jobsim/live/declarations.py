"""What a queue declares: the handlers of its kinds of job, its schedules, limits and retention."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, ParamSpec, TypeVar, Unpack, overload

from jobsim.core.errors import ConfigError
from jobsim.core.job import JobId
from jobsim.core.limits import Limit
from jobsim.core.policy import RetryPolicy
from jobsim.core.time import DurationLike
from jobsim.live.calls import Call
from jobsim.live.handler import Handler
from jobsim.live.limits import queue_limits
from jobsim.live.payload import check_size_limit
from jobsim.live.periodic import CATCH_UP, Periodic, periodic, ticks_of
from jobsim.live.placement import Options, Placement
from jobsim.live.terms import Settings, Terms
from jobsim.worker.settings import retained

P = ParamSpec("P")
R = TypeVar("R")

UNKNOWN: Final = Terms(policy=RetryPolicy())
"""How jobs of a kind are run for which there is no handler here."""


class Declarations(ABC):
    """Handlers, schedules, limits and retention, as they are declared; a queue puts them to use.

    Raises:
        ConfigError: a setting cannot be used.
    """

    def __init__(
        self, limits: Mapping[str, Limit], payload_limit: int, retention: Mapping[str, DurationLike]
    ) -> None:
        check_size_limit(payload_limit)
        self.handlers: dict[str, Handler[..., Any]] = {}
        self.schedules: dict[str, Periodic] = {}
        self.limits = queue_limits(limits)
        self.retention = retained(retention)
        self.payload_limit = payload_limit

    @abstractmethod
    def _accept(
        self, kind: str, calls: Iterable[Call], placement: Placement, batch: int | None = None
    ) -> list[JobId]:
        """Enqueue jobs of a kind; see `Handler`."""

    @overload
    def job(self, fn: Callable[P, R], /) -> Handler[P, R]: ...

    @overload
    def job(
        self, fn: None = None, /, *, name: str | None = None, **settings: Unpack[Settings]
    ) -> Callable[[Callable[P, R]], Handler[P, R]]: ...

    def job(
        self, fn: Callable[P, R] | None = None, /, *, name: str | None = None, **settings: Unpack[Settings]
    ) -> Handler[P, R] | Callable[[Callable[P, R]], Handler[P, R]]:
        """Declare a function, sync or async, as the handler of a kind of job: its own name, or `name`.

        `retry` is a policy, a backoff, or the name of a preset. Before the policy's own go `retry_on`,
        `dead_letter_on`, and `max_attempts`, which counts runs and is fixed for a job when it is enqueued.

        An attempt that takes longer than `timeout` fails: an async handler is cancelled; a sync one cannot
        be, and takes up its slot until it returns. With ``isolation="process"`` the handler, which must be
        defined at the top of a module, runs in a process of its own, whose start is not counted: that is
        killed when time is up, with what it has started, and its crash costs this attempt and nothing else.
        A parameter annotated `JobContext` is given the attempt. What the function returns is dropped unless
        `keep_result` has it stored, as JSON.

        `unique_key`, with `on_conflict`, and `limit_key` are as those of `enqueue`, for every job: a text, or
        a function of those arguments that it names. `limit` holds for all jobs of the kind together, across
        processes, from when a worker that has it starts; so do `budget`, from which retries are paid, and
        `breaker`, which stops what fails too often: objects, or names of presets in `jobsim.budgets`.

        Raises:
            ConfigError: the function cannot be a handler, a setting cannot be used, or the kind is taken.
        """
        terms = Terms.of(settings, self.payload_limit)

        def declare(fn: Callable[P, R]) -> Handler[P, R]:
            kind = getattr(fn, "__name__", repr(fn)) if name is None else name
            handler = Handler(self._accept, kind, fn, terms)
            self._add(handler)
            return handler

        return declare if fn is None else declare(fn)

    def periodic(
        self,
        cron: str | None = None,
        *,
        every: DurationLike | None = None,
        tz: str = "UTC",
        name: str | None = None,
        arguments: Mapping[str, Any] | None = None,
        tick_as: str | None = None,
        catch_up: DurationLike = CATCH_UP,
        **options: Unpack[Options],
    ) -> Callable[[Handler[P, R]], Handler[P, R]]:
        """Have a handler's job enqueued at each tick of a `cron` expression in the zone `tz`, or of `every`.

        All workers of the queue see to it, and each tick is enqueued once, though the clock be set forward
        or back. Ticks of the last `catch_up` are made up for when a worker starts or the clock leaps. The
        handler is called with `arguments`, and with the tick's time as the argument `tick_as`. One with
        several schedules gives each a `name`. The options are those of `enqueue`; a `unique_key` leaves a
        tick out while the job of the one before is not final, unless `on_conflict` is "replace".

        Raises:
            ConfigError: a setting cannot be used, or the name is taken.
        """
        ticks, placement = ticks_of(cron, every, tz), Placement.of(options)

        def declare(handler: Handler[P, R]) -> Handler[P, R]:
            schedule = periodic(handler, ticks, arguments or {}, tick_as, placement, catch_up, name)
            if self.schedules.setdefault(schedule.name, schedule) is not schedule:
                raise ConfigError(f"{schedule.name!r} is a schedule already; give this one another name=")
            return handler

        return declare

    def _add(self, handler: Handler[..., Any]) -> None:
        other = self.handlers.get(handler.kind)
        # The same function again is a notebook's cell, run again.
        if other is not None and other.home != handler.home:
            raise ConfigError(
                f"{handler.kind!r} is the kind of {other.home} already; give {handler.home} another name="
            )
        self.handlers[handler.kind] = handler

    def policy(self, kind: str) -> RetryPolicy:
        """Return the retry policy of `kind`: the default one where there is no handler."""
        return self._terms(kind).policy

    def _terms(self, kind: str) -> Terms:
        handler = self.handlers.get(kind)
        return UNKNOWN if handler is None else handler.terms
