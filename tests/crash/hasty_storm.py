"""A storm on a store with a planted bug: it acknowledges an enqueue, and commits it with the next one."""

import sys
from collections.abc import Sequence
from pathlib import Path

from jobsim.core.job import JobId, NewJob
from jobsim.core.time import Instant
from jobsim.storage.base import Storage
from jobsim.storage.faulty import FaultyStorage
from jobsim.testing.storm import Storm, main


class Hasty(FaultyStorage):
    """Keeps the last batch to itself for a while."""

    _kept: Sequence[NewJob] = ()

    def enqueue(self, jobs: Sequence[NewJob], now: Instant) -> list[JobId]:
        if self._kept:
            super().enqueue(self._kept, now)
        self._kept = jobs
        return [job.id for job in jobs]


class HastyStorm(Storm):
    """A storm on it."""

    def open(self) -> Storage:
        return Hasty(super().open())


if __name__ == "__main__":
    url, place, kills, seed = sys.argv[1:]
    main(HastyStorm(url, Path(place), int(kills), int(seed)))
