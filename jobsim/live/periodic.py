"""Schedules, by the calendar or by the clock: their ticks, and the job for each."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Final, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jobsim.core.errors import ConfigError
from jobsim.core.ids import tick_id
from jobsim.core.job import NewJob, State
from jobsim.core.time import Duration, DurationLike, Instant, duration, instant, to_datetime
from jobsim.live.acceptance import jobs_of
from jobsim.live.handler import Handler
from jobsim.live.placement import Placement, check_kind

CATCH_UP: Final = "1h"
"""How far back ticks are made up for, unless a schedule says otherwise."""

_ANY_DAY: Final = datetime(2000, 1, 1)  # noqa: DTZ001  # any: leap years come round within the search


class Ticks(Protocol):
    """Moments that follow each other."""

    def after(self, moment: Instant) -> Instant | None:
        """Return the first that is later than `moment`; `None` where there is none any more."""
        ...


class Cron:
    """The moments of a cron expression in the time of a zone.

    What falls into the hour that summer time leaves out happens right after it, and what falls into the hour
    that comes twice happens once, unless the expression has ``*`` for its minutes or hours.
    Source: Debian's cron, as CronSim reads it.

    Raises:
        ConfigError: there is no such zone; the expression cannot be read, or names no day that ever comes.
    """

    def __init__(self, expression: str, tz: str = "UTC") -> None:
        from cronsim import CronSim, CronSimError  # late: most queues have no schedule

        self._zone = _zone(tz)
        self._from = partial(CronSim, expression)
        try:
            found = next(self._from(_ANY_DAY), None)
        except CronSimError as error:
            raise ConfigError(
                f"cron: {expression!r} cannot be read: {error}; write for example '30 3 * * *'"
            ) from None
        if found is None:
            raise ConfigError(f"cron: {expression!r} names a day that never comes")

    def after(self, moment: Instant) -> Instant | None:
        """Return the first tick that is later than `moment`."""
        found: datetime | None = next(self._from(to_datetime(moment).astimezone(self._zone)), None)
        return None if found is None else instant(found)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError, TypeError):
        raise ConfigError(f"tz: there is no time zone {name!r}; write for example 'Europe/Berlin'") from None


class Every:
    """A tick at each multiple of a period since the Unix epoch, so that all processes have the same."""

    def __init__(self, period: DurationLike) -> None:
        self._period = duration(period, "every")
        if not self._period:
            raise ConfigError("every: must be longer than 0s")

    def after(self, moment: Instant) -> Instant:
        """Return the first tick that is later than `moment`."""
        return Instant((moment // self._period + 1) * self._period)


class Periodic:
    """A schedule of a queue; `job` makes the job for a tick, the same in all processes."""

    def __init__(
        self, name: str, ticks: Ticks, job: Callable[[Instant], NewJob], catch_up: DurationLike = CATCH_UP
    ) -> None:
        self.name = name
        self.after = ticks.after
        self.job = job
        self.catch_up: Duration = duration(catch_up, "catch_up")


def ticks_of(cron: str | None, every: DurationLike | None, tz: str) -> Ticks:
    """Return the ticks of a schedule by the one or the other.

    Raises:
        ConfigError: both are given, or none; or it cannot be used.
    """
    if (cron is None) == (every is None):
        raise ConfigError("a schedule has either a cron expression or every=")
    return Every(every) if every is not None else Cron(str(cron), tz)


def periodic(
    handler: Handler[..., Any],
    ticks: Ticks,
    arguments: Mapping[str, Any],
    tick_as: str | None,
    placement: Placement,
    catch_up: DurationLike,
    name: str | None = None,
) -> Periodic:
    """Return the schedule of `handler`, which is called with `arguments`, and with the tick as `tick_as`.

    Raises:
        ConfigError: a setting cannot be used.
    """
    called = handler.kind if name is None else name
    check_kind(called)
    if tick_as is not None and tick_as not in handler.arguments.names:
        raise ConfigError(f"tick_as: {handler.kind} has no argument {tick_as!r}")

    def job(tick: Instant) -> NewJob:
        own = {} if tick_as is None else {tick_as: to_datetime(tick)}
        call = handler.call(handler.arguments.bind((), {**arguments, **own}), placement)
        [made] = jobs_of([tick_id(called, tick)], handler.kind, [call], placement, handler.terms, tick)
        return made

    return Periodic(called, ticks, job, catch_up)


def check_jobs(schedules: Iterable[Periodic], now: Instant) -> None:
    """Refuse schedules of which no job can be made: workers would pass over all their ticks.

    Raises:
        PayloadError: a schedule's arguments do not fit its handler, or cannot be stored as JSON.
        ConfigError: a key cannot be used.
    """
    for schedule in schedules:
        tick = schedule.after(now)
        if tick is not None:
            schedule.job(tick)


def check_kept(schedules: Iterable[Periodic], retention: Mapping[State, Duration]) -> None:
    """Refuse to forget jobs so soon that their ticks might be enqueued again.

    Raises:
        ConfigError: one of a schedule may be removed while its tick can still be made up for.
    """
    for schedule in schedules:
        for state, age in retention.items():
            if age < schedule.catch_up:
                raise ConfigError(
                    f"retention: {state.value} jobs are kept for {age}, but the schedule {schedule.name!r} "
                    f"makes up for ticks of the last {schedule.catch_up}: keep them longer, or lower catch_up"
                )
