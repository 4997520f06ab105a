"""The verbs by a clock of one's own."""

import pytest

from jobsim.core.time import SECOND, Duration, Instant
from jobsim.runtime.clock import ServerClock
from jobsim.runtime.machine import Machine
from jobsim.runtime.sim import SimRuntime, World
from jobsim.runtime.skew import SkewedRuntime

AHEAD = 100 * SECOND


def s(seconds: float) -> Duration:
    return Duration(round(seconds * SECOND))


def test_skewed_machine_waits_by_its_own_clock() -> None:
    """One that goes twice as fast waits half as long; its bells ring when its own clock shows the time."""
    world, log = World(Instant(0)), list[tuple[str, float]]()
    machine = Machine(world.machine())
    skewed = SkewedRuntime(machine, lambda: Instant(2 * machine.now() + AHEAD), pace=2)
    bell = skewed.signal()

    async def direct(_: SimRuntime) -> None:
        await skewed.sleep(s(10))
        log.append(("slept", world.now() / SECOND))
        assert not await skewed.wait(bell, s(10))
        log.append(("waited", world.now() / SECOND))
        bell.ring_at(Instant(skewed.now() + s(10)))
        assert await skewed.wait(bell)
        log.append(("rung", world.now() / SECOND))
        bell.ring_at(Instant(skewed.now() - s(10)))
        assert await skewed.wait(bell)
        bell.ring()
        bell.forget()
        assert not await skewed.wait(bell, s(1))
        log.append(("past", world.now() / SECOND))

    world.run(direct(world.machine()))
    assert log == [("slept", 5), ("waited", 10), ("rung", 15), ("past", 15.5)]


def test_skewed_machine_hears_no_bell_of_another_clock() -> None:
    """Such a bell would ring at another time than it says."""
    world = World(Instant(0))
    skewed = SkewedRuntime(Machine(world.machine()), world.now)
    with pytest.raises(TypeError, match="another clock"):
        skewed.wait(world.signal())


def test_server_clock_learns_of_a_look_that_took_time() -> None:
    """What was seen in the middle between question and answer is taken over, half of that wrong at most."""
    steady = [0]
    clock = ServerClock(lambda: Instant(1_000_000), lambda: steady[0])
    assert clock.now() == 1_000_000
    steady[0] = 50_000_000
    clock.learn(49_999_000, Instant(51_010_000), 50_000_000)
    assert clock.now() == 51_010_500
    clock.learn(40_000_000, Instant(60_000_000), 80_000_000)  # it took so long that it tells nothing new
    assert clock.now() == 51_010_500
    clock.learn(49_999_000, Instant(99_000_000), 50_000_000)  # the server's clock was set
    assert clock.now() == 99_000_500
