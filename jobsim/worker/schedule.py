"""Enqueues the jobs of a schedule, one a tick, however many workers do and whatever their clocks do."""

import logging
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from jobsim.core.errors import IdTaken, KeyTaken
from jobsim.core.job import NewJob
from jobsim.core.time import SECOND, Duration, Instant, to_datetime
from jobsim.runtime.base import Runtime, Signal
from jobsim.storage.base import Storage
from jobsim.worker.calls import StorageCalls

LOOK: Final = Duration(30 * SECOND)
"""How long is slept at most, as the clock may be set meanwhile."""

ASTRAY: Final = Duration(86_400 * SECOND)
"""A clock that was further ahead was wrong; the ticks it led to are looked at anew."""

_log: Final = logging.getLogger("jobsim.worker")


class Schedule(Protocol):
    """When the jobs of one kind are due by the calendar or the clock, and what they are."""

    @property
    def catch_up(self) -> Duration:
        """How far back ticks are enqueued that nobody was there for, or that the clock has leapt over."""
        ...

    def after(self, moment: Instant) -> Instant | None:
        """Return the first tick after `moment`; `None` where there is none any more."""
        ...

    def job(self, tick: Instant) -> NewJob:
        """Return the job for a tick, whose id is the same whoever makes it."""
        ...


async def schedule_jobs(
    runtime: Runtime, storage: Storage, calls: StorageCalls, bell: Signal, schedule: Schedule
) -> None:
    """Enqueue the job of each tick, until there are no more ticks.

    Every worker does. The job's id keeps a tick from being enqueued twice, by others or by this one after its
    clock was set back; a tick over which the clock leaps is made up for.
    """
    done = Instant(runtime.now() - schedule.catch_up)
    window = max(schedule.catch_up, 2 * LOOK)
    while True:
        now = runtime.now()
        oldest = Instant(now - window)
        done = oldest if done > now + ASTRAY else max(done, oldest)
        tick = schedule.after(done)
        if tick is None:
            return
        if tick > now:
            await runtime.sleep(Duration(min(tick - now, LOOK)))
            continue
        job = _made(schedule, tick)
        if job is not None and await calls.make(enqueue_tick, storage.enqueue, job, now):
            bell.ring()
        done = tick


def _made(schedule: Schedule, tick: Instant) -> NewJob | None:
    """Return the job for a tick; `None`, which passes over the tick, where what makes it fails.

    It is no reason to end a worker, who has other jobs to do, and the next tick may do better.
    """
    try:
        return schedule.job(tick)
    except Exception:  # noqa: BLE001  # it may be code of the user's, such as a function for the job's key
        _log.exception("the job due at %s cannot be made; its schedule passes over it", to_datetime(tick))
        return None


def enqueue_tick(enqueue: Callable[[Sequence[NewJob], Instant], object], job: NewJob, now: Instant) -> bool:
    """Enqueue the `job` of a tick; `False` where that has been done, or another holds its unique key."""
    try:
        enqueue([job], now)
    except (IdTaken, KeyTaken):
        return False
    return True
