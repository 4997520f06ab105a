"""The face of a live queue: handlers are declared on it, jobs go in, workers run them."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, ParamSpec, Self, TypeVar, Unpack, cast, overload

from jobsim.core.errors import ConfigError, NotFound
from jobsim.core.job import DEFAULT_QUEUE, Conflict, Job, JobId
from jobsim.core.limits import Limit
from jobsim.core.policy import RetryPolicy
from jobsim.core.time import DurationLike
from jobsim.live.acceptance import accept
from jobsim.live.calls import Call, call_of, calls_of, in_batches
from jobsim.live.handler import Handler
from jobsim.live.keys import KeyLike
from jobsim.live.lifecycle import log_lives
from jobsim.live.limits import declared, queue_limits
from jobsim.live.payload import SIZE_LIMIT, check_size_limit, encode
from jobsim.live.periodic import CATCH_UP, Periodic, check_kept, periodic, ticks_of
from jobsim.live.placement import Attempts, Options, Placement, check_kind, check_queue
from jobsim.live.stores import Address, Presence
from jobsim.live.telemetry import Subscriber
from jobsim.live.terms import Settings, Terms
from jobsim.live.worker import LiveWorker, WorkerOptions, checked_concurrency
from jobsim.storage.base import Storage
from jobsim.worker.settings import WorkerSettings, retained

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from jobsim.live.rehearsal import Rehearsal

P = ParamSpec("P")
R = TypeVar("R")

_UNKNOWN: Final = Terms(policy=RetryPolicy())
"""How jobs of a kind are run for which there is no handler here."""


class Queue:
    """A queue of jobs on the store that `url` names; `storage` may be given as it is instead.

    Making one touches nothing: the store is opened when it is first needed. It may be used from several
    threads, and after a fork, where the child opens the store anew.

    `limits` are those of queues, by their names; its workers put them in force. Arguments and results may
    have up to `payload_limit` bytes each, as JSON. `retention` says by the names of final states how long
    after their end jobs are kept, such as ``{"succeeded": "7d"}``: its workers remove them then, and nothing
    else is ever removed.

    Raises:
        ConfigError: `url` is not the URL of a store, or a setting cannot be used.
    """

    def __init__(
        self,
        url: str | Storage,
        *,
        limits: Mapping[str, Limit] | None = None,
        payload_limit: int = SIZE_LIMIT,
        retention: Mapping[str, DurationLike] | None = None,
    ) -> None:
        check_size_limit(payload_limit)
        self.handlers: dict[str, Handler[..., Any]] = {}
        self.schedules: dict[str, Periodic] = {}
        self.limits = queue_limits(limits or {})
        self.retention = retained(retention or {})
        self.payload_limit = payload_limit
        self.where = Address.of(url) if isinstance(url, str) or not hasattr(url, "enqueue") else url
        self._subscribers: list[Subscriber] = []
        self._presences = {os.getpid(): Presence(self.where)}

    def __repr__(self) -> str:
        where = str(self.where) if isinstance(self.where, Address) else self.where
        return f"Queue({where!r})"

    @property
    def storage(self) -> Storage:
        """The store, opened if it is not yet.

        Raises:
            StorageError: it cannot be opened, or was closed.
        """
        return self._here.open()

    @property
    def _here(self) -> Presence:
        pid = os.getpid()
        here = self._presences.get(pid)
        if here is None:
            # The parent's is kept: dropping it might close, in this process, what the parent has open.
            here = self._presences.setdefault(pid, Presence(self.where, forked=True))
            for subscriber in self._subscribers:
                here.telemetry.add(subscriber)
        return here

    def close(self) -> None:
        """Stop the workers of this process at once, and let go of the store, for good."""
        self._here.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

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
        return _UNKNOWN if handler is None else handler.terms

    def enqueue(  # noqa: PLR0913  # each is an option of its own
        self,
        kind: str,
        /,
        *,
        delay: DurationLike | None = None,
        run_at: datetime | None = None,
        priority: int | None = None,
        queue: str | None = None,
        max_attempts: Attempts = ...,
        unique_key: KeyLike | None = None,
        on_conflict: Conflict | str | None = None,
        limit_key: KeyLike | None = None,
        connection: Any = None,
        **arguments: Any,
    ) -> JobId:
        """Put a job on the queue by the name of its kind, for processes that do not have the handler.

        The options are those of a handler's `enqueue`. Where this process has the handler, the arguments are
        checked as that does.

        Raises:
            PayloadError: the arguments do not fit the handler, or cannot be stored as JSON.
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
        return self._accept(kind, [self._call(kind, arguments, placement)], placement)[0]

    def enqueue_many(
        self,
        kind: str,
        calls: Iterable[Mapping[str, Any]],
        /,
        *,
        batch: int | None = None,
        **options: Unpack[Options],
    ) -> list[JobId]:
        """Put a job on the queue for each of `calls`, arguments by name, as a handler's `enqueue_many` does.

        Raises:
            PayloadError: one of the calls cannot be stored; the message says which.
            ConfigError: an option cannot be used.
            KeyTaken: a unique key is, and `on_conflict` is "raise".
            StorageError: the store could not take them.
        """
        placement = Placement.of(options)
        read = calls_of(calls, lambda call: self._call(kind, call, placement))
        return self._accept(kind, read, placement, batch)

    def _call(self, kind: str, arguments: Mapping[str, Any], placement: Placement) -> Call:
        check_kind(kind)
        handler = self.handlers.get(kind)
        if handler is not None:
            return handler.call(handler.arguments.bind((), arguments), placement)
        payload = encode(dict(arguments), kind, self.payload_limit)
        return call_of(payload, lambda: arguments, placement, _UNKNOWN)

    def _accept(
        self, kind: str, calls: Iterable[Call], placement: Placement, batch: int | None = None
    ) -> list[JobId]:
        terms, here = self._terms(kind), self._here

        def take(some: Sequence[Call]) -> list[JobId]:
            return accept(here, kind, some, placement, terms)

        return take(list(calls)) if batch is None else in_batches(calls, batch, take)

    def subscribe(self, subscriber: Subscriber) -> None:
        """Have `subscriber` called with each event of `jobsim.live.telemetry`: what this process enqueues,
        and what its workers do that start from now on.

        It is called in a thread of its own, with one event after the other. Where it raises, that is logged
        once; where it is too slow, it misses events: neither harms anybody else.
        """
        self._subscribers.append(subscriber)
        self._here.telemetry.add(subscriber)

    def export_metrics(self, registry: "CollectorRegistry") -> None:
        """Register Prometheus metrics with `registry`: what this process does, and how the store stands.

        The store is looked at for each scrape; `jobsim worker --metrics` serves them. It needs the extra
        ``metrics``.

        Raises:
            ImportError: prometheus-client is not installed.
        """
        from jobsim.live.prometheus import PrometheusMetrics

        here = self._here
        self.subscribe(PrometheusMetrics(registry, here.beside, here.telemetry))

    def get(self, job: JobId | str) -> Job:
        """Return a job as it stands, by its id or the text of it.

        Raises:
            NotFound: there is none of that id.
            ConfigError: the text is not an id.
        """
        found = self.storage.get(job if isinstance(job, JobId) else JobId.parse(str(job)))
        if found is None:
            raise NotFound(f"there is no job {job} in this queue")
        return found

    @contextmanager
    def testing(self, *, inline: bool = False) -> Iterator["Rehearsal"]:
        """Rehearse the queue in a test: nothing is stored but in memory, and the test moves the clock.

        With `inline` a job runs as it is enqueued, if it is due. What is enqueued with a `connection` is
        there at once. Not for a process that has a worker of this queue.
        """
        from jobsim.live.rehearsal import Clocked, Rehearsal  # late: it loads SimPy

        here = Clocked()
        rehearsal = Rehearsal(here, self, inline=inline)
        here.workers = (rehearsal,)
        pid = os.getpid()
        before, self._presences[pid] = self._here, here
        try:
            yield rehearsal
        finally:
            self._presences[pid] = before

    def worker(
        self,
        *,
        concurrency: int = 8,
        queues: Sequence[str] | None = None,
        lease: DurationLike = "60s",
        poll: DurationLike = "1s",
        shutdown_timeout: DurationLike = "30s",
        burst: bool = False,
    ) -> LiveWorker:
        """Return a worker for this queue's jobs; `run` it, or `start` it in the background.

        It runs `concurrency` handlers at a time, of jobs on `queues`: "default" and those that handlers are
        declared for, unless given. A dead worker's jobs come back after `lease`. Jobs that another process
        enqueues wake it (SQLite: on Linux); it looks every `poll` for what it was not told of. Told to stop,
        it lets handlers run on for `shutdown_timeout`. With `burst` it stops by itself once no job may start
        and none runs. Starting, it puts the limits of its kinds and queues in force.

        Raises:
            ConfigError: a setting cannot be used, an annotation cannot be read, or there is no handler.
            StorageError: the store cannot be opened.
        """
        if not self.handlers:
            raise ConfigError("this queue has no handlers; import the modules that declare them first")
        for handler in self.handlers.values():
            handler.arguments.check()
        if queues is None:
            queues = sorted({DEFAULT_QUEUE, *(handler.terms.queue for handler in self.handlers.values())})
        settings = WorkerSettings(
            slots=checked_concurrency(concurrency),
            queues=cast("tuple[str, ...]", queues),
            lease=lease,
            poll=poll,
            shutdown_timeout=shutdown_timeout,
            burst=burst,
            retention=self.retention,
            schedules=tuple(self.schedules.values()),
        )
        check_kept(self.schedules.values(), self.retention)
        for name in settings.queues:
            check_queue(name)
        limits, here = declared(self.handlers, self.limits, settings.queues), self._here
        log_lives(here.telemetry)
        worker = LiveWorker(
            self.storage, self.handlers, self.policy, settings, here.clock, limits, here.telemetry
        )
        here.enlist(worker)
        return worker

    def run_worker(self, **settings: Unpack[WorkerOptions]) -> None:
        """Run a worker until it is stopped, by SIGTERM, SIGINT or `stop_worker`; settings as of `worker`.

        The first signal lets running handlers end, the second gives their jobs back at once. Where this is
        not the main thread, signals are left alone.

        Raises:
            ConfigError: a setting cannot be used, an annotation cannot be read, or there is no handler.
            StorageError: the store cannot be opened, or failed for longer than a worker waits.
        """
        self.worker(**settings).run()

    def stop_worker(self, *, at_once: bool = False) -> None:
        """Tell the workers of this process to stop, from any thread; do not wait for them."""
        for worker in list(self._here.workers):
            worker.stop(at_once=at_once)
