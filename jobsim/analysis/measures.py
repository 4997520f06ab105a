"""One run in numbers: what is measured, in which unit, and what it means."""

from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from jobsim.analysis import arrays
from jobsim.analysis.arrays import NEVER, OUTCOMES, STATES, Flags, History, Ints
from jobsim.core.events import CODE, EventLog
from jobsim.core.job import State
from jobsim.core.time import SECOND, Instant
from jobsim.core.transitions import FINAL, Kind

Floats = NDArray[np.float64]

PEAK_WINDOW_S: Final = 10
BURST_WINDOW_S: Final = 1
LEFT: Final = 0.02
"""The share of a backlog's rise with which it has recovered: a few stragglers may wait for hours."""


class Scale(Enum):
    """What kind of number a measure is, which decides the interval that suits it."""

    COUNT = "count"
    """Events in one run, from 0."""
    JOBS_SHARE = "share of jobs"
    """Between 0 and 1, each job being one trial."""
    RUNS_SHARE = "share of runs"
    """0 or 1 in one run, so that the mean over runs is a share of them."""
    AMOUNT = "amount"
    """Any number from 0."""


class Measure(NamedTuple):
    """How to show one measure; `unit` is empty for plain numbers."""

    label: str
    unit: str
    scale: Scale
    meaning: str


def _latency(percent: int) -> Measure:
    """Return a quantile over all jobs: over successes only, a policy that gives up early would look fast."""
    meaning = f"{percent} % of all jobs accepted had succeeded within this time from their creation"
    return Measure(f"p{percent} latency", "s", Scale.AMOUNT, f"{meaning}; infinite where fewer ever did")


MEASURES: Final[dict[str, Measure]] = {
    "jobs": Measure("jobs", "", Scale.COUNT, "jobs accepted"),
    "succeeded": Measure("succeeded", "", Scale.COUNT, "jobs that had succeeded when the run ended"),
    "dead_letters": Measure("dead letters", "", Scale.COUNT, "jobs given up for good"),
    "cancelled": Measure("cancelled", "", Scale.COUNT, "jobs cancelled or discarded"),
    "unfinished": Measure("unfinished", "", Scale.COUNT, "jobs not in a final state when the run ended"),
    "success_rate": Measure(
        "succeeded", "%", Scale.JOBS_SHARE, "share of jobs that had succeeded when the run ended"
    ),
    "dead_letter_rate": Measure("dead letters", "%", Scale.JOBS_SHARE, "share of jobs given up for good"),
    "unfinished_rate": Measure(
        "unfinished", "%", Scale.JOBS_SHARE, "share of jobs not in a final state when the run ended"
    ),
    "latency_mean_s": Measure(
        "mean latency", "s", Scale.AMOUNT, "mean time from creation to success, of the jobs that succeeded"
    ),
    "latency_p50_s": _latency(50),
    "latency_p95_s": _latency(95),
    "latency_p99_s": _latency(99),
    "attempts": Measure("attempts", "", Scale.COUNT, "attempts started"),
    "attempts_per_job": Measure("attempts per job", "", Scale.AMOUNT, "attempts started per job accepted"),
    "wasted_attempts": Measure(
        "wasted attempts", "", Scale.COUNT, "attempts that ended in anything but success"
    ),
    "lost_attempts": Measure(
        "lost attempts", "", Scale.COUNT, "attempts whose lease ended because their worker was gone"
    ),
    "refused_settlements": Measure(
        "refused settlements", "", Scale.COUNT, "results that came after their lease was lost: work in vain"
    ),
    "peak_load_per_s": Measure(
        "peak load", "1/s", Scale.AMOUNT, f"most attempts started within any {PEAK_WINDOW_S} s, per second"
    ),
    "largest_retry_burst": Measure(
        "largest retry burst",
        "",
        Scale.COUNT,
        f"most retries started within any {BURST_WINDOW_S} s: the herd",
    ),
    "peak_backlog": Measure("peak backlog", "", Scale.COUNT, "most jobs not in a final state at one moment"),
    "recovery_s": Measure(
        "recovery",
        "s",
        Scale.AMOUNT,
        "from the end of the last outage (a gradual recovery after it counts) until the backlog has come "
        f"back by {100 - 100 * LEFT:g} % of its rise over its usual level, the time average over the second "
        "half of the time before the first outage; dead letters have left the backlog, and kinds that "
        "never succeed do not count; where jobs stop arriving first, the time until then, a lower bound",
    ),
    "recovered": Measure(
        "recovered", "%", Scale.RUNS_SHARE, "share of runs in which the backlog came back while jobs arrived"
    ),
    "utilisation": Measure(
        "utilisation",
        "%",
        Scale.AMOUNT,
        "share of the workers' slots that ran an attempt while jobs arrived; lost attempts are left out, "
        "since nothing tells when they stopped",
    ),
}
"""Every measure by its name, which ends in its unit where it has one."""


