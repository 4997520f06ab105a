"""What dependencies had to bear: how many calls, how densely they came, and how much of it was in vain."""

from typing import Final

import numpy as np

from jobsim.analysis.calls import NEVER, REFUSED, Calls, Flags
from jobsim.analysis.measure import Better, Group, Measure, Scale
from jobsim.analysis.measures_attempts import densest
from jobsim.analysis.measures_jobs import ratio
from jobsim.analysis.observed import Level, Observed
from jobsim.core.time import SECOND

CALLS_WINDOW_S: Final = 1


def present(calls: Calls) -> Level:
    """Return how many calls were at a dependency, waiting or worked on, over time."""
    stayed = calls.started != NEVER
    arrived, ended = calls.arrived[stayed], calls.ended[stayed]
    return Level.of((np.append(arrived, ended), np.repeat([1, -1], len(arrived))))


def _count(which: Flags) -> int:
    return int(np.count_nonzero(which))


def _calls(run: Observed) -> dict[str, float]:
    several = run.calls.values()
    worked = [calls.ended - calls.started for calls in several]  # nothing where it was refused
    done = sum(int(work.sum()) for work in worked)
    useful = sum(int(work[calls.useful].sum()) for work, calls in zip(worked, several, strict=True))
    horizon = run.setting.horizon_s * SECOND
    good = sum(_count(calls.ended[calls.useful] < horizon) for calls in several)
    arrived = sum(len(calls.arrived) for calls in several)
    return {
        "calls": arrived,
        "calls_per_job": ratio(arrived, len(run.history.jobs.state)),
        "peak_calls_per_s": max((densest(c.arrived, CALLS_WINDOW_S) for c in several), default=0)
        / CALLS_WINDOW_S,
        "peak_calls_present": max((present(c).peak for c in several), default=0),
        "abandoned_calls": sum(_count(~c.answered) for c in several),
        "refused_calls": sum(_count(c.fate == REFUSED) for c in several),
        "wasted_work": 1 - useful / done if done else np.nan,
        "good_calls_per_s": ratio(good, run.setting.horizon_s),
    }


_MEASURES: Final = {
    "calls": Measure("calls", "", Scale.COUNT, "calls that arrived at dependencies"),
    "calls_per_job": Measure(
        "calls per job", "", Scale.AMOUNT, "calls that arrived at dependencies, per job accepted"
    ),
    "peak_calls_per_s": Measure(
        "peak calls",
        "1/s",
        Scale.AMOUNT,
        f"most calls that arrived at one dependency per second, over any {CALLS_WINDOW_S} s",
    ),
    "peak_calls_present": Measure(
        "most calls at once", "", Scale.COUNT, "most calls at one dependency at one moment, waiting included"
    ),
    "abandoned_calls": Measure(
        "abandoned calls", "", Scale.COUNT, "calls whose reply found nobody: given up, or the worker dead"
    ),
    "refused_calls": Measure("refused calls", "", Scale.COUNT, "calls that were turned away without work"),
    "wasted_work": Measure(
        "wasted work",
        "%",
        Scale.AMOUNT,
        "share of the dependencies' working time that went into calls that failed or were abandoned",
    ),
    "good_calls_per_s": Measure(
        "good calls",
        "1/s",
        Scale.AMOUNT,
        "calls per second that ended well, while jobs arrived, and whose reply found its caller",
        Better.HIGHER,
    ),
}

CALLS: Final = Group(_calls, _MEASURES)
