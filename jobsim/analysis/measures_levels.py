"""How far jobs pile up, how long they wait for a worker, and how long it takes until they are back."""

from typing import Final

import numpy as np

from jobsim.analysis.arrays import STATES, Flags, History
from jobsim.analysis.measure import Better, Group, Measure, Scale
from jobsim.analysis.observed import Observed
from jobsim.core.job import State
from jobsim.core.time import SECOND

LEFT: Final = 0.02
"""The share of a backlog's rise with which it has recovered: a few stragglers may wait for hours."""


def _levels(run: Observed) -> dict[str, float]:
    began, horizon = run.setting.began, run.horizon
    return {
        "peak_backlog": run.backlog.peak,
        "backlog_mean": run.backlog.average(began, horizon),
        "peak_queue_depth": run.queue.peak,
        "queue_depth_mean": run.queue.average(began, horizon),
    }


def _waits(run: Observed) -> dict[str, float]:
    seconds = np.sort(run.waits.length[run.waits.claimed]) / SECOND
    known = len(seconds) > 0
    return {
        "wait_mean_s": seconds.mean() if known else np.nan,
        "wait_p95_s": seconds[-(-95 * len(seconds) // 100) - 1] if known else np.nan,
        "longest_wait_s": run.waits.length.max(initial=0) / SECOND,
    }


def _recovery(run: Observed) -> dict[str, float]:
    outages, setting = run.setting.outages, run.setting
    unknown = {"recovery_s": np.nan, "recovered": np.nan}
    if not outages:
        return unknown
    start, end = min(o.start_s for o in outages), max(o.end_s for o in outages)
    # Once arrivals stop the backlog falls whatever the policy does: that is no recovery.
    limit = setting.horizon_s if end < setting.horizon_s else setting.length_s
    if end >= limit:
        return unknown
    level = run.backlog_of(_recoverable(run.history))
    middle, start_at, end_at = (setting.began + round(s * SECOND) for s in (start / 2, start, end))
    usual = level.average(middle, start_at)
    rise = max(0.0, level.value[level.at >= start_at].max(initial=0) - usual)
    back_s = (level.first_at_most(usual + LEFT * rise, end_at) - setting.began) / SECOND
    return {"recovery_s": min(back_s, limit) - end, "recovered": float(back_s <= limit)}


def _recoverable(history: History) -> Flags:
    """Return which jobs are of a kind of which at least one job succeeded."""
    jobs = history.jobs
    kinds = np.array([why.reason for why in history.log.whys], dtype=object)
    _, kind_of_why = np.unique(kinds, return_inverse=True)
    kind = kind_of_why[jobs.enqueue_why]
    return np.isin(kind, kind[jobs.state == STATES.index(State.SUCCEEDED)])


LEVELS: Final = Group(
    _levels,
    {
        "peak_backlog": Measure(
            "peak backlog", "", Scale.COUNT, "most jobs not in a final state at one moment"
        ),
        "backlog_mean": Measure(
            "mean backlog",
            "",
            Scale.AMOUNT,
            "jobs not in a final state, averaged over the time while jobs arrived",
        ),
        "peak_queue_depth": Measure(
            "peak queue depth",
            "",
            Scale.COUNT,
            "most jobs due and waiting for a worker at one moment",
        ),
        "queue_depth_mean": Measure(
            "mean queue depth",
            "",
            Scale.AMOUNT,
            "jobs that were due and waited for a worker, averaged over the time while jobs arrived",
        ),
    },
)

WAITS: Final = Group(
    _waits,
    {
        "wait_mean_s": Measure(
            "mean wait",
            "s",
            Scale.AMOUNT,
            "mean time from when a job was due until a worker started it, over all attempts; no backoff",
        ),
        "wait_p95_s": Measure(
            "p95 wait", "s", Scale.AMOUNT, "95 % of all attempts started within this time from being due"
        ),
        "longest_wait_s": Measure(
            "longest wait",
            "s",
            Scale.AMOUNT,
            "the longest that any job was due and waited for a worker, even if in vain",
        ),
    },
)

RECOVERY: Final = Group(
    _recovery,
    {
        "recovery_s": Measure(
            "recovery",
            "s",
            Scale.AMOUNT,
            "from the end of the last outage (a gradual recovery after it counts) until the backlog has come "
            f"back by {100 - 100 * LEFT:g} % of its rise over its usual level, the time average over the "
            "second half of the time before the first outage; dead letters have left the backlog, and "
            "kinds that never succeed do not count; where jobs stop arriving first, the time until then, a "
            "lower bound",
        ),
        "recovered": Measure(
            "recovered",
            "%",
            Scale.RUNS_SHARE,
            "share of runs in which the backlog came back while jobs arrived",
            Better.HIGHER,
        ),
    },
)
