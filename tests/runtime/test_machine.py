"""A simulated machine that stands still, loses power, and is far from its store."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from jobsim.core.errors import PowerLost, StorageBusy
from jobsim.core.time import SECOND, Duration, Instant
from jobsim.runtime.machine import Machine
from jobsim.runtime.sim import SimRuntime, World

Log = list[tuple[float, str]]


def s(seconds: float) -> Duration:
    return Duration(round(seconds * SECOND))


class Stage:
    """A world, a machine in it whose calls take 1 s there and 2 s back, and a log of what happened when."""

    def __init__(self, *, far: bool = False) -> None:
        self.world = World(Instant(0))
        trip = (s(1), s(2)) if far else (s(0), s(0))
        self.machine = Machine(self.world.machine(), lambda: trip)
        self.log: Log = []

    def note(self, what: str) -> str:
        self.log.append((self.world.now() / SECOND, what))
        return what

    def play(self, direct: Callable[[SimRuntime], Coroutine[Any, Any, None]]) -> Log:
        """Let `direct` direct from a machine of its own."""
        self.world.run(direct(self.world.machine()))
        return self.log


def test_paused_machine_goes_on_afterwards() -> None:
    """What was to happen during a pause happens at its end; what comes later is not touched."""
    stage = Stage()
    machine, signal = stage.machine, stage.world.signal()

    async def sleeper(seconds: float) -> None:
        await machine.sleep(s(seconds))
        stage.note(f"slept {seconds}")

    async def listener() -> None:
        stage.note(f"rung {await machine.wait(signal, s(100))}")

    async def worker() -> None:
        stage.note(await machine.after(s(4), "worked"))

    async def direct(here: SimRuntime) -> None:
        for process in (sleeper(1), sleeper(3), sleeper(20), listener(), worker()):
            machine.start(process)
        await here.sleep(s(2))
        machine.pause(s(8))
        await here.sleep(s(3))
        signal.ring()
        machine.pause(s(1))  # over before the first
        await here.sleep(s(30))

    assert stage.play(direct) == [
        (1, "slept 1"),
        (10, "slept 3"),
        (10, "worked"),
        (10, "rung True"),
        (20, "slept 20"),
    ]


def test_pause_may_be_prolonged() -> None:
    """Two pauses one in the other end with the later of their ends."""
    stage = Stage()

    async def sleeper() -> None:
        await stage.machine.sleep(s(1))
        stage.note("awake")

    async def direct(here: SimRuntime) -> None:
        stage.machine.start(sleeper())
        stage.machine.pause(s(5))
        await here.sleep(s(4))
        stage.machine.pause(s(5))
        await here.sleep(s(10))

    assert stage.play(direct) == [(9, "awake")]


def test_call_takes_its_way_there_and_back() -> None:
    """It is made when it arrives, whole, and heard of when the answer is back; so is an error."""
    stage = Stage(far=True)

    def fail() -> None:
        stage.note("failing")
        stage.machine.owe(s(10))
        raise StorageBusy("locked")

    async def caller() -> None:
        stage.note(f"heard of {await stage.machine.call(stage.note, 'made')}")
        with pytest.raises(StorageBusy):
            await stage.machine.call(fail)
        stage.note("heard")

    async def direct(here: SimRuntime) -> None:
        stage.machine.live(caller())
        await here.wait(stage.machine.over)

    assert stage.play(direct) == [(1, "made"), (3, "heard of made"), (4, "failing"), (16, "heard")]


def test_call_is_never_left_half_done() -> None:
    """A cancelled caller hears of it once the call has ended, and it has happened."""
    stage = Stage(far=True)

    async def caller() -> None:
        try:
            await stage.machine.call(stage.note, "made")
        except asyncio.CancelledError:
            stage.note("cancelled")
            raise

    async def failing() -> None:
        await stage.machine.sleep(s(0.5))
        raise ValueError("enough")

    async def direct(_: SimRuntime) -> None:
        with pytest.raises(ValueError, match="enough"):
            await stage.machine.together(caller(), failing())

    assert stage.play(direct) == [(1, "made"), (3, "cancelled")]


def test_machine_that_loses_power_in_a_call_is_over() -> None:
    """Nothing on it runs again, no `finally` either, and those who wait for its end are told."""
    stage = Stage()

    def lose_power() -> None:
        stage.note("dark")
        raise PowerLost

    async def caller() -> None:
        try:
            await stage.machine.sleep(s(1))
            await stage.machine.call(lose_power)
        finally:
            if stage.world.now() < s(100):  # coroutines are closed when the world has ended
                stage.note("never")

    async def direct(here: SimRuntime) -> None:
        stage.machine.live(caller())
        stage.machine.start(caller())
        assert await here.wait(stage.machine.over, s(50))
        assert not stage.machine.alive
        await here.sleep(s(200))

    assert stage.play(direct) == [(1, "dark")]


def test_machine_is_over_when_what_lives_on_it_ends() -> None:
    """The end of its process is told once."""
    stage = Stage()

    async def direct(here: SimRuntime) -> None:
        stage.machine.live(stage.machine.sleep(s(3)))
        assert await here.wait(stage.machine.over)
        stage.note("over")
        assert not await here.wait(stage.machine.over, s(5))

    assert stage.play(direct) == [(3, "over")]
