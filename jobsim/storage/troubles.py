"""What befalls storage calls, and where that comes from: a script, chance, or a window of time."""

from collections.abc import Callable, Collection, Mapping, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from jobsim.core.time import Duration, Instant


class Mishap(StrEnum):
    """How a storage call can go wrong; each says what was kept of it, and what the caller hears."""

    BUSY = "busy"
    """Nothing is kept; `StorageBusy`."""

    FULL = "full"
    """Nothing is kept; `StorageFull`."""

    UNREACHABLE = "unreachable"
    """Nothing is kept: the call never arrived, or was undone; `StorageUnavailable`."""

    LOST_REPLY = "lost_reply"
    """All is kept; `StorageUnavailable`. Made again by this process, the call answers as it would have."""

    BROKEN = "broken"
    """All is kept, but that may not last; `StorageBroken`, after which a process must end."""

    DIES_BEFORE = "dies_before"
    """Nothing is kept, and the caller dies."""

    DIES_AFTER = "dies_after"
    """All is kept, and the caller dies before it hears of it."""


PASSING: Final = (Mishap.BUSY, Mishap.FULL, Mishap.UNREACHABLE, Mishap.LOST_REPLY)
"""What a worker gets over by trying again."""

DEADLY: Final = (Mishap.BROKEN, Mishap.DIES_BEFORE, Mishap.DIES_AFTER)
"""What ends a worker's process."""


class Trouble(NamedTuple):
    """What befalls one call: a mishap, or (`None`) none but that it `takes` so much longer."""

    mishap: Mishap | None = None
    takes: Duration = Duration(0)


Troubles = Callable[[str], Trouble | None]
"""Asked once for each call, told the name of the method: what befalls it?"""

_NOTHING: Final = Trouble()


class Script:
    """Troubles by the number of the call, from 1; `seen` names the calls that were made.

    Calls are numbered among those named in `calls`; where that is empty, among all.
    """

    def __init__(self, script: Mapping[int, Trouble | Mishap], calls: Collection[str] = ()) -> None:
        self.seen: list[str] = []
        self._script = script
        self._calls = calls

    def __call__(self, name: str) -> Trouble | None:
        """Return what the script has for this call."""
        if self._calls and name not in self._calls:
            return None
        self.seen.append(name)
        trouble = self._script.get(len(self.seen))
        return Trouble(trouble) if isinstance(trouble, Mishap) else trouble


class Chance:
    """Trouble that befalls each call with the same probability, those named in `calls` alone if any are.

    `uniform` gives the number on [0, 1) that decides of the n-th call, n from 1.
    """

    def __init__(
        self,
        probability: float,
        trouble: Trouble,
        uniform: Callable[[int], float],
        calls: Collection[str] = (),
    ) -> None:
        self._probability, self._trouble, self._uniform = probability, trouble, uniform
        self._calls = calls
        self._made = 0

    def __call__(self, name: str) -> Trouble | None:
        """Return the trouble if it strikes."""
        if self._calls and name not in self._calls:
            return None
        self._made += 1
        return self._trouble if self._uniform(self._made) < self._probability else None


class Latency:
    """Calls that take time: `draw` turns the n-th number of `uniform`, n from 1, into how long."""

    def __init__(self, draw: Callable[[float], Duration], uniform: Callable[[int], float]) -> None:
        self._draw, self._uniform = draw, uniform
        self._made = 0

    def __call__(self, name: str) -> Trouble:
        """Return how long this call takes."""
        self._made += 1
        return Trouble(None, self._draw(self._uniform(self._made)))


class Windows:
    """Trouble that befalls every call between the `begin` and the `end` of a window, by the clock `now`."""

    def __init__(
        self, windows: Sequence[tuple[Instant, Instant]], trouble: Trouble, now: Callable[[], Instant]
    ) -> None:
        self._windows, self._trouble, self._now = windows, trouble, now

    def __call__(self, name: str) -> Trouble | None:
        """Return the trouble within a window."""
        now = self._now()
        return self._trouble if any(begin <= now < end for begin, end in self._windows) else None


class Together:
    """Several troubles at once: the first mishap counts, and times add up."""

    def __init__(self, *sources: Troubles) -> None:
        self._sources = sources

    def __call__(self, name: str) -> Trouble | None:
        """Ask all, so that none of them depends on what another says."""
        said = [source(name) or _NOTHING for source in self._sources]
        mishap = next((trouble.mishap for trouble in said if trouble.mishap is not None), None)
        takes = Duration(sum(trouble.takes for trouble in said))
        return Trouble(mishap, takes) if mishap is not None or takes else None


NO_TROUBLES: Final = Together()
"""Lets every call be as it is."""
