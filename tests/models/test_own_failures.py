"""Failure models of the caller's own: they strike, go with the scenario, and cannot be written."""

from dataclasses import dataclass
from typing import Literal

import pytest

from jobsim import ConfigError, Scenario, simulate
from jobsim.core.time import SECOND, Duration
from jobsim.models import Condition, Constant, Deterministic, Failure, Fault, Outage, Workers
from jobsim.models.base import Uniform
from jobsim.models.fields import DurationField, ErrorField, default
from jobsim.sim.run_files import world_key
from jobsim.sim.scenario import JobClass


class Every(Failure):
    """Attempts fail that start in the first second of each `period`."""

    period: DurationField
    error: ErrorField = default("ConnectionError: again")

    def verdict(self, at: Duration, u: float) -> Fault | None:
        """Return the fault of an attempt that starts at offset `at`."""
        return Fault(self.error) if at % self.period < SECOND else None


@dataclass(frozen=True, slots=True)
class After:
    """Attempts fail from a moment on."""

    start: float

    def verdict(self, at: Duration, u: float) -> Fault | None:
        """Return the fault of an attempt that starts at offset `at`."""
        return Outage(start="0s", duration="1s").fault if at >= self.start else None


class Someday(Failure):
    """Attempts fail from a moment on that the run decides."""

    def begin(self, uniform: Uniform) -> Condition:
        """Return the condition of one run."""
        return After(uniform(0) * 60 * SECOND)


def world(*failures: Failure) -> Scenario:
    """Return a world of 60 jobs, one a second, that meets `failures`."""
    job = JobClass(
        kind="a",
        arrivals=Deterministic(every="1s"),
        service=Constant(value="1ms"),
        failures=failures,
    )
    return Scenario(name="own", horizon="1m", workers=Workers(count=1, slots=4), jobs=(job,))


def test_own_model_strikes_as_it_says() -> None:
    """One of four jobs starts where it strikes, and its error is the model's."""
    run = simulate(world(Every(period="4s")).with_(**{"jobs.a.max_attempts": 1}), "none")
    assert run.attempts["error"].dropna().unique().tolist() == ["ConnectionError: again"]
    assert run.jobs["state"].value_counts().to_dict() == {"succeeded": 45, "dead_letter": 15}


def test_own_model_may_have_a_course() -> None:
    """Nothing fails before a moment of the run, everything after; another seed has another moment."""
    shares = set()
    for seed in (1, 2):
        run = simulate(world(Someday()).with_(**{"jobs.a.max_attempts": 1}), "none", seed=seed)
        failed = (run.jobs["state"] == "dead_letter").tolist()
        assert failed == sorted(failed)
        shares.add(sum(failed))
    assert len(shares) == 2


def test_own_model_stands_beside_others() -> None:
    """A changed scenario keeps it, and known models in its list are read as ever."""
    own = Every(period="4s")
    changed = world(own, Outage(start="1s", duration="2s")).with_(
        **{"workers.count": 2, "jobs.a.failures.outage.start": "5s"}
    )
    assert changed.jobs[0].failures == (own, Outage(start="5s", duration="2s"))


def test_runs_of_own_models_are_told_apart() -> None:
    """A sweep's files are named by what the model says."""
    assert world_key(world(Every(period="4s"))) != world_key(world(Every(period="5s")))


def test_own_model_cannot_be_written() -> None:
    """A file would not know it; the error names it."""
    with pytest.raises(ConfigError, match=r"Every\(period='4s'.*of your own"):
        world(Every(period="4s")).to_toml()


def test_subclass_of_a_known_model_is_known() -> None:
    """It has a name in files, and is read by it."""

    class Night(Outage):
        model: Literal["outage"] = "outage"

    assert "outage" in world(Night(start="1s", duration="2s")).to_toml()
