"""Servers that send callers away, and servers that break down: the engine against closed forms."""

import math
from dataclasses import dataclass

import pytest

from jobsim.core.backoff import NoBackoff
from jobsim.core.policy import RetryPolicy
from jobsim.core.streams import Stream
from jobsim.core.time import SECOND, Duration
from jobsim.models import Constant, Crashes, ExponentialService, Poisson, Server, Workers
from jobsim.sim.scenario import JobClass, Scenario
from tests.validation.lab import Study, agrees, mean_sojourn_s
from tests.validation.queueing import mean_sojourn_with_breakdowns, mean_sojourn_with_retrials


@dataclass(frozen=True)
class AtRandom:
    """A backoff of a user's own: exponential, so that a job in it may come back at any moment."""

    mean_s: float

    def delay(self, attempt: int, previous: Duration, random: Stream) -> Duration:
        return Duration(round(-self.mean_s * SECOND * math.log1p(-random.random())))


def check_retrials(rate: float, retry_rate: float, jobs: int, within: float) -> None:
    """Hold the mean sojourn of jobs that find a lock taken, and come back, to the closed form."""
    lock = Server(name="lock", capacity=1, queue_limit=0, service=ExponentialService(mean="1s"))
    job = JobClass(kind="job", arrivals=Poisson(rate=rate), service=Constant(value="0s"), dependency="lock")
    world = Scenario(
        name="retrials",
        horizon=f"{jobs / rate:.6f}s",
        drain="1d",
        workers=Workers(count=1, slots=100, lease="1d", poll="1h"),
        dependencies=(lock,),
        jobs=(job,),
    )
    study = Study(world, RetryPolicy(AtRandom(1 / retry_rate), max_attempts=None))
    truth = mean_sojourn_with_retrials(rate, 1.0, retry_rate)
    agrees(study.interval(mean_sojourn_s), truth, within)


@pytest.mark.parametrize("retry_rate", [0.2, 1.0])
def test_jobs_that_find_a_lock_taken_come_back_as_in_a_retrial_queue(retry_rate: float) -> None:
    """M/M/1 with retrials: nobody waits, and the rarer the tries the longer the lock stands free."""
    check_retrials(0.5, retry_rate, jobs=1_000, within=0.3)


@pytest.mark.soak
@pytest.mark.parametrize(("rate", "retry_rate"), [(0.5, 0.1), (0.5, 1.0), (0.8, 0.1), (0.8, 1.0)])
def test_retrial_queues_at_high_load(rate: float, retry_rate: float) -> None:
    """The same by long runs."""
    check_retrials(rate, retry_rate, jobs=50_000, within=0.15)


def check_breakdowns(rate: float, up_s: float, down_s: float, jobs: int, within: float) -> None:
    """Hold the mean sojourn at a worker that crashes to the closed form.

    What a crash interrupts begins anew, with another service time: where that is exponential, it is as if it
    went on. Its lease is over by then.
    """
    job = JobClass(kind="job", arrivals=Poisson(rate=rate), service=ExponentialService(mean="1s"))
    crash = Crashes(every=f"{up_s}s", restart_after=f"{down_s}s")
    world = Scenario(
        name="breakdowns",
        horizon=f"{jobs / rate:.6f}s",
        drain="1d",
        workers=Workers(count=1, slots=1, lease=f"{0.9 * down_s}s", poll="1h", crash=crash),
        jobs=(job,),
    )
    study = Study(world, RetryPolicy(NoBackoff(), max_attempts=None))
    truth = mean_sojourn_with_breakdowns(rate, 1.0, up_s, down_s)
    agrees(study.interval(mean_sojourn_s), truth, within)


@pytest.mark.parametrize(("up_s", "down_s"), [(100, 10), (20, 2)])
def test_a_worker_that_crashes_is_a_queue_with_breakdowns(up_s: float, down_s: float) -> None:
    """M/M/1 with breakdowns: at the same availability, long and rare ones cost more than short ones."""
    check_breakdowns(0.5, up_s, down_s, jobs=1_500, within=0.35)


@pytest.mark.soak
@pytest.mark.parametrize(("rate", "up_s", "down_s"), [(0.5, 100, 10), (0.5, 1_000, 100), (0.6, 10, 1)])
def test_queues_with_breakdowns_by_long_runs(rate: float, up_s: float, down_s: float) -> None:
    """The same by long runs, and with breakdowns of a hundred service times."""
    check_breakdowns(rate, up_s, down_s, jobs=60_000, within=0.2)
