"""Retries with backoff: a product-form network, geometric attempts, and the outage in closed form."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from scipy import stats

from jobsim import Decorrelated, Exponential, Fixed, RetryPolicy
from jobsim.analysis.arrays import NEVER, STATES
from jobsim.analysis.statistics import mean_interval, share_interval
from jobsim.core.backoff import Backoff, NoBackoff
from jobsim.core.job import State
from jobsim.core.time import SECOND
from jobsim.models import Constant, ExponentialService, Independent, Listed, Outage, Workers
from jobsim.sim.scenario import JobClass, Scenario
from jobsim.sim.stage import BEGAN
from tests.validation.lab import CONFIDENCE, Study, agrees, mean_sojourn_s, mean_wait_s, run, station
from tests.validation.queueing import (
    all_fail_equal_jitter,
    all_fail_full_jitter,
    all_fail_no_jitter,
    mean_attempts,
    mean_backoff,
    mean_wait,
)

DEAD = STATES.index(State.DEAD_LETTER)
DOUBLING_S = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]
"""The delays before retries 1 to 9, without jitter, by base 1 s and cap 60 s."""

# Of each backoff, the mean delays before retries 1 to 4. Decorrelated without a cap: b (2 * 1.5^k - 1).
NETWORK: dict[str, tuple[Backoff, list[float]]] = {
    "none": (NoBackoff(), [0.0] * 4),
    "fixed": (Fixed("5s"), [5.0] * 4),
    "exponential": (Exponential(base="1s"), [1.0, 2.0, 4.0, 8.0]),
    "full": (Exponential(base="1s", jitter="full"), [0.5, 1.0, 2.0, 4.0]),
    "equal": (Exponential(base="1s", jitter="equal"), [0.75, 1.5, 3.0, 6.0]),
    "decorrelated": (Decorrelated(base="1s", cap=None), [2.0, 3.5, 5.75, 9.125]),
}


def check_network(
    name: str, rate: float, servers: int, failure: float, attempts: int, jobs: int, within: float
) -> None:
    """Hold wait and sojourn of a queue with retries against the product form.

    Source: Baskett, Chandy, Muntz & Palacios, Journal of the ACM 22 (1975): a queue of exponential servers
    and a delay node are in product form whatever the delays' distribution.
    """
    backoff, delays_s = NETWORK[name]
    tries = mean_attempts(failure, attempts)
    wait_s = mean_wait(rate * tries, 1.0, servers)
    world = station(rate, ExponentialService(mean="1s"), servers, jobs, Independent(probability=failure))
    study = Study(world, RetryPolicy(backoff, max_attempts=attempts))
    sojourn_s = tries * (wait_s + 1) + mean_backoff(failure, delays_s[: attempts - 1])
    wait, sojourn = study.intervals(mean_wait_s, mean_sojourn_s)
    agrees(wait, wait_s, within)
    agrees(sojourn, sojourn_s, within)


@pytest.mark.parametrize("name", NETWORK)
def test_backoff_does_not_move_the_workers(name: str) -> None:
    """Where failures are independent, attempts wait as at M/M/c under any backoff; only jobs take longer."""
    check_network(name, 0.5, servers=1, failure=0.2, attempts=3, jobs=3_000, within=0.2)


@pytest.mark.soak
@pytest.mark.parametrize("name", NETWORK)
@pytest.mark.parametrize(
    ("rate", "servers", "failure"),
    [(0.5, 1, 0.3), (0.6, 1, 0.3), (3.0, 4, 0.1), (3.0, 4, 0.2), (8.0, 10, 0.1)],
)
def test_backoff_does_not_move_the_workers_at_high_load(
    name: str, rate: float, servers: int, failure: float
) -> None:
    """The same by long runs, up to a utilisation of 0.94."""
    check_network(name, rate, servers, failure, attempts=5, jobs=100_000, within=0.15)


@pytest.mark.parametrize(("failure", "limit"), [(0.1, 3), (0.3, 5), (0.5, 5), (0.9, 8)])
def test_attempts_are_geometric_and_dead_letters_a_power(failure: float, limit: int) -> None:
    """P(k attempts) = p^(k-1) (1 - p) up to the limit, and p^n of all jobs end as dead letters."""
    world = station(10, Constant(value="10ms"), 20, 10_000, Independent(probability=failure))
    jobs = run(world, RetryPolicy(Fixed("1s"), max_attempts=limit), seed=5).jobs
    tries = np.arange(1, limit + 1)
    expected = failure ** (tries - 1) * np.where(tries < limit, 1 - failure, 1.0)
    observed = np.bincount(jobs.attempts, minlength=limit + 1)[1:]
    assert stats.chisquare(observed, expected * len(jobs.state)).pvalue > 1 - CONFIDENCE
    about = share_interval(int((jobs.state == DEAD).sum()), len(jobs.state), CONFIDENCE)
    assert about.low <= failure**limit <= about.high


def in_outage(remaining_s: Sequence[float]) -> Scenario:
    """Return a world in which job i meets an outage that is to last for ``remaining_s[i]`` more."""
    length = max(remaining_s)
    return Scenario(
        name="outage",
        horizon=f"{length + 1:.6f}s",
        drain="30d",
        workers=Workers(count=1, slots=4, lease="30d", poll="1d"),
        jobs=(
            JobClass(
                kind="job",
                arrivals=Listed(times=[f"{length - left:.6f}s" for left in remaining_s]),
                service=Constant(value="0s"),
                failures=(Outage(start="0s", duration=f"{length:.6f}s"),),
            ),
        ),
    )


def dead_in_outage(policy: RetryPolicy, mean_s: float, jobs: int) -> tuple[int, int]:
    """Return how many of `jobs` are dead letters after an outage of exponential remaining length, and `jobs`.

    The lengths are the distribution's quantiles, which vary less than a sample would.
    """
    lengths = [-mean_s * math.log1p(-(i + 0.5) / jobs) for i in range(jobs)]
    state = run(in_outage(lengths), policy, seed=2).jobs.state
    return int((state == DEAD).sum()), len(state)


SURVIVAL: dict[str, tuple[Backoff, Callable[[Sequence[float], float], float]]] = {
    "exponential": (Exponential(base="1s", cap="60s"), all_fail_no_jitter),
    "equal": (Exponential(base="1s", cap="60s", jitter="equal"), all_fail_equal_jitter),
    "full": (Exponential(base="1s", cap="60s", jitter="full"), all_fail_full_jitter),
}


@pytest.mark.parametrize("attempts", [8, 10])
@pytest.mark.parametrize("name", SURVIVAL)
def test_dead_letters_of_an_outage_are_the_closed_form(name: str, attempts: int) -> None:
    """P(dead) = E exp(-T / M), of the sum T of all delays and the outage's mean remaining length M."""
    backoff, closed_form = SURVIVAL[name]
    dead, jobs = dead_in_outage(RetryPolicy(backoff, max_attempts=attempts), 60, 4_000)
    about = share_interval(dead, jobs, CONFIDENCE)
    assert about.low <= closed_form(DOUBLING_S[: attempts - 1], 60) <= about.high


