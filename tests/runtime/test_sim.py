"""The verbs on SimPy time."""

import asyncio
import types
from collections.abc import Awaitable, Callable, Generator
from contextlib import suppress

import pytest

from jobsim.core.time import MILLISECOND, SECOND, Duration, Instant
from jobsim.runtime.sim import SimRuntime, SimSignal, World

BEGAN = Instant(1_767_225_600 * SECOND)
MS = Duration(MILLISECOND)
LONG = Duration(3600 * SECOND)


def play(scene: Callable[[World, SimRuntime], Awaitable[None]]) -> None:
    """Play `scene` on a machine of a world of its own."""
    world = World(BEGAN)

    async def stage() -> None:
        await scene(world, world.machine())

    world.run(stage())


async def note(runtime: SimRuntime, bell: SimSignal, heard: list[object], name: object) -> None:
    """Wait for the bell, and write down who heard it and when."""
    await runtime.wait(bell)
    heard.append((name, runtime.now() - BEGAN))


async def at(runtime: SimRuntime, delay: int, act: Callable[[], object]) -> None:
    """Act after a while."""
    await runtime.sleep(Duration(delay))
    act()


async def cancelled(loop: Awaitable[object]) -> None:
    """Await `loop`, and be quiet about its cancellation."""
    with suppress(asyncio.CancelledError):
        await loop


class TwoArguments(Exception):
    """An error that cannot be made again from its `args`."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code


async def fail() -> None:
    """Raise the error that SimPy cannot copy."""
    raise TwoArguments(7, "boom")


def test_time_passes_by_what_is_slept_to_the_microsecond() -> None:
    """The clock begins where the world does and moves by exactly the microseconds slept."""

    async def scene(world: World, here: SimRuntime) -> None:
        assert here.now() == world.now() == BEGAN
        for sleep in (0, 1, 7 * SECOND + 1):
            before = here.now()
            await here.sleep(Duration(sleep))
            assert here.now() - before == sleep
        assert isinstance(world.now(), int)

    play(scene)


def test_ring_is_remembered_once() -> None:
    """Of rings that nobody hears one is kept: the next wait returns at once, the one after does not."""

    async def scene(_: World, here: SimRuntime) -> None:
        bell = here.signal()
        bell.ring()
        bell.ring(3)
        assert await here.wait(bell, LONG)
        assert here.now() == BEGAN
        assert not await here.wait(bell, MS)
        assert here.now() == BEGAN + MS

    play(scene)


def test_ring_wakes_as_many_as_it_says_in_their_order() -> None:
    """Waiters are woken in the order they came, no more than asked for, and nothing is remembered then."""

    async def scene(_: World, here: SimRuntime) -> None:
        bell, heard = here.signal(), list[object]()
        rings = [at(here, MS, lambda: bell.ring(2)), at(here, 2 * MS, lambda: bell.ring(5))]
        await here.together(*(note(here, bell, heard, n) for n in range(4)), *rings)
        assert heard == [(0, MS), (1, MS), (2, 2 * MS), (3, 2 * MS)]
        assert not await here.wait(bell, MS)

    play(scene)


def test_forgotten_ring_is_not_heard() -> None:
    """Whoever has looked for what a ring was for need not be woken for it again."""

    async def scene(_: World, here: SimRuntime) -> None:
        bell = here.signal()
        bell.ring()
        bell.forget()
        assert not await here.wait(bell, MS)

    play(scene)


def test_alarm_rings_once_at_the_earliest_time() -> None:
    """Of several alarms the earliest rings, one in the past at once; later ones must be asked for anew."""

    async def scene(_: World, here: SimRuntime) -> None:
        bell = here.signal()
        for delay in (5, 2, 9):
            bell.ring_at(Instant(BEGAN + delay * MS))
        assert await here.wait(bell, LONG)
        assert here.now() == BEGAN + 2 * MS
        assert not await here.wait(bell, LONG)
        before = here.now()
        bell.ring_at(BEGAN)
        assert await here.wait(bell, LONG)
        assert here.now() == before

    play(scene)


def test_alarm_that_was_replaced_does_not_ring_for_a_later_one() -> None:
    """The timer of an alarm that an earlier one replaced is stale, also once a later one is asked for."""

    async def scene(_: World, here: SimRuntime) -> None:
        bell = here.signal()
        bell.ring_at(Instant(BEGAN + 5 * MS))
        bell.ring_at(Instant(BEGAN + 2 * MS))
        assert await here.wait(bell, LONG)
        bell.ring_at(Instant(BEGAN + 9 * MS))
        assert await here.wait(bell, LONG)
        assert here.now() == BEGAN + 9 * MS

    play(scene)


def test_alarm_is_not_called_off_by_forgetting() -> None:
    """What is forgotten is a ring that has sounded, not one that is to come."""

    async def scene(_: World, here: SimRuntime) -> None:
        bell = here.signal()
        bell.ring_at(Instant(BEGAN + 2 * MS))
        bell.forget()
        assert await here.wait(bell, LONG)
        assert here.now() == BEGAN + 2 * MS

    play(scene)


def test_ring_of_a_cancelled_waiter_goes_to_the_next() -> None:
    """A ring that wakes a waiter in the moment it is cancelled is not lost."""

    async def scene(_: World, here: SimRuntime) -> None:
        bell, heard = here.signal(), list[object]()
        first = here.start(cancelled(note(here, bell, heard, "first")))
        here.start(note(here, bell, heard, "second"))
        await here.sleep(MS)
        bell.ring()
        first.interrupt()
        await here.sleep(MS)
        assert heard == [("second", MS)]

    play(scene)


@pytest.mark.parametrize("rung", [True, False])
def test_ring_of_a_dead_waiter_goes_to_the_next(rung: bool) -> None:
    """Whether it dies with the ring in its ears or before, a dead waiter keeps no ring to itself."""

    async def scene(world: World, here: SimRuntime) -> None:
        doomed, bell, heard = world.machine(), world.signal(), list[object]()
        doomed.start(note(doomed, bell, heard, "doomed"))
        here.start(note(here, bell, heard, "heir"))
        await here.sleep(MS)
        for act in (bell.ring, doomed.kill) if rung else (doomed.kill, bell.ring):
            act()
        await here.sleep(MS)
        assert heard == [("heir", MS)]

    play(scene)


def test_wait_that_ended_leaves_nothing_behind() -> None:
    """Timed out, cancelled or dead, a waiter leaves the line, and its timer finds nothing to do."""

    async def scene(world: World, here: SimRuntime) -> None:
        bell, doomed = world.signal(), world.machine()
        assert not await here.wait(bell, Duration(0))
        gone = here.start(cancelled(here.wait(bell, Duration(5 * MS))))
        doomed.start(cancelled(doomed.wait(bell, Duration(5 * MS))))
        await here.sleep(MS)
        gone.interrupt()
        doomed.kill()
        await here.sleep(Duration(10 * MS))
        assert not bell._line  # that nothing is left cannot be seen from outside
        bell.ring()
        assert await here.wait(bell, LONG)

    play(scene)


def test_wait_refuses_a_bell_of_another_world() -> None:
    """A doorbell that is not SimPy's is an error at once, not a wait without end."""

    class Foreign:
        def ring(self, count: int = 1) -> None:
            pass

        def ring_at(self, at: Instant) -> None:
            pass

        def forget(self) -> None:
            pass

    async def scene(_: World, here: SimRuntime) -> None:
        with pytest.raises(TypeError, match="another world"):
            await here.wait(Foreign())

    play(scene)


