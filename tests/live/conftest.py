"""What tests of the live world share: leases, handlers, and an executor on a loop."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from jobsim.core.job import JobId, Lease, WorkerId
from jobsim.core.policy import RetryPolicy
from jobsim.core.time import Duration, DurationLike, Instant
from jobsim.live.executor import HandlerExecutor
from jobsim.live.handler import Handler
from jobsim.live.terms import Terms
from jobsim.runtime.live import LiveRuntime

MakeLease = Callable[..., Lease]
MakeHandler = Callable[..., Handler[..., Any]]
Scene = Callable[[LiveRuntime, HandlerExecutor], Awaitable[None]]
Play = Callable[..., None]


@pytest.fixture
def lease() -> MakeLease:
    """Return a function that makes the lease of the job with the given number."""

    def make(number: int = 1, kind: str = "work", payload: str = "{}", attempt: int = 1) -> Lease:
        return Lease(
            key=number,
            id=JobId(number),
            kind=kind,
            queue="default",
            attempt=attempt,
            max_attempts=5,
            budget=5,
            token=attempt,
            enqueued=Instant(0),
            delay=Duration(0),
            until=Instant(0),
            worker=WorkerId("w"),
            payload=payload,
        )

    return make


@pytest.fixture
def handler() -> MakeHandler:
    """Return a function that makes a handler of kind ``work``."""

    def make(
        fn: Callable[..., Any],
        timeout: DurationLike | None = None,
        *,
        keep_result: bool = False,
        isolation: str = "thread",
    ) -> Handler[..., Any]:
        terms = Terms(policy=RetryPolicy(), timeout=timeout, keep_result=keep_result, isolation=isolation)
        return Handler(lambda *_: [], "work", fn, terms)

    return make


@pytest.fixture
def play() -> Play:
    """Return a function that plays a scene with an executor for the given handler."""

    def run(scene: Scene, handler: Handler[..., Any], slots: int = 2) -> None:
        async def stage() -> None:
            runtime = LiveRuntime()
            executor = HandlerExecutor(runtime, {handler.kind: handler}, slots)
            try:
                await scene(runtime, executor)
            finally:
                executor.close()
                runtime.close()

        asyncio.run(stage())

    return run
