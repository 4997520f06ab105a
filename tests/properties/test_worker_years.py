"""Years of work in simulated time, in which workers die every day: no job is lost in any of them."""

from collections import Counter

import pytest

from jobsim import Scenario, simulate
from jobsim.core.decide import LOST
from jobsim.testing.invariants import verify
from tests.campaigns import record

WORLD = """\
name = "years"
horizon = "{days}d"
drain = "60d"

[workers]
count = 10
slots = 2
lease = "15m"
poll = "15m"
crash = {{ every = "1d", restart_after = "5m" }}
{rough}
[[jobs]]
kind = "charge"
max_attempts = 5
arrivals = {{ process = "poisson", rate = "4/h" }}
service = {{ dist = "lognormal", mean = "20m", cv = 2.0 }}
failures = [
    {{ model = "outage", start = "1d", duration = "1d", takes = "1m", error = "ConnectionError" }},
    {{ model = "independent", probability = 0.1, error = "TimeoutError" }},
]
"""

ROUGH = """\
pause = { every = "3d", length = { dist = "exponential", mean = "20m" } }
clock = { offset = "1m", drift = 1e-4, steps = { every = "10d", size = "5m" } }

[storage]
clock = "own"
busy = { probability = 0.01 }
lost_replies = { probability = 0.001 }
partitions = [{ start = "30h", duration = "2h", workers = [1, 2, 3] }]
"""
"""Zombies, clocks that are set, calls that fail or go unheard, and a partition longer than the lease."""

WORKERS = 10
YEAR_OF_TEN = 36.5
"""Days in which ten workers work for a year."""

SHARDS = 100
EACH = 10


def lived(days: float, seed: int, rough: str = "") -> Counter[str]:
    """Simulate so many days, check their history, and return how much there was of what."""
    scenario = Scenario.from_text(WORLD.format(days=days, rough=rough))
    run = simulate(scenario, "full_jitter", seed)
    told = run.run.submissions  # none, where all that was offered was accepted
    accepted = run.log.jobs if told is None else told.acknowledged
    verify(run.log, accepted=accepted, offered=run.log.jobs, drained=True)
    lost = sum(event.why.outcome == LOST for event in run.log)
    return Counter(jobs=len(run.log.jobs), events=len(run.log), lost_attempts=lost)


@pytest.mark.parametrize("rough", ["", ROUGH], ids=["crashes", "all"])
def test_no_job_is_lost_in_days_of_work(rough: str) -> None:
    """Workers die, and with all that can befall them besides, every job that was accepted ends."""
    assert lived(3, 1, rough)["lost_attempts"] > 0


@pytest.mark.soak
@pytest.mark.parametrize("shard", range(SHARDS))
def test_no_job_is_lost_in_years_of_work(shard: int) -> None:
    """A thousand worker-years, a share at a time; in one of ten all that can befall workers does."""
    figures = Counter[str]()
    for seed in range(shard * EACH, (shard + 1) * EACH):
        figures += lived(YEAR_OF_TEN, seed, "" if seed % 10 else ROUGH) + Counter(worker_years=1)
    record("worker years", violations=0, **figures)
