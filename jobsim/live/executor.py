"""The live executor: runs users' handlers apart from the engine, so that none can hold it up."""

import asyncio
import logging
import os
from collections import Counter, deque
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final

from jobsim.core.job import Lease
from jobsim.core.outcome import Lost, Outcome, Released, Succeeded, TimedOut
from jobsim.core.time import SECOND, Duration, Instant
from jobsim.live.context import JobContext
from jobsim.live.handler import Handler
from jobsim.live.outcomes import raised, run_async, run_sync, unknown
from jobsim.live.processes import Children
from jobsim.live.terms import Terms
from jobsim.live.threads import GRACE_S, HandlerThreads, LoopThread
from jobsim.live.tracing import Tracer, traced, traced_async
from jobsim.live.wire import Origin, Request
from jobsim.runtime.live import LiveRuntime

PATIENCE: Final = Duration(10 * SECOND)
"""How long an attempt waits for a handler that overran its time before it is given back."""

STARTING: Final = Duration(60 * SECOND)
"""How long a process may take to start and to import a handler, beside the handler's own time."""

_LOST: Final = Lost()
_RELEASED: Final = Released()

_log: Final = logging.getLogger("jobsim.worker")

Handlers = Mapping[str, Handler[..., Any]]


class HandlerExecutor:
    """Runs at most `slots` handlers at a time, none of them on the loop or in the threads of the engine.

    A sync handler that overruns its time cannot be stopped: its attempt ends, but it counts as one of
    the `slots` until it returns. `tally` counts how attempts ended.
    """

    def __init__(
        self, runtime: LiveRuntime, handlers: Handlers, slots: int, tracer: Tracer | None = None
    ) -> None:
        self.tally: Counter[type[Outcome]] = Counter()
        self.tracer = tracer
        self._runtime = runtime
        self._loop = asyncio.get_running_loop()
        self._handlers = handlers
        self._free = self._slots = slots
        self._vacancy = runtime.signal()
        self._runs: dict[tuple[int, int], _Run] = {}
        self._reports: deque[tuple[_Run, Outcome]] = deque()
        self._heard = True
        self._pid = os.getpid()
        self._threads = HandlerThreads()
        self.children = Children()
        self._loop_thread: LoopThread | None = None

    async def execute(self, lease: Lease) -> Outcome:
        """Run the handler of the lease's kind, and return how that ended."""
        outcome: Outcome = _RELEASED
        try:
            handler = self._handlers.get(lease.kind)
            if handler is None:
                outcome = unknown(lease, self._handlers)
            elif self._free or await self._vacant(lease):
                outcome = await self._run(handler, lease)
        finally:
            self.tally[type(outcome)] += 1
        return outcome

    def abandon(self, lease: Lease) -> None:
        """Cancel an async handler; kill one in a process; tell a sync one, if it looks."""
        run = self._runs.get((lease.key, lease.token))
        if run is not None:
            run.give_up(_LOST)

    def close(self) -> None:
        """Cancel the async handlers that are left, kill the processes, and let go of all threads."""
        self._threads.close()
        self.children.close()
        if self._loop_thread is not None:
            self._loop_thread.close()

    async def _vacant(self, lease: Lease) -> bool:
        """Wait for one of the handlers that overran their time to end; `False` when that takes too long."""
        while not self._free:
            if not await self._runtime.wait(self._vacancy, PATIENCE):
                context = JobContext(lease)
                _log.warning(
                    "%s is given back: handlers that overran their time take up all %d slots",
                    context,
                    self._slots,
                    extra=context.about,
                )
                return False
        return True

    async def _run(self, handler: Handler[..., Any], lease: Lease) -> Outcome:
        run = _Run(self, self._loop, handler, lease, self._runtime.now())
        try:
            self._start(run)
        except RuntimeError as error:  # the system gives no more threads
            return raised(error, run.context)
        run.limit_time(starting=handler.origin is not None)
        self._free -= 1
        self._runs[lease.key, lease.token] = run
        try:
            return await run.outcome
        except asyncio.CancelledError:
            run.give_up(_RELEASED)
            raise
        finally:
            del self._runs[lease.key, lease.token]

    def _start(self, run: "_Run") -> None:
        if run.in_thread:
            self._threads.start(run.work)
            return
        if self._loop_thread is None:
            self._loop_thread = LoopThread()
        run.start_on(self._loop_thread)

    def report(self, run: "_Run", outcome: Outcome) -> None:
        """Say, from any thread, how a handler ended; one call of the engine serves all that come soon."""
        if self._pid != os.getpid():  # a fork that a handler made, and that came to the handler's end
            os._exit(os.EX_OK if isinstance(outcome, Succeeded) else os.EX_SOFTWARE)
        self._reports.append((run, outcome))
        if self._heard:
            self._heard = False
            with suppress(RuntimeError):  # the loop is closed: it waits for nobody any more
                self._loop.call_soon_threadsafe(self._hear)

    def _hear(self) -> None:
        self._heard = True  # first: what is reported from here on calls again
        reports = self._reports
        while reports:
            run, outcome = reports.popleft()
            run.end(outcome)

    @property
    def busy(self) -> int:
        """How many handlers are at work, wanted or not."""
        return self._slots - self._free

    def ended(self, run: "_Run") -> None:
        """Take note that a handler has returned, wanted or not."""
        self._free += 1
        if run.in_thread:
            self._threads.ended()
        self._vacancy.ring()


