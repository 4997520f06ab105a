"""Brings back the jobs of dead workers: an expired lease is an attempt that ended in `Lost`."""

from typing import Final

from jobsim.core.outcome import Lost
from jobsim.core.time import Duration
from jobsim.runtime.base import Runtime, Signal
from jobsim.storage.base import Storage
from jobsim.worker.calls import StorageCalls
from jobsim.worker.judge import Judge

PAGE: Final = 500
_LOOKS: Final = 4
_LOST: Final = Lost()


async def reaper(
    runtime: Runtime, storage: Storage, calls: StorageCalls, bell: Signal, judge: Judge, length: Duration
) -> None:
    """Look for expired leases, at once and then `_LOOKS` times a lease, for ever.

    Every worker does. A settlement is fenced by the lease's token, so that a job which its worker
    settles after all, or which another reaper has brought back, is left alone.
    """
    while True:
        after = 0
        while lost := await calls.make(storage.expired, PAGE, runtime.now(), after):
            settlements = [judge(lease, _LOST) for lease in lost]
            await calls.make(storage.settle, settlements, runtime.now())
            for settlement in settlements:
                if settlement.decision.due is not None:
                    bell.ring_at(settlement.decision.due)
            after = lost[-1].key
        await runtime.sleep(Duration(max(1, length // _LOOKS)))
