"""What is traced of attempts."""

import asyncio
import gc
from collections.abc import Coroutine
from contextlib import nullcontext
from typing import Any, cast

import pytest

from jobsim.core.outcome import SUCCEEDED, Outcome
from jobsim.live.tracing import Tracer, traced_async
from jobsim.storage.memory import MemoryStorage
from jobsim.testing.conformance_base import start


class _Untold:
    """A tracer that is told nothing."""

    def attempting(self, _: object) -> nullcontext[None]:
        """Return a block in which nothing is told."""
        return nullcontext()


def test_traced_attempt_that_is_cancelled_before_its_first_step_leaves_nothing() -> None:
    """No coroutine is made that nobody awaits, of which Python would warn."""
    lease = start(MemoryStorage())

    async def run() -> Outcome:
        return SUCCEEDED

    async def cancel_at_once() -> None:
        attempt: Coroutine[Any, Any, Outcome] = traced_async(cast("Tracer", _Untold()), lease, run)
        task = asyncio.create_task(attempt)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel_at_once())
    gc.collect()
