"""The same scenario, policy and seed give the same log, byte for byte."""

import os
import subprocess
import sys

import pytest

from jobsim import Scenario, simulate
from jobsim.testing.invariants import verify

SCENARIO = """\
schema = 1
name = "determinism"
horizon = "5m"
drain = "1h"

[workers]
count = 3
slots = 2
lease = "20s"
poll = "2s"
crash = { every = "2m", restart_after = "5s" }

[[jobs]]
kind = "charge"
arrivals = { process = "poisson", rate = "2/s" }
service = { dist = "lognormal", mean = "500ms", cv = 1.0 }
failures = [
    { model = "outage", start = "1m", duration = "1m", takes = "100ms", error = "ConnectionError" },
    { model = "independent", probability = 0.1, error = "TimeoutError" },
]

[[jobs]]
kind = "report"
queue = "slow"
priority = 1
arrivals = { process = "deterministic", every = "7s" }
service = { dist = "exponential", mean = "2s" }
"""
TELL = f"""\
from jobsim import Scenario, simulate
print(simulate(Scenario.from_text({SCENARIO!r}), "full_jitter", 11).log.digest())
"""


def digest(seed: int, storage: str = "memory") -> str:
    """Return the digest of a run in this process."""
    return simulate(Scenario.from_text(SCENARIO), "full_jitter", seed, storage).log.digest()


@pytest.mark.live
@pytest.mark.parametrize("hash_seed", ["0", "1"])
def test_log_is_the_same_in_another_process(hash_seed: str) -> None:
    """Whatever PYTHONHASHSEED is there, another process has the same log."""
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    command = [sys.executable, "-c", TELL]
    told = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert told.stdout.strip() == digest(11)


def test_log_is_the_same_on_sqlite() -> None:
    """The store makes no difference: the whole log is the same on memory and on SQLite."""
    assert digest(11, "sqlite") == digest(11)


def test_log_is_another_with_another_seed() -> None:
    """The digest tells runs apart."""
    assert digest(12) != digest(11)


def test_log_of_a_run_with_crashes_is_sound() -> None:
    """What is compared here is a history in which workers died and jobs were brought back."""
    log = simulate(Scenario.from_text(SCENARIO), "full_jitter", 11).log
    verify(log, offered=log.jobs, drained=True)
    assert "lost" in {event.why.outcome for event in log}
