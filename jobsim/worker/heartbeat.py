"""Renews a worker's leases while it lives."""

from typing import Final

from jobsim.core.job import JobId, Lease
from jobsim.core.time import Duration, Instant
from jobsim.runtime.base import Runtime
from jobsim.storage.base import Storage
from jobsim.worker.calls import StorageCalls
from jobsim.worker.desk import Desk

BEATS: Final = 3
"""Renewals within one lease: two may fail before it ends."""


async def heartbeat(
    runtime: Runtime, storage: Storage, calls: StorageCalls, desk: Desk, length: Duration
) -> None:
    """Extend the leases that `desk` holds to `length` from now, `BEATS` times a lease, for ever."""
    period = Duration(max(1, length // BEATS))

    def extend(leases: list[Lease]) -> set[JobId]:
        # It looks at the clock itself: on a busy store, it may be called again much later.
        now = runtime.now()
        return storage.extend(leases, Instant(now + length), now)

    while True:
        await runtime.sleep(period)
        now = runtime.now()
        # By their first end: what was renewed is due for it again at every beat.
        old = [lease for lease in desk.unsettled() if lease.until - now <= length - period]
        if not old:
            continue
        kept = await calls.make(extend, old)
        for lease in old:
            if lease.id not in kept:
                desk.lose(lease)
