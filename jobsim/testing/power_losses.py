"""Which of its unsynced changes a power cut loses: the choices among all that it may."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from jobsim.core.streams import Stream
from jobsim.testing.power_platter import SECTOR, Change, Write


@dataclass(frozen=True, slots=True)
class Losses:
    """What to try at every cut, beside that all survives and that nothing does.

    Each prefix of what is pending survives, also where it ends within a write; all but one; every subset,
    where no more than `exhaustive` changes are pending, or else `random` ones; of more than `most` such
    choices so many, taken at random. In `garbage` subsets more, a third of what is lost becomes random bytes:
    where it was written, or with `neighbours` in the whole sector, as on a disk without the power to end a
    write. SQLite takes it that disks do not do the latter ("powersafe overwrite"), unless it is told.
    """

    exhaustive: int = 5
    random: int = 8
    garbage: int = 0
    neighbours: bool = False
    most: int = 1_000_000

    def of(self, pending: Sequence[Change], known: int, numbers: Stream) -> Iterator[list[Change]]:
        """Yield what survives, choice by choice; of prefixes only those longer than `known`."""
        tries = [partial(_prefix, pending, length) for length in range(known, len(pending))]
        if len(pending) > 2:
            tries += [partial(_all_but, pending, lost) for lost in range(len(pending) - 1)]
        if len(pending) <= self.exhaustive:
            tries += [partial(_subset, pending, number) for number in range(1 << len(pending))]
        else:
            tries += [partial(_some, pending, numbers)] * self.random
        for _ in range(len(tries) - self.most):
            tries.pop(numbers.bits() % len(tries))
        for surviving in tries:
            yield surviving()
        for _ in range(self.garbage if pending else 0):
            yield self._spoilt(pending, numbers)

    def _spoilt(self, pending: Sequence[Change], numbers: Stream) -> list[Change]:
        kept: list[Change] = []
        for change in pending:
            draw = numbers.random()
            if draw < 0.7:
                kept.append(change)
            elif draw < 0.8 and isinstance(change, Write):
                kept.append(self._noise(change, numbers))
        return kept

    def _noise(self, write: Write, numbers: Stream) -> Write:
        offset, length = write.offset, len(write.data)
        if self.neighbours:
            offset, length = offset - offset % SECTOR, SECTOR
        words = (numbers.bits().to_bytes(8) for _ in range(length // 8 + 1))
        return Write(write.file, offset, b"".join(words)[:length])


def _prefix(pending: Sequence[Change], length: int) -> list[Change]:
    return [*pending[:length]]


def _all_but(pending: Sequence[Change], lost: int) -> list[Change]:
    return [*pending[:lost], *pending[lost + 1 :]]


def _subset(pending: Sequence[Change], number: int) -> list[Change]:
    return [change for place, change in enumerate(pending) if number >> place & 1]


def _some(pending: Sequence[Change], numbers: Stream) -> list[Change]:
    words = (numbers.bits().to_bytes(8) for _ in range(0, len(pending), 64))
    return _subset(pending, int.from_bytes(b"".join(words)))


THOROUGH: Final = Losses(random=40, garbage=4)
"""For campaigns."""

QUICK: Final = replace(THOROUGH, exhaustive=3, random=2, garbage=1, most=12)
"""For every day."""
