"""What dependencies saw: an entry a call, in arrays that grow."""

from array import array
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from jobsim.core.job import JobId

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

NEVER: Final = -1
"""Stands for a moment that has not come."""

FATES: Final = ("good", "failed", "refused")
"""How a call can end at a dependency: as wanted; worked on, but in vain; not worked on at all."""

GOOD, FAILED, REFUSED = range(len(FATES))


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls that one dependency saw, by arrival; times are microseconds from the run's beginning.

    `sent` and `arrived`: by the caller, and at the dependency. `started` and `ended`: the work on it,
    `NEVER` where it was refused. `fate` numbers `FATES`. `answered`: the reply found its caller, who had
    neither given up nor died. `present`: how many other calls were there when it arrived.
    """

    attempt: Ints
    sent: Ints
    arrived: Ints
    started: Ints
    ended: Ints
    present: Ints
    fate: Ints
    answered: Flags

    @property
    def useful(self) -> Flags:
        """The calls that were not in vain: good, and answered."""
        useful: Flags = self.answered & (self.fate == GOOD)
        return useful


class CallLog:
    """The calls of one dependency as they happen, at about 50 bytes each; `jobs` has the job of each."""

    def __init__(self) -> None:
        self.jobs: list[JobId] = []
        self._times = array("q")  # sent, arrived, started, ended; call after call
        self._counts = array("i")  # attempt, present
        self._fates = array("b")
        self._answered = bytearray()

    def __len__(self) -> int:
        return len(self.jobs)

    def add(self, job: JobId, attempt: int, times: tuple[int, int, int, int], present: int, fate: int) -> int:
        """Add a call whose reply has not come yet, and return its number; `times`: `sent` .. `ended`."""
        self.jobs.append(job)
        self._times.extend(times)
        self._counts.extend((attempt, present))
        self._fates.append(fate)
        self._answered.append(False)
        return len(self.jobs) - 1

    def answer(self, number: int) -> None:
        """Note that the reply of call `number` has found its caller."""
        self._answered[number] = True

    def calls(self) -> Calls:
        """Return what has been added so far."""
        sent, arrived, started, ended = np.array(self._times, dtype=np.int64).reshape(-1, 4).T
        attempt, present = np.array(self._counts, dtype=np.int64).reshape(-1, 2).T
        return Calls(
            attempt=attempt,
            sent=sent,
            arrived=arrived,
            started=started,
            ended=ended,
            present=present,
            fate=np.array(self._fates, dtype=np.int64),
            answered=np.array(self._answered, dtype=bool),
        )
