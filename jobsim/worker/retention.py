"""Removes jobs that ended long ago, where their state is to be kept for a time only."""

from collections.abc import Mapping
from typing import Final

from jobsim.core.job import State
from jobsim.core.streams import Stream
from jobsim.core.time import MILLISECOND, SECOND, Duration, Instant
from jobsim.runtime.base import Runtime
from jobsim.storage.base import Storage
from jobsim.worker.calls import StorageCalls

PERIOD: Final = Duration(600 * SECOND)
"""How long it is from one look to the next, in the middle."""

BATCH: Final = 1_000
"""Jobs that are removed in one transaction."""

BREATH: Final = Duration(50 * MILLISECOND)
"""How long others have the store to themselves between two batches."""


async def retention(
    runtime: Runtime, storage: Storage, calls: StorageCalls, keep: Mapping[State, Duration], waits: Stream
) -> None:
    """Remove the jobs that have been in a state for longer than `keep` says, now and then, for ever.

    Every worker does, each at times of its own. One that finds another at it leaves the rest to that.
    """
    while True:
        await runtime.sleep(Duration(PERIOD * (0.5 + waits.random())))
        for state, age in keep.items():
            before = Instant(runtime.now() - age)
            while await calls.make(storage.prune, [state], before, BATCH) == BATCH:
                await runtime.sleep(BREATH)
