"""The clock of a server, which machines whose own clocks differ show alike."""

import pytest

from jobsim.core.errors import StorageUnavailable
from jobsim.core.time import MILLISECOND, SECOND, Instant
from jobsim.runtime.clock import ServerClock, elapsed

BEGAN = Instant(1_767_225_600 * SECOND)


class Machine:
    """A machine whose own clock is `ahead`, and goes fast by `drift`; looking at the server takes time."""

    def __init__(self, ahead: int = 0, drift: float = 0.0) -> None:
        self.true = 0
        self.trip = 200
        self.set_by = 0
        self.down = False
        self._ahead = ahead
        self._drift = drift

    def elapsed(self) -> int:
        return round(self.true * (1 + self._drift)) + self._ahead

    def server(self) -> Instant:
        return Instant(BEGAN + self.true + self.set_by)

    def ask(self) -> Instant:
        """Look at the server's clock, half of the trip after asking."""
        if self.down:
            raise StorageUnavailable("down")
        self.true += self.trip // 2
        seen = self.server()
        self.true += self.trip - self.trip // 2
        return seen

    def wrong(self, clock: ServerClock) -> int:
        return clock.now() - self.server()


@pytest.mark.parametrize("ahead", [0, 600 * SECOND, -600 * SECOND, 10**15])
def test_machines_show_the_server_s_time(ahead: int) -> None:
    """However wrong a machine's own clock is, it tells the time of the server."""
    machine = Machine(ahead)
    clock = ServerClock(machine.ask, machine.elapsed)
    assert abs(machine.wrong(clock)) <= 1
    machine.true += 90 * SECOND
    assert abs(machine.wrong(clock)) <= 1


def test_a_connection_that_is_made_first_misleads_nobody() -> None:
    """Where the first look of all waits for a connection before it asks, those after it put it right."""
    machine, made = Machine(), 20_000

    def ask() -> Instant:
        nonlocal made
        machine.true += made
        made = 0
        return machine.ask()

    assert abs(machine.wrong(ServerClock(ask, machine.elapsed))) <= 1


@pytest.mark.parametrize("drift", [1e-4, -1e-4])
def test_drift_is_kept_small(drift: float) -> None:
    """A machine whose clock is fast, or slow, is put right by each look."""
    machine = Machine(drift=drift)
    clock = ServerClock(machine.ask, machine.elapsed)
    for _ in range(500):
        machine.true += 10 * SECOND
        clock.look()
        assert abs(machine.wrong(clock)) <= 1
    machine.true += 10 * SECOND
    assert abs(machine.wrong(clock)) <= 1_001


def test_look_that_took_long_changes_nothing() -> None:
    """What a slow look tells may be wrong by more than the clock is."""
    machine = Machine()
    clock = ServerClock(machine.ask, machine.elapsed)
    before = machine.wrong(clock)
    machine.trip = 2 * SECOND
    machine.ask = lambda: Instant(Machine.ask(machine) - 700 * MILLISECOND)  # type: ignore[method-assign]
    machine.true += SECOND
    clock.look()
    assert machine.wrong(clock) == before


@pytest.mark.parametrize("step", [300 * SECOND, -300 * SECOND])
def test_clock_follows_a_server_that_was_set(step: int) -> None:
    """Where the server's clock is set, or another server takes over, the next look tells, however slow."""
    machine = Machine()
    clock = ServerClock(machine.ask, machine.elapsed)
    machine.set_by, machine.trip = step, SECOND
    clock.look()
    assert abs(machine.wrong(clock)) <= 1


def test_clock_goes_on_without_the_server() -> None:
    """A look that fails leaves the clock as it was."""
    machine = Machine()
    clock = ServerClock(machine.ask, machine.elapsed)
    machine.down = True
    machine.true += 100 * SECOND
    with pytest.raises(StorageUnavailable):
        clock.look()
    assert abs(machine.wrong(clock)) <= 1


def test_clock_looks_again_only_after_a_while() -> None:
    """Asking for the time does not ask the server."""
    machine, looks = Machine(), []

    def ask() -> Instant:
        looks.append(machine.true)
        return machine.ask()

    clock = ServerClock(ask, machine.elapsed)
    looks.clear()
    for _ in range(100):
        machine.true += SECOND
        clock.now()
        clock.look_after(30 * SECOND)
    assert len(looks) == 3


def test_machine_s_own_time_goes_on() -> None:
    """The steady clock of this machine does not go back."""
    before = elapsed()
    assert elapsed() >= before > 0
