"""Schedules: one job a tick, whatever happens to clocks, and however many look after them."""

from collections.abc import Callable
from typing import Any

import pytest

from jobsim.core.errors import StorageBusy
from jobsim.core.ids import tick_id
from jobsim.core.job import Conflict, NewJob
from jobsim.core.streams import Streams
from jobsim.core.time import SECOND, Duration, Instant
from jobsim.worker.calls import StorageCalls
from jobsim.worker.schedule import LOOK, schedule_jobs
from tests.worker.stage import BEGAN, Stage

MINUTE = 60 * SECOND


class EveryMinute:
    """A tick a minute, for the first `count` of them after the beginning of the stage."""

    def __init__(self, catch_up_s: float = 600, count: int = 1_000) -> None:
        self.catch_up = Duration(round(catch_up_s * SECOND))
        self._last = BEGAN + count * MINUTE

    def after(self, moment: Instant) -> Instant | None:
        """Return the first tick after `moment`."""
        tick = Instant((moment // MINUTE + 1) * MINUTE)
        return tick if tick <= self._last else None

    def job(self, tick: Instant) -> NewJob:
        """Return the job for a tick."""
        return NewJob(tick_id("clean", tick), "clean", tick)


class Clocked:
    """A runtime whose clock is `error` seconds off, as a function of the true seconds since the beginning."""

    def __init__(self, runtime: Any, error: Callable[[float], float]) -> None:
        self._runtime = runtime
        self._error = error

    def now(self) -> Instant:
        """Return what the clock shows."""
        true = self._runtime.now()
        return Instant(true + round(self._error((true - BEGAN) / SECOND) * SECOND))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runtime, name)


def play(
    stage: Stage,
    until_s: float,
    schedule: EveryMinute | None = None,
    *errors: Callable[[float], float],
) -> list[float]:
    """Let one scheduler for each clock work, and return the ticks that were enqueued, in seconds."""

    async def direct() -> None:
        for error in errors or (lambda _: 0.0,):
            runtime: Any = Clocked(stage.runtime, error)
            calls = StorageCalls(runtime, Streams(1))
            stage.here.start(
                schedule_jobs(runtime, stage.store, calls, runtime.signal(), schedule or EveryMinute())
            )
        await stage.until(until_s)

    stage.world.run(direct())
    return [(job.run_at - BEGAN) / SECOND for job in stage.store.find()]


def test_schedule_enqueues_each_tick_when_it_comes() -> None:
    """A job is there at its tick, not before; those of the catch-up time are there at once."""
    assert play(Stage(), 179.9, EveryMinute(catch_up_s=0)) == [60, 120]
    assert play(Stage(), 180.1, EveryMinute(catch_up_s=0)) == [60, 120, 180]
    assert play(Stage(), 0.1, EveryMinute(catch_up_s=120)) == [-60, 0]


def test_schedule_is_kept_by_many_and_enqueued_once() -> None:
    """Schedulers whose clocks differ enqueue each tick once, at the first clock's time."""
    skewed = [lambda _: 0.0, lambda _: 25.0, lambda _: -40.0]
    ticks = play(Stage(), 301.0, EveryMinute(catch_up_s=0), *skewed)
    assert sorted(ticks) == [0, 60, 120, 180, 240, 300]  # where the third clock is, 0 is to come


@pytest.mark.parametrize("leap", [-7_200.0, -90.0, -1.0, 1.0, 90.0, 420.0])
def test_schedule_neither_doubles_nor_skips_when_the_clock_is_set(leap: float) -> None:
    """Set forward, the clock's ticks are made up for; set back, those that were are not enqueued again."""
    ticks = play(Stage(), 1_210.0, None, lambda true: leap if true > 330 else 0.0)
    first = -540.0  # of the catch-up time
    assert ticks == [first + 60 * n for n in range(len(ticks))]
    assert ticks[-1] == max(300.0, 60 * ((1_210 + leap) // 60))


def test_schedule_leaves_out_what_lies_too_far_back() -> None:
    """A clock set forward by more than the catch-up time leaves out what is older than that."""
    ticks = play(Stage(), 600.0, EveryMinute(catch_up_s=180), lambda true: 36_000.0 if true > 330 else 0.0)
    assert [tick for tick in ticks if tick > 300][:3] == [36_240, 36_300, 36_360]


def test_schedule_recovers_from_a_clock_that_was_days_ahead() -> None:
    """After a clock that was wrong by days is set right, the next minute has its tick."""
    ticks = play(
        Stage(), 610.0, EveryMinute(60, count=100_000), lambda true: 0.0 if true > 200 else 400_000.0
    )
    late = [tick for tick in ticks if tick < 10_000]
    assert late[-3:] == [480, 540, 600]


def test_schedule_waits_while_the_store_is_busy() -> None:
    """A store that fails for a while delays the job of a tick and loses none."""
    stage = Stage()
    stage.store.errors["enqueue"] = [StorageBusy("busy")] * 3
    assert play(stage, 130.0, EveryMinute(catch_up_s=0)) == [60, 120]


def test_schedule_leaves_out_a_tick_whose_unique_key_is_taken() -> None:
    """A job that would rather raise than meet the one before it costs its tick, and no worker."""

    class Unique(EveryMinute):
        def job(self, tick: Instant) -> NewJob:
            return super().job(tick)._replace(unique_key="clean", conflict=Conflict.RAISE)

    assert play(Stage(), 200.0, Unique(catch_up_s=0)) == [60]


def test_schedule_passes_over_a_tick_whose_job_cannot_be_made(caplog: pytest.LogCaptureFixture) -> None:
    """Where one job cannot be made, which is told with its tick, the others are all the same."""

    class Failing(EveryMinute):
        def job(self, tick: Instant) -> NewJob:
            if tick == BEGAN + MINUTE:
                raise ZeroDivisionError("of the user's own")
            return super().job(tick)

    assert play(Stage(), 180.1, Failing(catch_up_s=0)) == [120, 180]
    [record] = caplog.records
    assert "cannot be made" in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


def test_schedule_ends_with_its_last_tick() -> None:
    """A schedule that has an end needs nobody any more."""
    assert play(Stage(), 600.0, EveryMinute(catch_up_s=0, count=2)) == [60, 120]


def test_schedule_hears_of_a_set_clock_soon() -> None:
    """Nobody sleeps for so long that a clock that was set goes unnoticed."""
    assert LOOK < MINUTE
