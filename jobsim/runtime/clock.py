"""The clock of a deployment: its server's, which this machine's own carries on between two looks at it."""

import time
from collections.abc import Callable
from typing import Final

from jobsim.core.time import SECOND, Duration, Instant

_STEADY: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Never set, and goes on while the machine is suspended."""

LOOK: Final = Duration(10 * SECOND)
"""How old a worker's last look at its server's clock may get."""

_DRIFT: Final = 2_000
"""A machine's clock goes wrong by less than a part in this many."""

_FIRST_LOOKS: Final = 3
"""How often it is looked at first: the first of all waits for a connection, too, which misleads."""


def elapsed() -> int:
    """Return the microseconds since this machine was started."""
    return time.clock_gettime_ns(_STEADY) // 1_000


class ServerClock:
    """Shows the time of a server, which `ask` looks at, without asking for it each time.

    A look is wrong by half of the time it took, at most. It is taken over where that is less than what the
    one before may be wrong by now, or where the two cannot both be right: then the server's clock was set.
    """

    def __init__(self, ask: Callable[[], Instant], elapsed: Callable[[], int] = elapsed) -> None:
        self._ask = ask
        self._elapsed = elapsed
        self._ahead, self._bound, self._looked = self._see()
        for _ in range(_FIRST_LOOKS - 1):
            self._learn(*self._see())

    def now(self) -> Instant:
        """Return the present."""
        return Instant(self._ahead + self._elapsed())

    def look(self) -> None:
        """Look at the server's clock again.

        Raises:
            StorageError: it cannot be seen; the clock goes on as it was.
        """
        self._learn(*self._see())

    def learn(self, asked: int, seen: Instant, told: int) -> None:
        """Learn that the server's clock showed `seen` at some time between those two of `elapsed`."""
        self._learn(*_seen(asked, seen, told))

    def _learn(self, ahead: int, bound: int, looked: int) -> None:
        before = self._bound + (looked - self._looked) // _DRIFT
        if bound < before or abs(ahead - self._ahead) > bound + before:
            self._ahead, self._bound, self._looked = ahead, bound, looked

    def look_after(self, age: int) -> None:
        """Look again where the last time was more than `age` microseconds ago.

        Raises:
            StorageError: it cannot be seen; the clock goes on as it was.
        """
        if self._elapsed() - self._looked > age:
            self.look()

    def _see(self) -> tuple[int, int, int]:
        """Look: how far is the server ahead of this machine, how wrong may that be, and when was it so?"""
        asked = self._elapsed()
        seen = self._ask()
        told = self._elapsed()
        return _seen(asked, seen, told)


def _seen(asked: int, seen: Instant, told: int) -> tuple[int, int, int]:
    """Return how far the server is ahead, how wrong that may be, and when it was so."""
    return seen - (asked + told) // 2, (told - asked) // 2 + 1, told
