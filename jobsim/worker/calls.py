"""A worker's storage calls, repeated within bounds while the store is busy, full or out of reach."""

import logging
from collections.abc import Callable
from typing import Final, TypeVar, TypeVarTuple

from jobsim.core.backoff import Exponential
from jobsim.core.errors import StorageBusy, StorageFull, StorageUnavailable
from jobsim.core.streams import Purpose, Streams
from jobsim.core.time import Duration
from jobsim.runtime.base import Runtime

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

PATIENCE: Final = Exponential(base="50ms", cap="5s", jitter="equal")
TRIES: Final = 12
"""With `PATIENCE`, a quarter to half a minute: longer than a backup or a burst of other writers."""

RETRIED: Final = (StorageBusy, StorageFull, StorageUnavailable)
"""What may pass by itself."""

_log: Final = logging.getLogger("jobsim.worker")


class StorageCalls:
    """Makes storage calls through the runtime; what a failed call kept of its work is nothing."""

    __slots__ = ("_runtime", "_streams")

    def __init__(self, runtime: Runtime, streams: Streams) -> None:
        self._runtime = runtime
        self._streams = streams

    async def make(self, fn: Callable[[*Ts], T], *args: *Ts) -> T:
        """Return ``fn(*args)``; try again after a while where the store says that this may help.

        Raises:
            StorageError: it did not help, or could not.
        """
        try:
            return await self._runtime.call(fn, *args)
        except RETRIED as error:
            return await self.again(error, fn, *args)

    async def again(self, error: Exception, fn: Callable[[*Ts], T], *args: *Ts) -> T:
        """Return ``fn(*args)``, which has failed once with `error`, one of `RETRIED`.

        Raises:
            StorageError: trying again did not help.
        """
        waits = self._streams.stream(Purpose.POLL, self._runtime.now())
        delay = Duration(0)
        for attempt in range(1, TRIES + 1):
            delay = PATIENCE.delay(attempt, delay, waits)
            _log.warning("%s; trying again in %s", error, delay.brief())
            await self._runtime.sleep(delay)
            try:
                return await self._runtime.call(fn, *args)
            except RETRIED as problem:
                error = problem
        raise error