class Outage(NamedTuple):
    """A window in which attempts fail, and when the gradual recovery after it is over; seconds."""

    start_s: float
    end_s: float
    healed_s: float


@dataclass(frozen=True, slots=True)
class Setting:
    """What a log does not say about its run: when it began and ended, and the world it ran in.

    Jobs arrive during the first `horizon_s` seconds; `slots` counts those of all workers (0: not
    known); the times of `outages` count from `began`.
    """

    began: Instant
    ended: Instant
    horizon_s: float
    slots: int = 0
    outages: tuple[Outage, ...] = ()

    @classmethod
    def of(cls, log: EventLog) -> "Setting":
        """Return what can be said of a live log: from its first event to its last."""
        at = arrays.records(log)["at"]
        began, ended = (int(at.min()), int(at.max())) if len(at) else (0, 0)
        return cls(Instant(began), Instant(ended), (ended - began) / SECOND)

    @property
    def length_s(self) -> float:
        """The length of the run in seconds."""
        return (self.ended - self.began) / SECOND


def measures(history: History, setting: Setting | None = None) -> dict[str, float]:
    """Return the measures of one run, by the names in `MEASURES`; NaN where one makes no sense."""
    setting = setting or Setting.of(history.log)
    jobs, attempts = history.jobs, history.attempts
    recovery, recovered = _recovery(history, setting)
    refused = arrays.records(history.log)["kind"] == CODE[Kind.REFUSE]
    _, level = arrays.backlog(history.moves)
    values = {
        **_jobs(jobs),
        **_latencies(jobs),
        **_attempts(attempts, len(jobs.state)),
        "refused_settlements": np.count_nonzero(refused),
        "peak_backlog": level.max(initial=0),
        "recovery_s": recovery,
        "recovered": recovered,
        "utilisation": _utilisation(attempts, setting),
    }
    return {name: float(values[name]) for name in MEASURES}


def _jobs(jobs: arrays.Jobs) -> dict[str, float]:
    accepted = len(jobs.state)
    in_state = dict(zip(STATES, np.bincount(jobs.state, minlength=len(STATES)).tolist(), strict=True))
    unfinished = sum(count for state, count in in_state.items() if state not in FINAL)
    return {
        "jobs": accepted,
        "succeeded": in_state[State.SUCCEEDED],
        "dead_letters": in_state[State.DEAD_LETTER],
        "cancelled": in_state[State.CANCELLED],
        "unfinished": unfinished,
        "success_rate": _ratio(in_state[State.SUCCEEDED], accepted),
        "dead_letter_rate": _ratio(in_state[State.DEAD_LETTER], accepted),
        "unfinished_rate": _ratio(unfinished, accepted),
    }


def _latencies(jobs: arrays.Jobs) -> dict[str, float]:
    seconds = np.sort(latencies(jobs))
    return {
        "latency_mean_s": seconds.mean() if len(seconds) else np.nan,
        **{f"latency_p{percent}_s": _within(seconds, percent, len(jobs.state)) for percent in (50, 95, 99)},
    }


