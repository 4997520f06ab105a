"""A run is checked where it ran, and one that breaks a law is never counted."""

import pickle
from dataclasses import replace

import pytest

from jobsim import policies
from jobsim.core.errors import SelfCheckFailed
from jobsim.core.events import EventLog
from jobsim.sim import Scenario, SimResult, simulate
from jobsim.sim.replication import observed, replicate
from jobsim.sim.world import Run, run_world

SCENARIO = Scenario.from_text(
    """
    name = "small"
    horizon = "60s"
    compare = ["none"]

    [workers]
    count = 2
    slots = 2

    [workers.crash]
    every = "20s"

    [[jobs]]
    kind = "charge"
    arrivals = { process = "poisson", rate = "2/s" }
    service = { dist = "exponential", mean = "300ms" }
    failures = [{ model = "independent", probability = 0.2 }]
    """
)


@pytest.fixture
def broken() -> Run:
    """A run in whose log the last event has happened twice."""
    run = run_world(SCENARIO, policies.full_jitter, seed=7)
    events = list(run.log)
    return replace(run, log=EventLog.of([*events, events[-1]]))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_replication_of_a_sound_engine_passes_its_checks(seed: int) -> None:
    """Failures, crashes and lost leases break no law."""
    found = replicate(SCENARIO, "full_jitter", policies.full_jitter, 0, seed, "memory")
    assert found.measures["lost_attempts"] > 0


def test_self_check_says_which_run_failed_and_how_to_repeat_it(broken: Run) -> None:
    """Scenario, policy, seed and store are named, with the law and the call."""
    with pytest.raises(SelfCheckFailed) as raised:
        observed(broken)
    said = str(raised.value)
    assert said.startswith("scenario 'small' under 'full_jitter', seed 7, on the memory store: its numbers")
    assert "transitions: event" in said
    assert "simulate(scenario, 'full_jitter', seed=7, storage='memory') repeats it" in said


def test_self_check_fails_a_result_at_once(broken: Run) -> None:
    """No table, measure or picture can be had of such a run."""
    with pytest.raises(SelfCheckFailed):
        SimResult(broken)


def test_self_check_is_made_by_simulate(broken: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made on every run, not on request."""
    monkeypatch.setattr("jobsim.sim.simulation.run_world", lambda *_: broken)
    with pytest.raises(SelfCheckFailed):
        simulate(SCENARIO)


def test_self_check_travels_between_processes(broken: Run) -> None:
    """The error keeps its text where a replication ran in another process."""
    with pytest.raises(SelfCheckFailed) as raised:
        observed(broken)
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)
