"""The live executor: where handlers run, how long they may, and what stops them."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from functools import wraps
from typing import Any

import pytest

from jobsim.core.job import Lease
from jobsim.core.outcome import SUCCEEDED, Failed, Lost, Outcome, Released, Succeeded, TimedOut
from jobsim.core.time import MILLISECOND, Duration
from jobsim.live import executor as module
from jobsim.live import threads
from jobsim.live.context import current_job
from jobsim.live.executor import HandlerExecutor
from jobsim.live.handler import Handler
from jobsim.runtime.live import LiveRuntime

pytestmark = pytest.mark.live

MakeLease = Callable[..., Lease]
MakeHandler = Callable[..., Handler[..., Any]]
Play = Callable[..., None]

PATIENCE_S = 60.0
SHORT = Duration(20 * MILLISECOND)
"""Time for everything that is ready to happen; where it is too short, a test passes all the same."""

ENOUGH = Duration(500 * MILLISECOND)
"""Time in which a handler surely has begun."""

both = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])


def made(body: Callable[..., Any], *, is_async: bool) -> Callable[..., Any]:
    """Return `body` as a sync or an async function."""
    if not is_async:
        return body

    @wraps(body)
    async def later(**arguments: Any) -> Any:
        return body(**arguments)

    return later


def begun(executor: HandlerExecutor, lease: Lease) -> "asyncio.Task[Outcome]":
    """Return an attempt that runs beside the test."""

    async def attempt() -> Outcome:
        return await executor.execute(lease)

    return asyncio.create_task(attempt())


async def forever() -> None:
    """Wait as an async handler does that nobody stops."""
    await asyncio.Event().wait()


@both
def test_handlers_run_beside_the_engine(
    play: Play, lease: MakeLease, handler: MakeHandler, is_async: bool
) -> None:
    """A handler that blocks, sync or async, does not block the engine's loop."""
    where: list[int] = []
    go = threading.Event()

    def block() -> None:
        where.append(threading.get_ident())
        assert go.wait(PATIENCE_S)

    async def scene(runtime: LiveRuntime, executor: HandlerExecutor) -> None:
        task = begun(executor, lease())
        await runtime.sleep(SHORT)
        go.set()
        assert await task == SUCCEEDED

    play(scene, handler(made(block, is_async=is_async)))
    assert where != [threading.get_ident()]


@both
def test_as_many_run_at_a_time_as_there_are_slots(
    play: Play, lease: MakeLease, handler: MakeHandler, is_async: bool
) -> None:
    """All slots work at the same time."""
    meeting = threading.Barrier(4)

    def meet() -> None:
        meeting.wait(PATIENCE_S)

    async def meet_elsewhere() -> None:
        await asyncio.to_thread(meet)

    async def scene(_: LiveRuntime, executor: HandlerExecutor) -> None:
        tasks = [begun(executor, lease(number)) for number in range(4)]
        assert await asyncio.gather(*tasks) == [SUCCEEDED] * 4

    play(scene, handler(meet_elsewhere if is_async else meet), slots=4)


def test_threads_are_used_again(play: Play, lease: MakeLease, handler: MakeHandler) -> None:
    """Attempts one after the other need one thread."""
    where: set[int] = set()

    async def scene(_: LiveRuntime, executor: HandlerExecutor) -> None:
        for number in range(5):
            await executor.execute(lease(number))

    play(scene, handler(lambda: where.add(threading.get_ident())))
    assert len(where) == 1


def test_an_unknown_kind_fails_and_names_the_one_meant(
    play: Play, lease: MakeLease, handler: MakeHandler
) -> None:
    """A job without a handler takes the path of every failure."""

    async def scene(_: LiveRuntime, executor: HandlerExecutor) -> None:
        outcome = await executor.execute(lease(kind="wrok"))
        assert isinstance(outcome, Failed)
        assert outcome.error.kind == "jobsim.UnknownKind"
        assert "no handler for 'wrok' (did you mean 'work'?)" in outcome.error.message

    play(scene, handler(lambda: None))