@pytest.mark.parametrize("verb", ["sleep", "wait"])
def test_interrupt_becomes_cancelled_error(verb: str) -> None:
    """A cancelled verb raises `CancelledError`, which an `except Exception` lets through."""
    log: list[str] = []

    async def scene(_: World, here: SimRuntime) -> None:
        async def loop() -> None:
            try:
                await (here.sleep(LONG) if verb == "sleep" else here.wait(here.signal(), LONG))
            except Exception:  # noqa: BLE001  # as a worker's might be
                log.append("swallowed")
            except asyncio.CancelledError:
                log.append("cancelled")

        process = here.start(loop())
        await here.sleep(MS)
        process.interrupt()
        await here.sleep(MS)

    play(scene)
    assert log == ["cancelled"]


def test_killed_machine_runs_nothing_again() -> None:
    """What ran on it is not resumed, no `finally` runs while time passes, and other machines go on."""

    async def scene(world: World, here: SimRuntime) -> None:
        doomed, log = world.machine(), list[object]()

        async def victim() -> None:
            try:
                await doomed.sleep(Duration(2 * MS))
                log.append("resumed")
            finally:
                log.append("finally")

        async def parent() -> None:
            await doomed.together(victim(), victim())
            log.append("joined")

        doomed.start(parent())
        here.start(at(here, 2 * MS, lambda: log.append("other")))
        await here.sleep(MS)
        doomed.kill()
        await here.sleep(LONG)
        assert log == ["other"]

    play(scene)


def test_machine_killed_in_the_moment_it_would_wake_stays_dead() -> None:
    """A timer that is due in this very instant, or a second kill, changes nothing."""

    async def scene(world: World, here: SimRuntime) -> None:
        doomed, log = world.machine(), list[str]()
        here.start(at(here, MS, doomed.kill))
        await here.sleep(Duration(0))
        doomed.start(at(doomed, MS, lambda: log.append("resumed")))
        await here.sleep(Duration(2 * MS))
        doomed.kill()
        assert log == []

    play(scene)


