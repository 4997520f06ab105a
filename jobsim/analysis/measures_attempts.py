"""What the attempts cost: how many there were, how many in vain, and how densely they came."""

from typing import Final

import numpy as np

from jobsim.analysis import arrays
from jobsim.analysis.arrays import NEVER, OUTCOMES, Ints
from jobsim.analysis.measure import Group, Measure, Scale
from jobsim.analysis.measures_jobs import ratio
from jobsim.analysis.observed import Observed
from jobsim.core.events import CODE
from jobsim.core.time import SECOND
from jobsim.core.transitions import Kind

PEAK_WINDOW_S: Final = 10
BURST_WINDOW_S: Final = 1
_LOST: Final = OUTCOMES.index("lost")


def densest(moments: Ints, window_s: float) -> int:
    """Return the largest number of `moments` (microseconds) in any half-open window of `window_s`."""
    ordered = np.sort(moments)
    after = np.searchsorted(ordered, ordered + round(window_s * SECOND))
    return int((after - np.arange(len(ordered))).max(initial=0))


def _attempts(run: Observed) -> dict[str, float]:
    attempts, accepted = run.history.attempts, len(run.history.jobs.state)
    started, outcome = attempts.started, attempts.outcome
    ended = outcome != OUTCOMES.index("running")
    refused = arrays.records(run.history.log)["kind"] == CODE[Kind.REFUSE]
    return {
        "attempts": len(started),
        "attempts_per_job": ratio(len(started), accepted),
        "wasted_attempts": int((ended & (outcome != OUTCOMES.index("succeeded"))).sum()),
        "lost_attempts": int((outcome == _LOST).sum()),
        "duplicate_runs": _after_a_loss(attempts),
        "refused_settlements": int(np.count_nonzero(refused)),
        "peak_load_per_s": densest(started, PEAK_WINDOW_S) / PEAK_WINDOW_S,
        "largest_retry_burst": densest(started[attempts.number > 1], BURST_WINDOW_S),
    }


def _after_a_loss(attempts: arrays.Attempts) -> int:
    """Return how many attempts began after an earlier one of their job had been taken for lost."""
    lost = attempts.outcome == _LOST
    first = np.full(attempts.job.max(initial=0) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, attempts.job[lost], attempts.token[lost])
    return int((attempts.token > first[attempts.job]).sum())


def _utilisation(run: Observed) -> dict[str, float]:
    attempts, setting = run.history.attempts, run.setting
    ended = np.where(attempts.ended == NEVER, setting.ended, attempts.ended)
    busy = np.minimum(ended, run.horizon) - np.minimum(attempts.started, run.horizon)
    seconds = busy[attempts.outcome != _LOST].sum() / SECOND
    return {"utilisation": ratio(seconds, setting.slots * setting.horizon_s)}


ATTEMPTS: Final = Group(
    _attempts,
    {
        "attempts": Measure("attempts", "", Scale.COUNT, "attempts started"),
        "attempts_per_job": Measure(
            "attempts per job", "", Scale.AMOUNT, "attempts started per job accepted"
        ),
        "wasted_attempts": Measure(
            "wasted attempts", "", Scale.COUNT, "attempts that ended in anything but success"
        ),
        "lost_attempts": Measure(
            "lost attempts", "", Scale.COUNT, "attempts whose lease ended because their worker was gone"
        ),
        "duplicate_runs": Measure(
            "duplicate runs",
            "",
            Scale.COUNT,
            "attempts of a job of which an earlier attempt was taken for lost: work that may be done twice",
        ),
        "refused_settlements": Measure(
            "refused settlements",
            "",
            Scale.COUNT,
            "results that came after their lease was lost: work in vain",
        ),
        "peak_load_per_s": Measure(
            "peak load",
            "1/s",
            Scale.AMOUNT,
            f"most attempts started per second, over any {PEAK_WINDOW_S} s",
        ),
        "largest_retry_burst": Measure(
            "largest retry burst",
            "",
            Scale.COUNT,
            f"most retries started within any {BURST_WINDOW_S} s: the herd",
        ),
    },
)

UTILISATION: Final = Group(
    _utilisation,
    {
        "utilisation": Measure(
            "utilisation",
            "%",
            Scale.AMOUNT,
            "share of the workers' slots that ran an attempt while jobs arrived; lost attempts are left "
            "out, since nothing tells when they stopped",
        ),
    },
)