def test_dead_letters_of_decorrelated_jitter_are_those_of_its_recursion() -> None:
    """Decorrelated jitter has no closed form: its sums of delays are drawn by another generator here."""
    delays, total = np.full(200_000, 1.0), np.zeros(200_000)
    for retry in range(9):
        u = stats.uniform.rvs(size=len(delays), random_state=retry)
        delays = np.minimum(60, 1 + u * (3 * np.maximum(1, delays) - 1))
        total += delays
    policy = RetryPolicy(Decorrelated(base="1s", cap="60s"), max_attempts=10)
    dead, jobs = dead_in_outage(policy, 60, 4_000)
    about = share_interval(dead, jobs, CONFIDENCE)
    assert about.low <= float(np.exp(-total / 60).mean()) <= about.high


@pytest.mark.parametrize(
    ("jitter", "overshoot_s", "rate"), [("full", 20.0, 2 / 60), ("equal", 70 / 3, 4 / 180)]
)
def test_overshoot_of_a_long_outage_is_that_of_a_renewal_process(
    jitter: str, overshoot_s: float, rate: float
) -> None:
    """At the cap, retries are a renewal process: 1 / E[D] a second, E[D^2] / 2 E[D] from recovery to retry.

    Of full jitter that is cap / 3, of equal jitter 7 cap / 18.
    Source: Cox, "Renewal Theory", 1962, chapter 5.
    """
    policy = RetryPolicy(Exponential(base="60s", cap="60s", jitter=jitter), max_attempts=None)
    jobs = run(in_outage([1_800.0] * 400), policy, seed=4).jobs
    assert (jobs.finished != NEVER).all()
    late_s = (jobs.finished - BEGAN) / SECOND - 1_800
    agrees(mean_interval(late_s, CONFIDENCE), overshoot_s, 0.2)
    # Wald: the attempts of the outage are those up to the overshoot, less the last, which succeeds.
    failed = 1 + rate * (1_800 + overshoot_s) - 1
    agrees(mean_interval(jobs.attempts - 1, CONFIDENCE), failed, 0.1)
