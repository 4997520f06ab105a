"""Renews a worker's leases while it lives."""

import logging
from typing import Final

from jobsim.core.job import Lease
from jobsim.core.time import Duration, Instant
from jobsim.runtime.base import Runtime
from jobsim.storage.base import Storage
from jobsim.worker.calls import StorageCalls
from jobsim.worker.desk import Desk
from jobsim.worker.executor import Executor

BEATS: Final = 3
"""Renewals within one lease: two may fail before it ends."""

_log: Final = logging.getLogger("jobsim.worker")


async def heartbeat(
    runtime: Runtime, storage: Storage, calls: StorageCalls, desk: Desk, executor: Executor, length: Duration
) -> None:
    """Extend the leases that `desk` holds to `length` from now, `BEATS` times a lease, for ever."""
    period = Duration(max(1, length // BEATS))
    while True:
        await runtime.sleep(period)
        now = runtime.now()
        until = Instant(now + length)
        old = [lease for lease in desk.held.values() if lease.until - now <= length - period]
        if not old:
            continue
        kept = await calls.make(storage.extend, old, until, now)
        for lease in old:
            if lease.id in kept:
                _renewed(desk, lease, until)
            elif desk.let_go(lease):
                _lost(executor, lease)


def _renewed(desk: Desk, lease: Lease, until: Instant) -> None:
    held = desk.held.get(lease.key)
    if held is not None and held.token == lease.token:
        desk.held[lease.key] = held._replace(until=max(held.until, until))


def _lost(executor: Executor, lease: Lease) -> None:
    _log.warning(
        "job %s: the lease of attempt %d was not renewed (cancelled, or taken over); the attempt is stopped",
        lease.id,
        lease.attempt,
        extra={"job_id": str(lease.id), "attempt": lease.attempt},
    )
    executor.abandon(lease)