class _Run:
    """One handler at work; all but `work` and the task belongs to the engine's thread."""

    __slots__ = (
        "_ended",
        "_ends",
        "_executor",
        "_lease",
        "_loop",
        "_task",
        "_thread",
        "_timer",
        "_verdict",
        "context",
        "handler",
        "in_thread",
        "outcome",
    )

    def __init__(
        self,
        executor: HandlerExecutor,
        loop: asyncio.AbstractEventLoop,
        handler: Handler[..., Any],
        lease: Lease,
        now: Instant,
    ) -> None:
        limit = handler.terms.time_limit
        self._ends = None if limit is None else Instant(now + limit)
        self.context = JobContext(lease, self._ends)
        self.handler = handler
        self.in_thread = handler.origin is not None or not handler.is_async
        self.outcome: asyncio.Future[Outcome] = loop.create_future()
        self._executor = executor
        self._loop = loop
        self._lease = lease
        self._ended = False
        self._verdict: Outcome | None = None
        self._thread: LoopThread | None = None
        self._task: asyncio.Task[Outcome] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def limit_time(self, *, starting: bool = False) -> None:
        """Let it end when its time is up, if that is limited; that runs anew once a process has started."""
        limit = self.handler.terms.time_limit
        if limit is None or self._ended or self._verdict is not None:
            return
        if self._timer is not None:
            self._timer.cancel()
        time = limit + STARTING if starting else limit
        self._timer = self._loop.call_later(time / SECOND, self._time_is_up, limit)

    def _begun(self) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self.limit_time)

    def work(self) -> None:
        """Run the handler, or wait for the process that does, in the thread that calls this."""
        self._executor.report(self, traced(self._executor.tracer, self._lease, self._work))

    def _work(self, lease: Lease) -> Outcome:
        if self.handler.origin is None:
            return run_sync(self.handler, self.context, lease.payload)
        return self._apart(self.handler.origin, self.handler.terms, lease)

    def _apart(self, origin: Origin, terms: Terms, lease: Lease) -> Outcome:
        request = Request(origin, lease, self._ends, terms.keep_result, terms.payload_limit)
        return self._executor.children.attempt(request, self.context, self._begun)

    def start_on(self, thread: LoopThread) -> None:
        """Run the async handler on the loop of `thread`."""
        self._thread = thread
        thread.do(self._start)

    def _start(self) -> None:
        tracer = self._executor.tracer
        work = partial(run_async, self.handler, self.context, self._lease.payload)
        attempt = work() if tracer is None else traced_async(tracer, self._lease, work)
        self._task = asyncio.create_task(attempt)
        self._task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Outcome]) -> None:
        # Cancelled before its first step, it never came to the handler.
        self._executor.report(self, _RELEASED if task.cancelled() else task.result())

    def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def end(self, outcome: Outcome) -> None:
        """Take note that the handler has returned."""
        self._ended = True
        self._executor.ended(self)
        self._deliver(self._verdict or outcome)

    def _time_is_up(self, limit: Duration) -> None:
        _log.warning("%s ran longer than %s", self.context, limit, extra=self.context.about)
        self.give_up(TimedOut(limit))

    def give_up(self, verdict: Outcome) -> None:
        """End the attempt with `verdict`: an async handler is cancelled, a process killed, a thread told."""
        if self._verdict is not None or self._ended:
            return
        self._verdict = verdict
        self.context.cancelled = True
        if self._timer is not None:
            self._timer.cancel()
        if self._thread is not None:
            self._thread.do(self._stop)
        elif self.handler.origin is None:
            self._overrun(verdict)
            return
        else:
            self._executor.children.kill(self.context)
        self._timer = self._loop.call_later(GRACE_S, self._overrun, verdict)

    def _overrun(self, verdict: Outcome) -> None:
        _log.warning(
            "%s still runs, though its outcome is no longer wanted; it takes up a slot until it ends",
            self.context,
            extra=self.context.about,
        )
        self._deliver(verdict)

    def _deliver(self, outcome: Outcome) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if not self.outcome.done():
            self.outcome.set_result(outcome)
