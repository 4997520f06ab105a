"""Runs of the engine as shipped, and what is read off their logs to be held against theory."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jobsim.analysis.arrays import History
from jobsim.analysis.statistics import Interval, mean_interval
from jobsim.core.policy import RetryPolicy
from jobsim.core.time import SECOND
from jobsim.core.transitions import Kind
from jobsim.models import FailureModel, Poisson, Service, Workers
from jobsim.policies import PRESETS
from jobsim.sim.replication import replication_seed
from jobsim.sim.scenario import JobClass, Scenario
from jobsim.sim.stage import BEGAN
from jobsim.sim.world import run_world

Floats = NDArray[np.float64]

Measure = Callable[[History, int], float]
"""A number of one run, of what began when the warm-up was over; that moment is in microseconds."""

CONFIDENCE = 0.999
"""Of the intervals in tests with fixed seeds: a right engine misses one in a thousand, once and for all."""


def station(
    rate: float, service: Service, servers: int, jobs: int, *failures: FailureModel, drain: str = "1d"
) -> Scenario:
    """Return a queue with Poisson arrivals, `rate` a second, of about `jobs` jobs, and one worker."""
    return Scenario(
        name="station",
        horizon=f"{jobs / rate:.6f}s",
        drain=drain,
        workers=Workers(count=1, slots=servers, lease="1d", poll="1h"),
        jobs=(JobClass(kind="job", arrivals=Poisson(rate=rate), service=service, failures=failures),),
    )


def run(scenario: Scenario, policy: RetryPolicy, seed: int) -> History:
    """Return what happened in one run."""
    return History.of(run_world(scenario, policy, seed).log)


@dataclass(frozen=True, slots=True)
class Study:
    """Replications of one world under one policy; the share `warm_up` of each is left out, its first."""

    scenario: Scenario
    policy: RetryPolicy = PRESETS["none"]
    replications: int = 20
    warm_up: float = 0.1
    seed: int = 1

    def interval(self, measure: Measure, ci: float = CONFIDENCE) -> Interval:
        """Return the mean over the replications of one measure."""
        return self.intervals(measure, ci=ci)[0]

    def intervals(self, *measures: Measure, ci: float = CONFIDENCE) -> list[Interval]:
        """Return the mean over the replications of each measure, all of the same runs."""
        since = BEGAN + round(self.warm_up * self.scenario.horizon)
        seeds = (replication_seed(self.seed, number) for number in range(self.replications))
        histories = (run(self.scenario, self.policy, seed) for seed in seeds)
        rows = [[measure(history, since) for measure in measures] for history in histories]
        return [mean_interval(column, ci) for column in zip(*rows, strict=True)]


def waits_s(history: History, since: int = 0) -> Floats:
    """Return how long each attempt that became due from `since` on waited for a slot, by job and attempt."""
    moves = history.moves
    claims = np.flatnonzero(moves.of(Kind.CLAIM))
    due, at = moves.due[claims - 1], moves.at[claims]
    waits: Floats = (at - due)[due >= since] / SECOND
    return waits


def mean_wait_s(history: History, since: int) -> float:
    """Return the mean of `waits_s`."""
    return float(waits_s(history, since).mean())


def mean_sojourn_s(history: History, since: int) -> float:
    """Return the mean time from creation to the final state, of the jobs created from `since` on."""
    jobs = history.jobs
    chosen = (jobs.created >= since) & (jobs.finished >= 0)
    return float((jobs.finished - jobs.created)[chosen].mean() / SECOND)


def agrees(about: Interval, truth: float, within: float) -> None:
    """Assert that `truth` lies in the interval, and that the interval is sharp: `within`, relative."""
    half = (about.high - about.low) / 2
    assert about.low <= truth <= about.high, f"{about} does not hold {truth}"
    assert half <= within * abs(truth), f"{about} is too wide to tell anything of {truth}"