def test_world_that_ended_closes_what_still_runs() -> None:
    """Once the root has ended, coroutines are closed where they stand, at the time of the end."""
    ends: list[Instant] = []
    world = World(BEGAN)
    here = world.machine()

    async def beside() -> None:
        try:
            await here.sleep(LONG)
        finally:
            ends.append(world.now())

    async def root() -> None:
        here.start(loop)
        await here.sleep(MS)

    loop = beside()  # kept, so that nothing but the end of the world closes it
    world.run(root())
    assert ends == [BEGAN + MS]


def test_run_ends_with_its_root_although_timers_remain() -> None:
    """Time stops where the root returned, whatever alarms and time-outs are still to come."""
    world = World(BEGAN)
    here = world.machine()

    async def root() -> str:
        bell = here.signal()
        bell.ring_at(Instant(BEGAN + LONG))
        here.start(cancelled(here.wait(here.signal(), LONG)))
        bell.ring()
        await here.wait(bell, LONG)
        await here.sleep(MS)
        return "done"

    assert world.run(root()) == "done"
    assert world.now() == BEGAN + MS


def test_call_is_inline_and_whole() -> None:
    """A call takes no time, nothing runs meanwhile, and it gives the function's value or its error."""

    async def scene(_: World, here: SimRuntime) -> None:
        log: list[str] = []
        here.start(at(here, 0, lambda: log.append("beside")))
        assert await here.call(divmod, 7, 2) == (3, 1)
        with pytest.raises(ZeroDivisionError):
            await here.call(divmod, 7, 0)
        assert log == []
        assert here.now() == BEGAN

    play(scene)


def test_error_crosses_a_call_and_loops_unchanged() -> None:
    """The very error that was raised arrives, though it cannot be made anew from its args."""
    arrived: list[BaseException] = []

    async def scene(_: World, here: SimRuntime) -> None:
        async def nested() -> None:
            try:
                await fail()
            except TwoArguments as error:
                arrived.append(error)
                raise

        with pytest.raises(TwoArguments) as caught:
            await here.together(here.together(nested()))
        assert caught.value is arrived[0]
        assert caught.value.code == 7

    play(scene)


@pytest.mark.parametrize("root", [True, False])
def test_error_ends_the_world_unchanged(root: bool) -> None:
    """What the root raises, or anything started beside it, is what `run` raises."""
    world = World(BEGAN)
    here = world.machine()

    async def beside() -> None:
        here.start(fail())
        await here.sleep(LONG)

    with pytest.raises(TwoArguments, match="7: boom"):
        world.run(fail() if root else beside())
    assert world.now() == BEGAN


def test_together_waits_for_all() -> None:
    """It returns once every loop has ended; none at all have ended already."""

    async def scene(_: World, here: SimRuntime) -> None:
        log: list[int] = []
        await here.together()
        await here.together(*(at(here, n * MS, lambda n=n: log.append(n)) for n in (3, 1, 2)))  # type: ignore[misc]
        assert log == [1, 2, 3]
        assert here.now() == BEGAN + 3 * MS

    play(scene)


def test_together_raises_the_first_failure_after_all_have_ended() -> None:
    """The first that fails cancels the others, is waited for with them, and is raised by itself."""

    async def scene(_: World, here: SimRuntime) -> None:
        log: list[object] = []

        async def cleans_up() -> None:
            try:
                await here.sleep(LONG)
            finally:
                await here.sleep(MS)
                log.append(here.now() - BEGAN)
                raise ValueError("second")

        async def fails() -> None:
            await here.sleep(MS)
            raise LookupError("first")

        with pytest.raises(LookupError, match="first"):
            await here.together(cleans_up(), fails(), cleans_up())
        assert log == [2 * MS, 2 * MS]

    play(scene)


def test_together_cancelled_ends_all_first() -> None:
    """A cancelled `together` cancels its loops and waits for them before it is cancelled itself."""

    async def scene(_: World, here: SimRuntime) -> None:
        log: list[str] = []

        async def cleans_up() -> None:
            try:
                await here.sleep(LONG)
            finally:
                await here.sleep(MS)
                log.append("clean")

        async def parent() -> None:
            try:
                await here.together(cleans_up(), cleans_up())
            except asyncio.CancelledError:
                log.append("cancelled")

        process = here.start(parent())
        await here.sleep(MS)
        process.interrupt()
        await here.sleep(Duration(2 * MS))
        assert log == ["clean", "clean", "cancelled"]

    play(scene)


def test_foreign_awaitable_fails_clearly() -> None:
    """Whoever awaits what is no verb is told so, with the name of the coroutine that did."""

    @types.coroutine
    def foreign() -> Generator[None]:
        yield

    async def stage() -> None:
        await foreign()

    with pytest.raises(TypeError, match=r"stage awaited .* verbs"):
        World(BEGAN).run(stage())
