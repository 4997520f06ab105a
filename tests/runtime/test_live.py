"""The verbs on asyncio."""

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest

from jobsim.core.time import MILLISECOND, SECOND, Duration, Instant
from jobsim.runtime.live import LiveRuntime, now

pytestmark = pytest.mark.live

LONG = Duration(60 * SECOND)
SHORT = Duration(5 * MILLISECOND)


def play(scene: Callable[[LiveRuntime], Awaitable[None]]) -> None:
    """Play `scene` on a runtime of its own."""

    async def stage() -> None:
        runtime = LiveRuntime()
        try:
            await scene(runtime)
        finally:
            runtime.close()

    asyncio.run(stage())


async def turns(number: int = 5) -> None:
    """Let everything that is ready run."""
    for _ in range(number):
        await LiveRuntime().sleep(Duration(0))


def test_now_is_the_systems_clock_in_microseconds() -> None:
    """The present is a whole number of microseconds since the epoch, and moves on."""
    begin = now()
    assert isinstance(begin, int)
    assert begin > 1_700_000_000 * SECOND

    async def scene(runtime: LiveRuntime) -> None:
        await runtime.sleep(SHORT)
        assert runtime.now() >= begin + SHORT

    play(scene)


def test_ring_is_remembered_once() -> None:
    """Of rings that nobody hears one is kept: the next wait returns at once, the one after does not."""

    async def scene(runtime: LiveRuntime) -> None:
        bell = runtime.signal()
        bell.ring()
        bell.ring(3)
        assert await runtime.wait(bell, LONG)
        assert not await runtime.wait(bell, SHORT)

    play(scene)


def test_ring_wakes_as_many_as_it_says_in_their_order() -> None:
    """Waiters are woken in the order they came, no more than asked for, and nothing is remembered then."""

    async def scene(runtime: LiveRuntime) -> None:
        bell, woken = runtime.signal(), list[int]()

        async def waiter(number: int) -> None:
            await runtime.wait(bell)
            woken.append(number)

        tasks = [asyncio.create_task(waiter(number)) for number in range(4)]
        await turns()
        bell.ring(2)
        await turns()
        assert woken == [0, 1]
        bell.ring(5)
        await asyncio.gather(*tasks)
        assert woken == [0, 1, 2, 3]
        assert not await runtime.wait(bell, SHORT)

    play(scene)


def test_ring_reaches_the_loop_from_another_thread() -> None:
    """A bell may be rung from any thread, and wakes a loop that sleeps."""

    async def scene(runtime: LiveRuntime) -> None:
        bell = runtime.signal()
        ringer = threading.Thread(target=bell.ring)
        asyncio.get_running_loop().call_soon(ringer.start)
        assert await runtime.wait(bell, LONG)
        ringer.join()

    play(scene)


def test_ring_after_the_loop_has_ended_is_harmless() -> None:
    """Whoever enqueues does not fail because the worker is gone."""
    bells = []

    async def scene(runtime: LiveRuntime) -> None:
        bells.append(runtime.signal())

    play(scene)
    failures: list[object] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading, "excepthook", failures.append)
        ringer = threading.Thread(target=bells[0].ring)
        ringer.start()
        ringer.join()
    assert failures == []


def test_ring_of_a_cancelled_waiter_goes_to_the_next() -> None:
    """A ring that wakes a waiter in the moment it is cancelled is not lost."""

    async def scene(runtime: LiveRuntime) -> None:
        bell = runtime.signal()
        first = asyncio.create_task(runtime.wait(bell))
        second = asyncio.create_task(runtime.wait(bell, LONG))
        await turns()
        bell.ring()
        first.cancel()
        assert await second
        assert first.cancelled()

    play(scene)


def test_alarm_rings_once_at_the_earliest_time() -> None:
    """Of several alarms the earliest rings, one in the past at once; later ones must be asked for anew."""

    async def scene(runtime: LiveRuntime) -> None:
        bell, begin = runtime.signal(), runtime.now()
        bell.ring_at(Instant(begin + LONG))
        bell.ring_at(Instant(begin + SHORT))
        assert await runtime.wait(bell, LONG)
        assert runtime.now() - begin < LONG
        assert not await runtime.wait(bell, SHORT)
        bell.ring_at(begin)
        assert await runtime.wait(bell, LONG)

    play(scene)


def test_forgotten_ring_is_not_heard() -> None:
    """Whoever has looked for what a ring was for need not be woken for it again."""

    async def scene(runtime: LiveRuntime) -> None:
        bell = runtime.signal()
        bell.ring()
        bell.forget()
        assert not await runtime.wait(bell, SHORT)

    play(scene)


