"""What follows the end: faults have stopped, the clock goes on, and every job must become final."""

from typing import Final, Protocol

PATIENCE: Final = 60
"""Ticks until which every job must be final: many times as many as all attempts take."""

_BUSY: Final = 500
"""Rounds in which somebody still has something to do, after which it is no use waiting for them."""


class Draining(Protocol):
    """A world without faults."""

    def turns(self) -> int:
        """Return how many processes there are."""
        ...

    def turn(self, who: int) -> bool:
        """Let a process make its next move; `False` where it has none."""
        ...

    def tick(self) -> None:
        """Let the clock advance."""
        ...

    def drained(self) -> bool:
        """Return whether every job is final, or known to become so."""
        ...


def drains(world: Draining) -> bool:
    """Let processes take turns until each job is final; `False` where that does not happen."""
    for _ in range(PATIENCE):
        if not _quiet(world):
            return False
        if world.drained():
            return True
        world.tick()
    return False


def _quiet(world: Draining) -> bool:
    """Let processes take turns until none has a move left; `False` where that does not end."""
    return any(sum(map(world.turn, range(world.turns()))) == 0 for _ in range(_BUSY))
