"""A worker in this process: the engine on a thread of its own, and the signals that stop it."""

import asyncio
import atexit
import logging
import os
import socket
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Final, Self, TypedDict

from jobsim.core.job import WorkerId
from jobsim.core.limits import Limit, Scope
from jobsim.core.outcome import Outcome
from jobsim.core.policy import RetryPolicy
from jobsim.core.streams import Purpose, Streams
from jobsim.core.time import DurationLike
from jobsim.live.executor import HandlerExecutor, Handlers
from jobsim.live.limits import put_in_force
from jobsim.live.news import attend
from jobsim.live.observed import observed
from jobsim.live.signals import heeding
from jobsim.live.telemetry import LAST_WORDS_S, Telemetry
from jobsim.live.tracing import Tracer
from jobsim.runtime.clock import ServerClock
from jobsim.runtime.live import GLANCE_S, LiveRuntime, LiveSignal
from jobsim.storage.base import Storage
from jobsim.worker.executor import Executor
from jobsim.worker.pool import Worker
from jobsim.worker.settings import WorkerSettings

_LAST_WAIT_S: Final = 10.0
"""How long the end of a queue, or of the interpreter, waits for a worker to give back what it runs."""

_log: Final = logging.getLogger("jobsim.worker")


class WorkerOptions(TypedDict, total=False):
    """What `Queue.worker` takes, for signatures that pass it on."""

    concurrency: int
    queues: Sequence[str] | None
    lease: DurationLike
    poll: DurationLike
    shutdown_timeout: DurationLike
    burst: bool


class LiveWorker:
    """One worker, from `start` to `stop`; it runs once.

    The engine has a thread and an event loop of its own, so that no handler, however long it blocks, holds
    up the renewal of leases. It goes by `clock`, where the store's server has one. Starting, it puts `limits`
    in force. What it does it tells `telemetry`, where that has subscribers when it starts; `tracer` is told
    of the attempts around their handlers.
    """

    def __init__(
        self,
        storage: Storage,
        handlers: Handlers,
        policies: Callable[[str], RetryPolicy],
        settings: WorkerSettings,
        clock: ServerClock | None = None,
        limits: Mapping[Scope, Limit] | None = None,
        telemetry: Telemetry | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self.settings = settings
        self._clock = clock
        self.tally: Counter[type[Outcome]] = Counter()
        self._streams = Streams()
        self.name = _name(self._streams)
        self._storage = storage
        self._handlers = handlers
        self._policies = policies
        self._limits = limits or {}
        self._telemetry = Telemetry() if telemetry is None else telemetry
        self._tracer = tracer
        self._thread = threading.Thread(target=self._main, name="jobsim-engine", daemon=True)
        self._ended = threading.Event()
        self._error: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._executor: HandlerExecutor | None = None
        self._worker: Worker | None = None
        self._bell: LiveSignal | None = None
        self._stopping = False
        self._at_once = False

    def run(self) -> None:
        """Start, and return once stopped: by `stop`, or in the main thread by SIGTERM or SIGINT.

        The first signal lets running attempts end, the second gives them back at once, and after that
        signals mean what they meant before.

        Raises:
            StorageError: the store failed for longer than the worker was willing to wait.
        """
        with self._signals():
            self.start()
            while not self.wait(GLANCE_S):
                pass

    def start(self) -> Self:
        """Put the limits in force; begin to work in the background, at most until the interpreter ends.

        Raises:
            StorageError: the limits could not be put in force.
        """
        put_in_force(self._storage, self._limits)
        atexit.register(self.end)
        self._thread.start()
        return self

    def end(self) -> None:
        """Give back what runs, and wait a moment for that; whatever went wrong, nothing is raised."""
        self.stop(at_once=True)
        if self._thread.is_alive():  # in a fork it is not, however busy it is where that came from
            self._ended.wait(_LAST_WAIT_S)

    def stop(self, *, at_once: bool = False) -> None:
        """Claim nothing more; let running attempts end, or with `at_once` give them back. From any thread."""
        self._stopping = True
        self._at_once = self._at_once or (at_once and not self._ended.is_set())
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: it has stopped
                self._loop.call_soon_threadsafe(self._pass_on)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it has stopped; `False` when `timeout`, in seconds, came first.

        Raises:
            StorageError: the store failed for longer than the worker was willing to wait.
        """
        ended = self._ended.wait(timeout)
        if self._error is not None:
            raise self._error
        return ended

    @property
    def stopped_at_once(self) -> bool:
        """Whether running attempts were given back instead of waited for."""
        return self._at_once

    @property
    def busy(self) -> int:
        """How many of its handlers are at work, those included that overran their time."""
        return 0 if self._executor is None else self._executor.busy

    @property
    def working(self) -> bool:
        """Whether it was started, and has not ended."""
        return self._thread.ident is not None and not self._ended.is_set()

    def ring(self, count: int) -> None:
        """Say that `count` jobs were enqueued; from any thread."""
        if self._bell is not None:
            self._bell.ring(count)

    def _main(self) -> None:
        try:
            asyncio.run(self._engine())
        except BaseException as error:  # noqa: BLE001  # it is raised where the end is waited for
            self._error = error
        finally:
            atexit.unregister(self.end)
            self._telemetry.flush(LAST_WORDS_S)
            if self._tracer is not None:
                self._tracer.finish()
            self._ended.set()

    async def _engine(self) -> None:
        runtime = LiveRuntime() if self._clock is None else LiveRuntime(self._clock.now)
        executor = HandlerExecutor(runtime, self._handlers, self.settings.slots, self._tracer)
        self.tally, self._executor = executor.tally, executor
        self._bell = runtime.signal()
        engine: tuple[Storage, Executor] = self._storage, executor
        if self._telemetry:
            engine = observed(*engine, self.name, self._telemetry, runtime.now, self._tracer)
        self._worker = Worker(
            self.name,
            runtime,
            *engine,
            self._policies,
            self._streams,
            self.settings,
            self._bell,
        )
        self._loop = asyncio.get_running_loop()
        if self._stopping:
            self._pass_on()
        beside = (self._storage, self.settings.queues, self._clock, self._bell, self._ended)
        threading.Thread(target=attend, args=beside, name="jobsim-news", daemon=True).start()
        try:
            await self._worker.run()
        finally:
            executor.close()
            runtime.close()

    def _pass_on(self) -> None:
        """Tell the engine, in its own thread, how to stop."""
        if self._worker is not None:
            _log.info("%s stops%s", self.name, " at once" if self._at_once else ", once running attempts end")
            self._worker.stop(at_once=self._at_once)

    def _signals(self) -> AbstractContextManager[None]:
        """Let signals stop the worker meanwhile; only the main thread may."""
        if threading.current_thread() is not threading.main_thread():
            return nullcontext()
        return heeding(self._heed)

    def _heed(self, restore: Callable[[], None]) -> None:
        if self._stopping:
            restore()
            self.stop(at_once=True)
        else:
            self.stop()


def _name(streams: Streams) -> WorkerId:
    """Return a name that no worker had before, and that tells people where it runs."""
    return WorkerId(f"{socket.gethostname()[:64]}:{os.getpid()}:{streams.bits(Purpose.ID):016x}")
