"""What runs an attempt: the user's handler live, a model of it in a simulation."""

from collections.abc import Awaitable
from typing import Protocol

from jobsim.core.job import Lease
from jobsim.core.outcome import Outcome


class Executor(Protocol):
    """Runs attempts; the worker neither knows nor cares how."""

    def execute(self, lease: Lease) -> Awaitable[Outcome]:
        """Run the attempt that `lease` gives the right to, and return how it ended.

        Never raises, except `asyncio.CancelledError` where the worker stops waiting for it.
        """
        ...

    def abandon(self, lease: Lease) -> None:
        """Stop the attempt if that is possible: its lease is gone, and its outcome no longer wanted."""
        ...