def _within(seconds: Floats, percent: int, accepted: int) -> float:
    """Return the time within which `percent` % of `accepted` jobs succeeded, from the ordered latencies."""
    rank = -(-percent * accepted // 100)
    if rank == 0:
        return np.nan
    return float(seconds[rank - 1]) if rank <= len(seconds) else np.inf


def latencies(jobs: arrays.Jobs) -> Floats:
    """Return the seconds from creation to success, of the jobs that succeeded."""
    done = jobs.state == STATES.index(State.SUCCEEDED)
    seconds: Floats = (jobs.finished[done] - jobs.created[done]) / SECOND
    return seconds


def _attempts(attempts: arrays.Attempts, accepted: int) -> dict[str, float]:
    started, outcome = attempts.started, attempts.outcome
    ended = outcome != OUTCOMES.index("running")
    return {
        "attempts": len(started),
        "attempts_per_job": _ratio(len(started), accepted),
        "wasted_attempts": int((ended & (outcome != OUTCOMES.index("succeeded"))).sum()),
        "lost_attempts": int((outcome == OUTCOMES.index("lost")).sum()),
        "peak_load_per_s": densest(started, PEAK_WINDOW_S) / PEAK_WINDOW_S,
        "largest_retry_burst": densest(started[attempts.number > 1], BURST_WINDOW_S),
    }


def densest(moments: Ints, window_s: float) -> int:
    """Return the largest number of `moments` (microseconds) in any half-open window of `window_s`."""
    ordered = np.sort(moments)
    after = np.searchsorted(ordered, ordered + round(window_s * SECOND))
    return int((after - np.arange(len(ordered))).max(initial=0))


def _utilisation(attempts: arrays.Attempts, setting: Setting) -> float:
    horizon = setting.began + round(setting.horizon_s * SECOND)
    ended = np.where(attempts.ended == NEVER, setting.ended, attempts.ended)
    busy = np.minimum(ended, horizon) - np.minimum(attempts.started, horizon)
    seconds = busy[attempts.outcome != OUTCOMES.index("lost")].sum() / SECOND
    return _ratio(seconds, setting.slots * setting.horizon_s)


def _recovery(history: History, setting: Setting) -> tuple[float, float]:
    """Return the measures `recovery_s` and `recovered`."""
    if not setting.outages:
        return np.nan, np.nan
    start, end = min(o.start_s for o in setting.outages), max(o.end_s for o in setting.outages)
    # Once arrivals stop the backlog falls whatever the policy does: that is no recovery.
    limit = setting.horizon_s if end < setting.horizon_s else setting.length_s
    if end >= limit:
        return np.nan, np.nan
    at, level = arrays.backlog(history.moves, _recoverable(history))
    at_s = (at - setting.began) / SECOND
    usual = time_average(at_s, level, start / 2, start)
    rise = max(0.0, level[at_s >= start].max(initial=0) - usual)
    back_s = first_at_most(at_s, level, usual + LEFT * rise, end)
    return min(back_s, limit) - end, float(back_s <= limit)


def _recoverable(history: History) -> Flags:
    """Return which jobs are of a kind of which at least one job succeeded."""
    jobs = history.jobs
    kinds = np.array([why.reason for why in history.log.whys], dtype=object)
    _, kind_of_why = np.unique(kinds, return_inverse=True)
    kind = kind_of_why[jobs.enqueue_why]
    return np.isin(kind, kind[jobs.state == STATES.index(State.SUCCEEDED)])


def time_average(at_s: Floats, level: Ints, from_s: float, until_s: float) -> float:
    """Return the average over a span of a level that is 0 and then `level[i]` from `at_s[i]` on.

    Over a span of length 0 it is 0.
    """
    edges = np.append(np.clip(at_s, from_s, until_s), until_s)
    area = float((np.diff(edges) * level).sum())
    return area / (until_s - from_s) if until_s > from_s else 0.0


def first_at_most(at_s: Floats, level: Ints, limit: float, after_s: float) -> float:
    """Return the first moment from `after_s` on at which the level is at most `limit`, else infinity."""
    now = np.searchsorted(at_s, after_s, side="right") - 1
    if now < 0 or level[now] <= limit:
        return after_s
    later = np.flatnonzero(level[now:] <= limit)
    return float(at_s[now + later[0]]) if len(later) else np.inf


def _ratio(part: Any, whole: float) -> float:
    return part / whole if whole else np.nan