@both
def test_the_tally_counts_how_attempts_ended(
    play: Play, lease: MakeLease, handler: MakeHandler, is_async: bool
) -> None:
    """Every attempt is counted once, under its outcome."""

    def work(number: int) -> int:
        return 1 // number

    async def scene(_: LiveRuntime, executor: HandlerExecutor) -> None:
        for number in (1, 0, 2):
            await executor.execute(lease(number, payload=f'{{"number":{number}}}'))
        assert executor.tally == {Succeeded: 2, Failed: 1}

    play(scene, handler(made(work, is_async=is_async)))


def test_an_async_handler_that_runs_out_of_time_is_cancelled(
    play: Play, lease: MakeLease, handler: MakeHandler
) -> None:
    """It may clean up first; the attempt has timed out, whatever it returns then."""
    log: list[str] = []

    async def work() -> str:
        try:
            await forever()
        finally:
            log.append("clean")
            return "late"  # noqa: B012  # a handler may do as it likes

    async def scene(_: LiveRuntime, executor: HandlerExecutor) -> None:
        assert await executor.execute(lease()) == TimedOut(ENOUGH)

    play(scene, handler(work, ENOUGH))
    assert log == ["clean"]


def test_a_sync_handler_that_runs_out_of_time_takes_up_its_slot(
    play: Play, lease: MakeLease, handler: MakeHandler, caplog: pytest.LogCaptureFixture
) -> None:
    """The attempt ends; its thread goes on, and no other handler runs in its place until it ends."""
    go = threading.Event()
    limit = Duration(250 * MILLISECOND)
    running: list[bool] = []

    def work() -> None:
        running.append(current_job().cancelled)
        assert go.wait(PATIENCE_S)
        running.append(current_job().cancelled)

    async def scene(runtime: LiveRuntime, executor: HandlerExecutor) -> None:
        assert await executor.execute(lease(1)) == TimedOut(limit)
        second = begun(executor, lease(2))
        await runtime.sleep(SHORT)
        assert running == [False]
        go.set()
        assert await second == SUCCEEDED
        assert running == [False, True, False, False]

    play(scene, handler(work, limit), slots=1)
    assert "ran longer than 250ms" in caplog.text
    assert "it takes up a slot until it ends" in caplog.text


@pytest.mark.parametrize("slots", [1, 2])
def test_attempts_that_find_no_slot_are_given_back(
    play: Play,
    lease: MakeLease,
    handler: MakeHandler,
    monkeypatch: pytest.MonkeyPatch,
    slots: int,
) -> None:
    """Where handlers that overran take up all slots, jobs do not wait for them for ever."""
    monkeypatch.setattr(module, "PATIENCE", SHORT)
    go = threading.Event()

    async def scene(_: LiveRuntime, executor: HandlerExecutor) -> None:
        for number in range(slots):
            assert await executor.execute(lease(number)) == TimedOut(SHORT)
        assert await executor.execute(lease(9)) == Released()
        go.set()

    play(scene, handler(lambda: go.wait(PATIENCE_S), SHORT), slots=slots)


def test_an_abandoned_async_handler_is_cancelled(play: Play, lease: MakeLease, handler: MakeHandler) -> None:
    """A handler whose lease is lost is stopped, and its slot is free again."""
    log: list[str] = []
    started = threading.Event()

    async def work() -> None:
        started.set()
        try:
            await forever()
        finally:
            log.append("clean")

    async def scene(runtime: LiveRuntime, executor: HandlerExecutor) -> None:
        task = begun(executor, lease())
        await runtime.call(started.wait, PATIENCE_S)
        executor.abandon(lease(2))
        executor.abandon(lease(1, attempt=2))
        await runtime.sleep(SHORT)
        assert not task.done()
        executor.abandon(lease())
        assert await task == Lost()
        assert log == ["clean"]

    play(scene, handler(work), slots=1)


def test_an_abandoned_sync_handler_is_told(play: Play, lease: MakeLease, handler: MakeHandler) -> None:
    """It sees that it is no longer wanted, and nobody waits for it."""
    started = threading.Event()

    def work() -> None:
        started.set()
        while not current_job().cancelled:
            threading.Event().wait(0.001)

    async def scene(runtime: LiveRuntime, executor: HandlerExecutor) -> None:
        task = begun(executor, lease(1))
        await runtime.call(started.wait, PATIENCE_S)
        executor.abandon(lease(1))
        assert await task == Lost()
        second = begun(executor, lease(2))
        await runtime.sleep(SHORT)
        executor.abandon(lease(2))
        assert await second == Lost()

    play(scene, handler(work), slots=1)


