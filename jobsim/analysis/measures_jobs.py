"""What became of the jobs, and how long it took."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from jobsim.analysis import arrays
from jobsim.analysis.arrays import STATES, Ints
from jobsim.analysis.measure import Better, Group, Measure, Scale
from jobsim.analysis.observed import Observed
from jobsim.core.job import State
from jobsim.core.time import SECOND
from jobsim.core.transitions import FINAL

Floats = NDArray[np.float64]

_PERCENTS: Final = (50, 95, 99)


def latencies(jobs: arrays.Jobs) -> Floats:
    """Return the seconds from creation to success, of the jobs that succeeded."""
    done = jobs.state == STATES.index(State.SUCCEEDED)
    seconds: Floats = (jobs.finished[done] - jobs.created[done]) / SECOND
    return seconds


def ratio(part: float, whole: float) -> float:
    """Return `part / whole`, NaN where there is no whole."""
    return part / whole if whole else np.nan


def fates(counts: Ints) -> dict[str, float]:
    """Return what became of jobs, given the `counts` of those in each of `STATES`."""
    in_state = dict(zip(STATES, counts.tolist(), strict=True))
    accepted = sum(in_state.values())
    unfinished = sum(count for state, count in in_state.items() if state not in FINAL)
    return {
        "jobs": accepted,
        "succeeded": in_state[State.SUCCEEDED],
        "dead_letters": in_state[State.DEAD_LETTER],
        "cancelled": in_state[State.CANCELLED],
        "unfinished": unfinished,
        "success_rate": ratio(in_state[State.SUCCEEDED], accepted),
        "dead_letter_rate": ratio(in_state[State.DEAD_LETTER], accepted),
        "unfinished_rate": ratio(unfinished, accepted),
    }


def _fates(run: Observed) -> dict[str, float]:
    counts = np.bincount(run.history.jobs.state, minlength=len(STATES))
    return {**fates(counts), "goodput_per_s": _goodput(run)}


def _goodput(run: Observed) -> float:
    jobs = run.history.jobs
    done = (jobs.state == STATES.index(State.SUCCEEDED)) & (jobs.finished <= run.horizon)
    return ratio(int(done.sum()), run.setting.horizon_s)


def _latencies(run: Observed) -> dict[str, float]:
    jobs = run.history.jobs
    seconds = np.sort(latencies(jobs))
    return {
        "latency_mean_s": seconds.mean() if len(seconds) else np.nan,
        **{f"latency_p{percent}_s": _within(seconds, percent, len(jobs.state)) for percent in _PERCENTS},
    }


def _within(seconds: Floats, percent: int, accepted: int) -> float:
    """Return the time within which `percent` % of `accepted` jobs succeeded, from the ordered latencies."""
    rank = -(-percent * accepted // 100)
    if rank == 0:
        return np.nan
    return float(seconds[rank - 1]) if rank <= len(seconds) else np.inf


def _oldest(run: Observed) -> dict[str, float]:
    jobs = run.history.jobs
    left = np.where(jobs.finished == arrays.NEVER, run.setting.ended, jobs.finished)
    return {"oldest_job_s": (left - jobs.created).max(initial=0) / SECOND}


def _latency(percent: int) -> Measure:
    """Return a quantile over all jobs: over successes only, a policy that gives up early would look fast."""
    meaning = f"{percent} % of all jobs accepted had succeeded within this time from their creation"
    return Measure(f"p{percent} latency", "s", Scale.AMOUNT, f"{meaning}; infinite where fewer ever did")


FATES: Final = Group(
    _fates,
    {
        "jobs": Measure("jobs", "", Scale.COUNT, "jobs accepted", Better.NEITHER),
        "succeeded": Measure(
            "succeeded", "", Scale.COUNT, "jobs that had succeeded when the run ended", Better.HIGHER
        ),
        "dead_letters": Measure("dead letters", "", Scale.COUNT, "jobs given up for good"),
        "cancelled": Measure("cancelled", "", Scale.COUNT, "jobs cancelled or discarded", Better.NEITHER),
        "unfinished": Measure("unfinished", "", Scale.COUNT, "jobs not in a final state when the run ended"),
        "success_rate": Measure(
            "succeeded",
            "%",
            Scale.JOBS_SHARE,
            "share of jobs that had succeeded when the run ended",
            Better.HIGHER,
        ),
        "dead_letter_rate": Measure("dead letters", "%", Scale.JOBS_SHARE, "share of jobs given up for good"),
        "unfinished_rate": Measure(
            "unfinished", "%", Scale.JOBS_SHARE, "share of jobs not in a final state when the run ended"
        ),
        "goodput_per_s": Measure(
            "goodput", "1/s", Scale.AMOUNT, "jobs succeeded per second while jobs arrived", Better.HIGHER
        ),
    },
)

LATENCIES: Final = Group(
    _latencies,
    {
        "latency_mean_s": Measure(
            "mean latency",
            "s",
            Scale.AMOUNT,
            "mean time from creation to success, of jobs that succeeded",
        ),
        **{f"latency_p{percent}_s": _latency(percent) for percent in _PERCENTS},
    },
)

OLDEST: Final = Group(
    _oldest,
    {
        "oldest_job_s": Measure(
            "oldest job", "s", Scale.AMOUNT, "the highest age that any job reached before its final state"
        ),
    },
)
