"""Measures as series in the order of time, for the steady state of one long run."""

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from jobsim.analysis import arrays
from jobsim.analysis.arrays import OUTCOMES, STATES, Ints
from jobsim.analysis.observed import Floats, Level, Observed
from jobsim.analysis.steady import BATCHES, batch_means, mser5
from jobsim.core.errors import ConfigError, did_you_mean
from jobsim.core.job import State
from jobsim.core.time import SECOND

_BINS: Final = 2000
"""Into how many bins the time while jobs arrive is cut, for measures that are averages over time."""


class Series(NamedTuple):
    """Values in the order of the moments at which they belong, in microseconds."""

    at: Ints
    values: Floats


class SteadyState(NamedTuple):
    """The long-run mean of a measure, its interval over `batches` batches, and what was cut off before.

    Where not `independent`, neighbouring batches are alike (their `correlation`) by more than chance: the
    interval is too narrow then, and the run should be longer.
    """

    measure: str
    mean: float
    low: float
    high: float
    warm_up_s: float
    batches: int
    correlation: float
    independent: bool


def steady_state(run: Observed, measure: str, ci: float = 0.95) -> SteadyState:
    """Return the long-run mean of `measure`: warm-up cut by MSER-5, interval by batch means.

    Raises:
        ConfigError: the measure has no steady state, or the run is too short to have come to one.
    """
    if measure not in SERIES:
        raise ConfigError(
            f"{measure!r} has no steady state{did_you_mean(measure, SERIES)}; "
            f"there is one of: {', '.join(SERIES)}"
        )
    at, values = SERIES[measure](run)
    cut = mser5(values)
    found = batch_means(values[cut:], ci)
    warm_up_s = float(at[cut] - run.setting.began) / SECOND if cut else 0.0
    return SteadyState(
        measure, *found[:3], warm_up_s, BATCHES, found.correlation, independent=found.independent
    )


def _of_jobs(value: Callable[[arrays.Jobs], Floats]) -> Callable[[Observed], Series]:
    """Return how to get a value of each job, by creation; jobs for which it is NaN are left out."""

    def series(run: Observed) -> Series:
        jobs = run.history.jobs
        values = value(jobs)
        kept = np.flatnonzero(~np.isnan(values))
        order = kept[np.argsort(jobs.created[kept], kind="stable")]
        return Series(jobs.created[order], values[order])

    return series


def _over_time(level: Callable[[Observed], Level]) -> Callable[[Observed], Series]:
    """Return how to get the averages of a level over equal bins of the time while jobs arrive."""

    def series(run: Observed) -> Series:
        edges = _edges(run)
        return Series(edges[:-1], level(run).averages(edges))

    return series


def _edges(run: Observed) -> Ints:
    return np.linspace(run.setting.began, run.horizon, _BINS + 1).astype(np.int64)


def _latency(jobs: arrays.Jobs) -> Floats:
    return np.where(_in(jobs, State.SUCCEEDED), (jobs.finished - jobs.created) / SECOND, np.nan)


def _in(jobs: arrays.Jobs, state: State) -> arrays.Flags:
    return np.equal(jobs.state, STATES.index(state))


def _waits(run: Observed) -> Series:
    claimed = np.flatnonzero(run.waits.claimed & (run.waits.began < run.horizon))
    order = claimed[np.argsort(run.waits.began[claimed], kind="stable")]
    return Series(run.waits.began[order], run.waits.length[order] / SECOND)


def _goodput(run: Observed) -> Series:
    jobs, edges = run.history.jobs, _edges(run)
    counts, _ = np.histogram(jobs.finished[_in(jobs, State.SUCCEEDED)], edges)
    return Series(edges[:-1], counts / (np.diff(edges) / SECOND))


def _utilisation(run: Observed) -> Series:
    attempts = run.history.attempts
    told = np.isin(attempts.outcome, [OUTCOMES.index(name) for name in ("running", "lost")], invert=True)
    began, ended = attempts.started[told], attempts.ended[told]
    busy = Level.of(arrays.changes(arrays.Spells(attempts.job[told], began, ended, told[told])))
    edges = _edges(run)
    return Series(edges[:-1], busy.averages(edges) / (run.setting.slots or np.nan))


SERIES: Final[dict[str, Callable[[Observed], Series]]] = {
    "success_rate": _of_jobs(lambda jobs: _in(jobs, State.SUCCEEDED).astype(np.float64)),
    "dead_letter_rate": _of_jobs(lambda jobs: _in(jobs, State.DEAD_LETTER).astype(np.float64)),
    "latency_mean_s": _of_jobs(_latency),
    "attempts_per_job": _of_jobs(lambda jobs: jobs.attempts.astype(np.float64)),
    "wait_mean_s": _waits,
    "backlog_mean": _over_time(lambda run: run.backlog),
    "queue_depth_mean": _over_time(lambda run: run.queue),
    "goodput_per_s": _goodput,
    "utilisation": _utilisation,
}
"""The measures that have a steady state; the mean of each series is the measure, but for the warm-up."""
