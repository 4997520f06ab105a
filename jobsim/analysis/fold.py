"""A log that keeps no history: jobs that have ended are counted and forgotten."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from jobsim.analysis import arrays
from jobsim.analysis.arrays import STATES, Flags, History
from jobsim.analysis.measures_jobs import fates, ratio
from jobsim.analysis.sketch import Sketch
from jobsim.core.events import CODE, MANY, RECORD, EventLog
from jobsim.core.job import JobId, State
from jobsim.core.time import SECOND
from jobsim.core.transitions import FINAL, Kind

_FINAL: Final = np.array([state in FINAL for state in STATES])
_PERCENTS: Final = (50, 95, 99)
_NO_ID: Final = JobId(0)


class Fold(EventLog):
    """Counts what becomes of jobs, in space for those that have not ended."""

    __slots__ = ("_attempts", "_counts", "_latency", "_left")

    def __init__(self) -> None:
        super().__init__()
        self._left = 0  # bytes of the jobs that had not ended when it was last looked for
        self._attempts = 0
        self._counts = np.zeros(len(STATES), dtype=np.int64)
        self._latency = Sketch()

    def _keep(self, records: bytes) -> None:
        self.jobs.clear()
        self._joined += records
        if len(self._joined) >= max(2 * self._left, MANY * RECORD.size):
            self._fold()

    def _fold(self) -> arrays.Jobs:
        """Count the jobs that have ended, keep the events of the others alone, and return those jobs."""
        events = arrays.decoded(bytes(self._joined)).copy()
        numbers, places = np.unique(events["job"], return_inverse=True)
        events["job"] = places
        jobs = self._history(events, len(numbers)).jobs
        known = jobs.state != arrays.NEVER  # of others only refusals are left, which came after their end
        ended = known & _FINAL[jobs.state]
        self._count(jobs, ended)
        left = known & ~ended
        moves = ~np.isin(events["kind"], (CODE[Kind.EXTEND], CODE[Kind.REFUSE]))
        kept = events[moves & left[places]]
        kept["job"] = numbers[kept["job"]]
        self._joined[:] = kept.tobytes()
        self._left = len(self._joined)
        return jobs.of(left)

    def _history(self, events: NDArray[np.void], jobs: int) -> History:
        log = EventLog()
        log.jobs.extend([_NO_ID] * jobs)
        log.whys.extend(self.whys[1:])
        if len(events):
            log.extend(events.tobytes())
        return History.of(log)

    def _count(self, jobs: arrays.Jobs, which: Flags) -> None:
        self._counts += np.bincount(jobs.state[which], minlength=len(STATES))
        self._attempts += int(jobs.attempts[which].sum())
        done = which & (jobs.state == STATES.index(State.SUCCEEDED))
        self._latency.add(jobs.finished[done] - jobs.created[done])

    def measures(self) -> dict[str, float]:
        """Return what has been counted, named as in `jobsim.analysis.measures`; quantiles within 0.5 %."""
        self.join()
        left = self._fold()
        counts = self._counts + np.bincount(left.state, minlength=len(STATES))
        jobs, attempts = int(counts.sum()), self._attempts + int(left.attempts.sum())
        quantiles = {f"latency_p{p}_s": self._latency.at(-(-p * jobs // 100)) / SECOND for p in _PERCENTS}
        return {
            **fates(counts),
            "attempts": attempts,
            "attempts_per_job": ratio(attempts, jobs),
            "latency_mean_s": self._latency.mean / SECOND,
            **(quantiles if jobs else dict.fromkeys(quantiles, np.nan)),
        }
