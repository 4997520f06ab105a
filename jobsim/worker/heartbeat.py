"""Renews a worker's leases while it lives."""

from typing import Final

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
    while True:
        await runtime.sleep(period)
        now = runtime.now()
        until = Instant(now + length)
        old = [lease for lease in desk.unsettled() if lease.until - now <= length - period]
        if not old:
            continue
        kept = await calls.make(storage.extend, old, until, now)
        for lease in old:
            if lease.id in kept:
                desk.renewed(lease, until)
            else:
                desk.lose(lease)
