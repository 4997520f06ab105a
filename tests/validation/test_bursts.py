"""Failures that come together, in time or by job, as the engine plays them and as theory has them."""

import numpy as np
import pytest

from jobsim import Fixed, RetryPolicy
from jobsim.analysis.arrays import STATES
from jobsim.analysis.statistics import mean_interval, share_interval
from jobsim.core.job import State
from jobsim.models import (
    Constant,
    Deterministic,
    FailureModel,
    GilbertElliott,
    Independent,
    Permanent,
    Workers,
)
from jobsim.sim.scenario import JobClass, Scenario
from tests.validation.lab import CONFIDENCE, agrees, run
from tests.validation.queueing import mean_attempts

DEAD = STATES.index(State.DEAD_LETTER)
LIMIT = 5


def apart(jobs: int, *failures: FailureModel) -> Scenario:
    """Return a world whose jobs take no time and come 800 s apart, each in the middle of a second."""
    job = JobClass(
        kind="job",
        arrivals=Deterministic(every="800s", start="500ms"),
        service=Constant(value="0s"),
        failures=failures,
    )
    workers = Workers(count=1, slots=1, lease="30d", poll="1d")
    return Scenario(name="apart", horizon=800.0 * jobs, workers=workers, jobs=(job,))


@pytest.mark.parametrize(("gap", "printed"), [(1, 0.0831), (10, 0.0581), (100, 2.12e-3)])
def test_retries_within_a_burst_fail_with_it(gap: int, printed: float) -> None:
    """All five attempts fail as often as the chain of the channel's states says, far more than ``p^5``.

    Source: Gilbert, "Capacity of a burst-noise channel", Bell System Technical Journal 39, 1960.
    """
    failing, between = np.diag([0.01, 0.99]), np.array([[0.999, 0.001], [0.01, 0.99]])
    chain = np.linalg.matrix_power(failing @ np.linalg.matrix_power(between, gap), LIMIT)
    expected = float((np.array([10 / 11, 1 / 11]) @ chain).sum())
    assert expected == pytest.approx(printed, rel=5e-3)
    channel = GilbertElliott(good="1000s", bad="100s", failure_good=0.01, failure_bad=0.99, slot="1s")
    state = run(apart(6_000, channel), RetryPolicy(Fixed(f"{gap}s"), max_attempts=LIMIT), seed=3).jobs.state
    about = share_interval(int((state == DEAD).sum()), len(state), CONFIDENCE)
    assert about.low <= expected <= about.high
    assert about.high < 3 * expected


def test_a_share_of_poison_costs_all_attempts() -> None:
    """With a share q of jobs that never succeed, attempts a job are ``(1 - q) A(p) + q n``."""
    poison, failure = 0.2, 0.3
    world = apart(5_000, Permanent(share=poison), Independent(probability=failure))
    jobs = run(world, RetryPolicy(Fixed("1s"), max_attempts=LIMIT), seed=4).jobs
    agrees(
        mean_interval(jobs.attempts, CONFIDENCE),
        (1 - poison) * mean_attempts(failure, LIMIT) + poison * LIMIT,
        within=0.05,
    )
    about = share_interval(int((jobs.state == DEAD).sum()), len(jobs.state), CONFIDENCE)
    assert about.low <= poison + (1 - poison) * failure**LIMIT <= about.high