def test_wait_that_timed_out_leaves_nothing_behind() -> None:
    """An idle worker that looks again and again does not gather waiters, and rings go to those who live."""

    async def scene(runtime: LiveRuntime) -> None:
        bell = runtime.signal()
        for _ in range(3):
            assert not await runtime.wait(bell, Duration(0))
        cancelled = asyncio.create_task(runtime.wait(bell))
        await turns()
        cancelled.cancel()
        await turns()
        assert not bell._waiters  # that nothing is left cannot be seen from outside
        bell.ring()
        assert await runtime.wait(bell, LONG)

    play(scene)


def test_wait_refuses_a_bell_of_another_world() -> None:
    """A simulated doorbell is an error at once, not a wait without end."""

    class Foreign:
        def ring(self, count: int = 1) -> None:
            pass

        def ring_at(self, at: Instant) -> None:
            pass

        def forget(self) -> None:
            pass

    async def scene(runtime: LiveRuntime) -> None:
        with pytest.raises(TypeError, match="another world"):
            await runtime.wait(Foreign())

    play(scene)


def test_call_returns_value_or_error() -> None:
    """A call gives what the function returns, or raises what it raises, whatever that is."""

    async def scene(runtime: LiveRuntime) -> None:
        assert await runtime.call(divmod, 7, 2) == (3, 1)
        with pytest.raises(ZeroDivisionError):
            await runtime.call(divmod, 7, 0)
        with pytest.raises(RuntimeError, match="StopIteration"):
            await runtime.call(next, iter(()))

    play(scene)


def test_calls_share_one_thread_that_is_not_the_loops() -> None:
    """All calls run in one thread, one after the other, and the loop goes on meanwhile."""

    async def scene(runtime: LiveRuntime) -> None:
        goes_on = threading.Event()
        asyncio.get_running_loop().call_soon(goes_on.set)
        assert await runtime.call(goes_on.wait, 30)
        threads = [await runtime.call(threading.get_ident) for _ in range(3)]
        assert len(set(threads)) == 1
        assert threads[0] != threading.get_ident()

    play(scene)


def test_cancelled_caller_hears_of_it_after_the_call() -> None:
    """A call is never left half done: `CancelledError` comes once it has ended, however often cancelled."""

    async def scene(runtime: LiveRuntime) -> None:
        log, begun, go = list[str](), runtime.signal(), threading.Event()

        def commit() -> None:
            begun.ring()
            go.wait(30)
            log.append("committed")

        async def caller() -> None:
            try:
                await runtime.call(commit)
            except asyncio.CancelledError:
                log.append("cancelled")
                raise

        task = asyncio.create_task(caller())
        await runtime.wait(begun)
        task.cancel()
        await turns()
        task.cancel()
        await turns()
        assert log == []
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert log == ["committed", "cancelled"]

    play(scene)


def test_close_waits_for_calls_that_were_begun() -> None:
    """After `close` no call is under way any more."""
    done: list[int] = []

    async def scene(runtime: LiveRuntime) -> None:
        task = asyncio.create_task(_forward(runtime.call(done.append, 1)))
        await turns()
        runtime.close()
        assert done == [1]
        await task

    play(scene)


async def _forward(end: Awaitable[None]) -> None:
    await end


def test_together_waits_for_all() -> None:
    """It returns once every loop has ended; none at all have ended already."""
    log: list[object] = []

    async def scene(runtime: LiveRuntime) -> None:
        async def loop(number: int) -> None:
            await turns(number)
            log.append(number)

        await runtime.together()
        await runtime.together(loop(3), loop(1), loop(2))

    play(scene)
    assert log == [1, 2, 3]


def test_together_raises_the_first_failure_after_all_have_ended() -> None:
    """The first that fails cancels the others, is waited for with them, and is raised by itself."""
    log: list[object] = []

    async def scene(runtime: LiveRuntime) -> None:
        async def fails() -> None:
            await turns()
            raise LookupError("first")

        async def cleans_up() -> None:
            try:
                await runtime.sleep(LONG)
            finally:
                await turns()
                log.append("clean")
                raise ValueError("second")

        with pytest.raises(LookupError, match="first"):
            await runtime.together(cleans_up(), fails(), cleans_up())
        assert log == ["clean", "clean"]

    play(scene)


def test_together_cancelled_ends_all_first() -> None:
    """A cancelled `together` cancels its loops and waits for them, even where it is cancelled again."""
    log: list[object] = []

    async def scene(runtime: LiveRuntime) -> None:
        async def cleans_up() -> None:
            try:
                await runtime.sleep(LONG)
            finally:
                await runtime.call(log.append, "clean")

        task = asyncio.create_task(_forward(runtime.together(cleans_up(), cleans_up())))
        await turns()
        task.cancel()
        await turns(2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert log == ["clean", "clean"]

    play(scene)
