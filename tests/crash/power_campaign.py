"""Many days that are cut, on disks of several kinds, and the images that they leave, each counted once."""

import multiprocessing
import os
import tempfile
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from time import process_time  # what is recorded tells how much work it was

import apsw
import numpy as np
from numpy.typing import NDArray

from jobsim.testing.power_cut import PowerCutDisk
from jobsim.testing.power_jobs import JobsKept
from jobsim.testing.power_losses import THOROUGH
from jobsim.testing.power_survey import Case, survey
from tests.crash.power import play, reopened
from tests.crash.power_bugs import FEW

Prints = NDArray[np.uint64]
"""The first eight bytes of images' digests: of five million, fewer than one pair is alike by chance."""


@dataclass(frozen=True, slots=True)
class CutDay:
    """What cuts of one day left, all of it sound: its images, and those of cuts of their recovery."""

    cuts: int
    commits: int
    images: Prints
    of_recovery: Prints
    cpu_seconds: float


class Images:
    """Images that were seen, in eight bytes each."""

    def __init__(self) -> None:
        self._sorted: Prints = np.empty(0, np.uint64)

    def __len__(self) -> int:
        return len(self._sorted)

    def add(self, prints: Prints) -> int:
        """Return how many of `prints` had not been seen."""
        prints = np.unique(prints)
        places = np.searchsorted(self._sorted, prints)
        new = np.ones(len(prints), bool)
        inside = places < len(self._sorted)
        new[inside] = self._sorted[places[inside]] != prints[inside]
        self._sorted = np.insert(self._sorted, places[new], prints[new])
        return int(new.sum())


def cut_days() -> Generator[CutDay]:
    """Yield day after day, in the order of their seeds, cut on all processors."""
    workers = os.cpu_count() or 1
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        coming = deque(pool.submit(cut_day, seed) for seed in range(2 * workers))
        try:
            for seed in count(2 * workers):
                yield coming.popleft().result()
                coming.append(pool.submit(cut_day, seed))
        finally:
            pool.shutdown(cancel_futures=True)


def cut_day(seed: int) -> CutDay:
    """Cut the power throughout a day, and throughout the recovery of some of what that leaves.

    Raises:
        AssertionError: an image is not sound.
    """
    began, images, of_recovery = process_time(), list[bytes](), list[bytes]()
    losses = replace(THOROUGH, neighbours=seed % 3 == 0)
    sector, powersafe = [512, 4096][seed % 2], seed % 3 != 0
    with known_salts(), _directory() as place, PowerCutDisk(sector=sector, powersafe=powersafe) as disk:
        play(place, disk, seed, rounds=1 + seed % 3)
        for case in survey(disk, losses, seed, JobsKept(disk)):
            assert case.sound, f"day {seed}: {case}"
            images.append(case.image.digest)
            if len(images) % 400 == 0:
                of_recovery += _cut_again(case, place)
    return CutDay(
        len(disk.steps) + 1, case.reached, _prints(images), _prints(of_recovery), process_time() - began
    )


@contextmanager
def known_salts() -> Iterator[None]:
    """Have SQLite's random numbers begin anew: salts of WALs alone tell images of two days apart."""
    known = _KnownSalts()
    apsw.randomness(0)
    apsw.randomness(1)
    known.unregister()
    yield
    apsw.randomness(0)


class _KnownSalts(apsw.VFS):
    """A file layer of which SQLite's random numbers begin the same every time."""

    def __init__(self) -> None:
        super().__init__("known-salts", "unix", makedefault=True)

    def xRandomness(self, numbytes: int) -> bytes:  # noqa: N802
        return bytes(numbytes)


@contextmanager
def _directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as place:
        yield Path(place)


def _cut_again(case: Case, place: Path) -> list[bytes]:
    """Cut the recovery of an image, too."""
    images = []
    with PowerCutDisk() as disk:
        reopened(case.image, place, disk)
        for again in survey(disk, FEW):
            assert again.sound, f"{case}, then {again}"
            images.append(again.image.digest)
    return images


def _prints(digests: list[bytes]) -> Prints:
    return np.array([int.from_bytes(digest[:8]) for digest in digests], np.uint64)
