"""The face of a live queue: handlers are declared on it, jobs go in, workers run them."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self, Unpack, cast

from jobsim.core.checks import check_count
from jobsim.core.errors import ConfigError, NotFound
from jobsim.core.job import DEFAULT_QUEUE, Conflict, Job, JobId
from jobsim.core.limits import Limit
from jobsim.core.time import DurationLike, duration
from jobsim.live.acceptance import accept
from jobsim.live.calls import Call, call_of, calls_of, in_batches
from jobsim.live.declarations import UNKNOWN, Declarations
from jobsim.live.keys import KeyLike
from jobsim.live.lifecycle import log_lives
from jobsim.live.limits import declared
from jobsim.live.observable import Observable
from jobsim.live.payload import SIZE_LIMIT, encode
from jobsim.live.periodic import check_jobs, check_kept
from jobsim.live.placement import Attempts, Options, Placement, check_kind, check_queue
from jobsim.live.stores import Address, Presence
from jobsim.live.waiting import reach
from jobsim.live.worker import LiveWorker, WorkerOptions
from jobsim.storage.base import Storage
from jobsim.worker.settings import WorkerSettings

if TYPE_CHECKING:
    from jobsim.live.rehearsal import Rehearsal


class Queue(Declarations, Observable):
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
        Declarations.__init__(self, limits or {}, payload_limit, retention or {})
        Observable.__init__(self)
        self.where = Address.of(url) if isinstance(url, str) or not hasattr(url, "enqueue") else url
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
        return call_of(payload, lambda: arguments, placement, UNKNOWN)

    def _accept(
        self, kind: str, calls: Iterable[Call], placement: Placement, batch: int | None = None
    ) -> list[JobId]:
        terms, here = self._terms(kind), self._here

        def take(some: Sequence[Call]) -> list[JobId]:
            return accept(here, kind, some, placement, terms, self._tracer)

        return take(list(calls)) if batch is None else in_batches(calls, batch, take)

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
        from jobsim.live.inline import Clocked  # late: they load SimPy
        from jobsim.live.rehearsal import Rehearsal

        here = Clocked()
        rehearsal = Rehearsal(here, self, inline=inline, tracer=self._tracer)
        here.workers = (rehearsal,)
        if self._tracer is not None:
            here.telemetry.add(self._tracer)
        with closing(here.telemetry), self.rehearsed(here):
            yield rehearsal

    @contextmanager
    def rehearsed(self, here: Presence) -> Iterator[None]:
        """Have `here` for all that this process has of the queue, for a while: for `jobsim.testing`."""
        pid = os.getpid()
        before, self._presences[pid] = self._here, here
        try:
            yield
        finally:
            self._presences[pid] = before

    def wait_for_database(self, within: DurationLike = "1m") -> None:
        """Open the store; where its server does not answer yet, try again and again, and log that.

        Raises:
            StorageError: it does not answer `within` that time, or cannot be used.
        """
        reach(lambda: self.storage, duration(within, "within"))

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
            PayloadError: the arguments of a schedule do not fit its handler.
            StorageError: the store cannot be opened.
        """
        check_count(concurrency, "concurrency")
        if not self.handlers:
            raise ConfigError("this queue has no handlers; import the modules that declare them first")
        for handler in self.handlers.values():
            handler.arguments.check()
        if queues is None:
            queues = sorted({DEFAULT_QUEUE, *(handler.terms.queue for handler in self.handlers.values())})
        settings = WorkerSettings(
            slots=concurrency,
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
        check_jobs(self.schedules.values(), here.now())
        log_lives(here.telemetry)
        worker = LiveWorker(
            self.storage,
            self.handlers,
            self.policy,
            settings,
            here.clock,
            limits,
            here.telemetry,
            self._tracer,
        )
        here.enlist(worker)
        return worker

    def run_worker(self, **settings: Unpack[WorkerOptions]) -> None:
        """Run a worker until it is stopped, by SIGTERM, SIGINT or `stop_worker`; settings as of `worker`.

        The first signal lets running handlers end, the second gives their jobs back at once. Where this is
        not the main thread, signals are left alone.

        Raises:
            ConfigError: a setting cannot be used, an annotation cannot be read, or there is no handler.
            PayloadError: the arguments of a schedule do not fit its handler.
            StorageError: the store cannot be opened, or failed for longer than a worker waits.
        """
        self.worker(**settings).run()

    def stop_worker(self, *, at_once: bool = False) -> None:
        """Tell the workers of this process to stop, from any thread; do not wait for them."""
        for worker in list(self._here.workers):
            worker.stop(at_once=at_once)