@both
def test_a_worker_that_waits_no_longer_stops_the_handler(
    play: Play, lease: MakeLease, handler: MakeHandler, is_async: bool
) -> None:
    """A cancelled `execute` raises at once; an async handler is cancelled, a sync one told."""
    stopped = threading.Event()

    def work() -> None:
        while not current_job().cancelled:
            threading.Event().wait(0.001)
        stopped.set()

    async def work_async() -> None:
        try:
            await forever()
        finally:
            stopped.set()

    async def scene(runtime: LiveRuntime, executor: HandlerExecutor) -> None:
        task = begun(executor, lease())
        await runtime.sleep(SHORT)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert task.cancelled()
        assert await runtime.call(stopped.wait, PATIENCE_S)
        assert executor.tally == {Released: 1}

    play(scene, handler(work_async if is_async else work))


def test_an_async_handler_that_ignores_its_cancellation_is_left(
    play: Play, lease: MakeLease, handler: MakeHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a moment the attempt ends without it, and its slot is taken until it does."""
    monkeypatch.setattr(module, "GRACE_S", 0.02)
    monkeypatch.setattr(module, "PATIENCE", SHORT)
    go = threading.Event()

    async def work() -> None:
        while not go.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await LiveRuntime().sleep(Duration(MILLISECOND))

    async def scene(_: LiveRuntime, executor: HandlerExecutor) -> None:
        assert await executor.execute(lease(1)) == TimedOut(SHORT)
        assert await executor.execute(lease(2)) == Released()
        go.set()

    play(scene, handler(work, SHORT), slots=1)


def test_a_task_of_a_handler_that_exits_costs_no_more_than_its_attempt(
    play: Play, lease: MakeLease, handler: MakeHandler, caplog: pytest.LogCaptureFixture
) -> None:
    """Asyncio lets a task's SystemExit through its loop; the loop of the handlers goes on."""

    async def leave() -> None:
        raise SystemExit(3)

    async def work(number: int) -> None:
        if number == 1:
            await asyncio.create_task(leave())

    async def scene(_: LiveRuntime, executor: HandlerExecutor) -> None:
        first = await executor.execute(lease(1, payload='{"number":1}'))
        assert isinstance(first, Failed)
        assert first.error.kind == "SystemExit"
        assert await executor.execute(lease(2, payload='{"number":2}')) == SUCCEEDED

    play(scene, handler(work))
    assert "tried to end the process" in caplog.text


def test_close_leaves_a_handler_that_blocks_its_loop(
    play: Play,
    lease: MakeLease,
    handler: MakeHandler,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The end of a worker waits a moment for async handlers, and no longer."""
    monkeypatch.setattr(threads, "GRACE_S", 0.02)
    go = threading.Event()

    async def work() -> None:
        go.wait(PATIENCE_S)

    async def scene(runtime: LiveRuntime, executor: HandlerExecutor) -> None:
        task = begun(executor, lease())
        await runtime.sleep(SHORT)
        task.cancel()

    play(scene, handler(work))
    go.set()
    assert "blocks its event loop" in caplog.text


def test_a_system_without_threads_costs_an_attempt(
    play: Play, lease: MakeLease, handler: MakeHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no thread can be started the attempt fails, and the worker goes on."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def scene(_: LiveRuntime, executor: HandlerExecutor) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            outcome = await executor.execute(lease(1))
        assert isinstance(outcome, Failed)
        assert "can't start new thread" in outcome.error.message
        assert await executor.execute(lease(2)) == SUCCEEDED

    play(scene, handler(lambda: None), slots=1)


def test_an_attempt_for_which_there_is_no_thread_leaves_no_timer(
    play: Play, lease: MakeLease, handler: MakeHandler, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    """Where the system gives no thread the attempt fails, and is not said to have overrun its time later."""

    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threads.HandlerThreads, "start", refuse)

    async def scene(runtime: LiveRuntime, executor: HandlerExecutor) -> None:
        assert isinstance(await executor.execute(lease()), Failed)
        await runtime.sleep(Duration(5 * SHORT))
        assert "ran longer" not in caplog.text

    play(scene, handler(lambda: None, timeout=SHORT))
