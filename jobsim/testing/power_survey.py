"""Every image that a cut could leave, recovered and compared: what a database survives.

Not seen: what a file system loses of its own, and disks that confirm what they have not written.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import apsw

from jobsim.core.streams import Streams
from jobsim.testing.power_cut import Cut, PowerCutDisk
from jobsim.testing.power_losses import THOROUGH, Losses
from jobsim.testing.power_platter import Image
from jobsim.testing.power_recovery import Recovery

_PURPOSE: Final = "power"
_NO_WAL: Final = b"\1\1"
"""The versions in the header of a database that has no WAL, which one in memory cannot have."""

Promise = Callable[[bytes, int], str]
"""Told a recovered database and how many notes had been taken: what of these it does not keep, or nothing."""


@dataclass(frozen=True, slots=True)
class Case:
    """An image that a cut after `steps` left, and what recovery made of it.

    `state` says after which of its commits, from 0, the database was found; `None` says after none. At least
    it is to be number `told`, at most `reached`. `is_new` says that no case before had the same image.
    `broken` names what else is wrong.
    """

    steps: int
    image: Image
    state: int | None
    told: int
    reached: int
    is_new: bool
    broken: str = ""

    @property
    def sound(self) -> bool:
        """Whether all is as it should be."""
        return self.state is not None and self.told <= self.state <= self.reached and not self.broken

    @property
    def lost(self) -> bool:
        """Whether a commit was undone of which somebody had been told."""
        return self.state is not None and self.state < self.told

    def __str__(self) -> str:
        found = "as it never was" if self.state is None else f"after commit {self.state}"
        return (
            f"power cut after {self.steps} steps: found {found}, told of {self.told}, reached {self.reached}"
            f"{self.broken and f': {self.broken}'}"
        )


def survey(
    disk: PowerCutDisk, losses: Losses = THOROUGH, seed: int = 0, promise: Promise = lambda *_: ""
) -> Iterator[Case]:
    """Cut the power at every step that `disk` has noted, and yield what is found then, image by image.

    An image that is found again is yielded only where it is not sound: somebody may have been told meanwhile.
    """
    return _Survey(disk, losses, Streams(seed), promise).cases()


class _Survey:
    def __init__(self, disk: PowerCutDisk, losses: Losses, streams: Streams, promise: Promise) -> None:
        self._disk = disk
        self._losses = losses
        self._streams = streams
        self._promise = promise
        self._recovery = Recovery()
        self._contents: list[bytes] = []
        self._broken: list[str] = []
        self._states: dict[bytes, int] = {}
        self._found: dict[bytes, tuple[int | None, str]] = {}
        self._promises: dict[tuple[int, int], str] = {}

    def cases(self) -> Iterator[Case]:
        floor, told, epoch, known = 0, 0, -1, 0
        try:
            for cut in self._disk.cuts():
                pending, synced = cut.platter.pending, cut.platter.synced
                self._reach(cut.seen)
                if cut.told > told:
                    floor, told, epoch = len(self._contents) - 1, cut.told, -1
                known = known if epoch == synced else 0
                numbers = self._streams.stream(_PURPOSE, cut.steps)
                for kept in ([*pending], *self._losses.of(pending, known, numbers)):
                    case = self._case(cut, cut.platter.image(kept), floor)
                    if case.is_new or not case.sound:
                        yield case
                epoch, known = synced, len(pending)
        finally:
            self._recovery.unregister()

    def _reach(self, whole: Image) -> None:
        """Note the state that is there where nothing is lost, as when a process dies and not the machine."""
        content = self._recovery.recovered(whole, self._disk.database)
        if not self._contents or content != self._contents[-1]:
            self._states[content] = len(self._contents)
            self._contents.append(content)
            self._broken.append(integrity(content))

    def _case(self, cut: Cut, image: Image, floor: int) -> Case:
        is_new = image.digest not in self._found
        if is_new:
            self._found[image.digest] = self._recovered(image)
        state, broken = self._found[image.digest]
        if state is not None and not broken:
            broken = self._kept(state, cut.notes)
        return Case(cut.steps, image, state, floor, len(self._contents) - 1, is_new, broken)

    def _recovered(self, image: Image) -> tuple[int | None, str]:
        try:
            content = self._recovery.recovered(image, self._disk.database)
        except apsw.Error as error:
            return None, str(error)
        return self._states.get(content), ""

    def _kept(self, state: int, notes: int) -> str:
        if (state, notes) not in self._promises:
            self._promises[state, notes] = self._broken[state] or self._promise(self._contents[state], notes)
        return self._promises[state, notes]


def integrity(content: bytes) -> str:
    """Return what SQLite's own check finds wrong with a database, or nothing."""
    if not content:
        return ""
    connection = apsw.Connection(":memory:")
    try:
        connection.deserialize("main", content[:18] + _NO_WAL + content[20:])
        found = [text for (text,) in connection.execute("PRAGMA integrity_check").fetchall()]
    except apsw.Error as error:
        return str(error)
    finally:
        connection.close()
    return "" if found == ["ok"] else "; ".join(map(str, found))
