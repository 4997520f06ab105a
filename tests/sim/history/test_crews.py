"""Workers, fitted: how many, with how many slots, under which lease, and how often they die."""

import pytest

from jobsim.core.events import EventLog
from jobsim.core.time import SECOND
from jobsim.models import Constant, Crashes, ExponentialService, Pauses, Poisson, Workers
from jobsim.sim.history.crews import WorkersFit, fit_workers
from jobsim.sim.scenario import JobClass, Scenario
from jobsim.sim.simulation import simulate


def fitted(workers: Workers, rate: str = "2/s", horizon: str = "1h") -> WorkersFit:
    """Return workers like those of a run, in which jobs of a second keep `workers` busy at `rate`."""
    job = JobClass(kind="a", arrivals=Poisson(rate=rate), service=ExponentialService(mean="1s"))
    world = Scenario(name="w", horizon=horizon, workers=workers, jobs=(job,))
    return fit_workers(simulate(world, "full_jitter").log)


def test_workers_that_are_busy_are_counted_with_slots_and_lease() -> None:
    """Where every slot is used at times, count, slots and lease are exact."""
    fit = fitted(Workers(count=3, slots=2, lease="45s"), rate="5/s", horizon="10m")
    assert (fit.model.count, fit.model.slots, fit.model.lease) == (3, 2, 45 * SECOND)
    assert fit.model.crash is None


def test_crashes_are_told_from_attempts_that_were_lost() -> None:
    """The mean time between crashes is found though idle workers die unseen; restarts within seconds."""
    truth = Workers(count=4, slots=2, lease="30s", crash=Crashes(every="10m", restart_after="60s"))
    fit = fitted(truth, rate="1.5/s", horizon="6h")
    assert fit.crashes > 50
    assert fit.model.count == 4
    assert fit.model.crash is not None
    assert fit.model.crash.every.seconds == pytest.approx(600, rel=0.3)
    assert fit.model.crash.restart_after.seconds == pytest.approx(60, abs=15)


def test_pause_is_no_crash() -> None:
    """A worker whose leases ran out and who was heard of again is not dead."""
    truth = Workers(count=2, slots=2, lease="5s", pause=Pauses(every="5m", length=Constant(value="20s")))
    fit = fitted(truth, horizon="2h")
    assert fit.crashes == 0
    assert fit.model.count == 2


def test_log_without_claims_has_one_worker() -> None:
    """Of workers that nothing tells of, there is one, with one slot."""
    fit = fit_workers(EventLog())
    assert (fit.model.count, fit.model.slots, fit.seen) == (1, 1, 0)
