"""What the SQL of a store costs when it is executed by the bare driver: the floor under the store's calls.

The statements are heard as the store executes them, with their parameters ready for the driver; they are
executed again, in the same order, on a copy of the database, by a connection set up alike.
"""

from contextlib import AbstractContextManager
from typing import Any, Protocol

Heard = list[Any]
"""What was executed, as the floor of that driver keeps it."""


class Floor(Protocol):
    """A driver."""

    def hear(self) -> AbstractContextManager[Heard]:
        """Hear what any connection of this process executes meanwhile; the list grows."""
        ...

    def open(self, where: str, opening: Heard) -> None:
        """Connect to a copy; `opening` is what the store executed to set its own connection up."""
        ...

    def execute(self, heard: Heard) -> None:
        """Execute what was heard, and fetch all rows."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...
