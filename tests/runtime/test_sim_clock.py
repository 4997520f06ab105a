"""SimPy's own processes and events beside the engine's coroutines."""

import asyncio
from collections.abc import Generator
from contextlib import suppress
from typing import Any

import pytest
import simpy

from jobsim.core.time import SECOND, Duration, Instant
from jobsim.runtime.sim import SimRuntime, World

BEGAN = Instant(1_767_225_600 * SECOND)


def test_simpy_processes_and_coroutines_share_one_order_of_time() -> None:
    """What SimPy schedules and what the verbs wait for happen in the order of times, then of calls."""
    world, log = World(BEGAN), list[object]()
    here, environment = world.machine(), world.environment

    def ticks() -> Generator[simpy.Event, Any, None]:
        for _ in range(3):
            yield environment.timeout(2)
            log.append(("SimPy", environment.now - BEGAN))

    async def root() -> None:
        environment.process(ticks())
        for _ in range(4):
            await here.sleep(Duration(2))
            log.append(("verb", here.now() - BEGAN))

    world.run(root())
    assert log == [(who, at) for at in (2, 4, 6) for who in ("verb", "SimPy")] + [("verb", 8)]


def test_until_gives_what_a_simpy_event_comes_to() -> None:
    """Its value, or the very error it failed with; an event that has been is not waited for."""
    world = World(BEGAN)
    here, environment = world.machine(), world.environment

    async def root() -> None:
        assert await here.until(environment.timeout(5, "value")) == "value"
        assert here.now() == BEGAN + 5
        past = environment.timeout(1, "past")
        await here.sleep(Duration(3))
        assert await here.until(past) == "past"
        assert here.now() == BEGAN + 8
        error = LookupError("lost")
        with pytest.raises(LookupError) as caught:
            await here.until(environment.event().fail(error))
        assert caught.value is error

    world.run(root())


@pytest.mark.parametrize("act", ["interrupt", "kill"])
def test_event_of_a_task_that_no_longer_waits_for_it_wakes_nobody(act: str) -> None:
    """Cancelled or dead, whoever waited for a SimPy event is not resumed by it."""
    world, log = World(BEGAN), list[object]()
    here, doomed = world.machine(), world.machine()

    async def waits(machine: SimRuntime) -> None:
        with suppress(asyncio.CancelledError):
            await machine.until(world.environment.timeout(5))
            log.append("resumed")
        await machine.sleep(Duration(7))
        log.append(machine.now() - BEGAN)

    async def root() -> None:
        task = doomed.start(waits(doomed))
        await here.sleep(Duration(1))
        task.interrupt() if act == "interrupt" else doomed.kill()
        await here.sleep(Duration(20))

    world.run(root())
    assert log == ([8] if act == "interrupt" else [])


def test_clock_says_when_nothing_is_left_to_happen() -> None:
    """A root that waits for what nobody will bring about is an error, not an endless run."""
    world = World(BEGAN)

    async def stuck() -> None:
        await world.machine().wait(world.signal())

    with pytest.raises(RuntimeError, match="stuck waits for what nothing will bring about"):
        world.run(stuck())
