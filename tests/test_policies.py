"""Presets against other systems' formulas, written out again here from their sources."""

import math
from collections.abc import Callable

import numpy as np
import pytest

import jobsim
from jobsim import RetryPolicy, policies
from jobsim.core.errors import ConfigError
from jobsim.core.time import SECOND, Duration
from tests.core.values import Drawn

DAY = 86_400
# No multiples at which a formula that cuts to whole seconds stands on an edge.
UNIFORMS = (0.0, 0.0137, 0.2713, 0.4999, 0.5301, 0.7919, 0.9991)


def oban(retry: int, u: float) -> float:
    """lib/oban/worker.ex and backoff.ex: 15 + 2^attempt, plus trunc(rand * 0.1 * that), whole seconds."""
    wait: int = 15 + 2**retry
    return wait + math.trunc(u * 0.1 * wait)


def river(retry: int, u: float) -> float:
    """internal/retrypolicy: n^4, plus that times (rand * 0.2 - 0.1), with n the number of errors."""
    return retry**4 + retry**4 * (u * 0.2 - 0.1)


def sidekiq(retry: int, u: float) -> float:
    """job_retry.rb: count^4 + 15 + rand(10 * (count + 1)), a whole number, with count from 0."""
    count = retry - 1
    return count**4 + 15 + int(u * (10 * (count + 1)))


def faktory(retry: int, u: float) -> float:
    """manager/retry.go: count^4 + 15 + rand.Intn(30) * (count + 1), with count from 0."""
    count = retry - 1
    return count**4 + 15 + int(u * 30) * (count + 1)


def celery(_retry: int, _u: float) -> float:
    """app/task.py: default_retry_delay, three minutes."""
    return 3 * 60


def celery_backoff(retry: int, u: float) -> float:
    """utils/time.py: randrange(min(600, 2^retries) + 1), with retries from 0."""
    return int(u * (min(600, 2 ** (retry - 1)) + 1))


def graphile(retry: int, _u: float) -> float:
    """sql/failJobs.ts: exp(least(attempts, 10)), attempts from 1."""
    return math.exp(min(retry, 10))


def temporal(retry: int, _u: float) -> float:
    """RetryPolicy: initial 1 s, coefficient 2, maximum a hundred times the initial."""
    return min(2.0 ** (retry - 1), 100)


def aws_sdk(retry: int, u: float) -> float:
    """botocore, retries/standard.py: rand * min(2^(attempt - 1), 20)."""
    return u * min(2.0 ** (retry - 1), 20)


def tutorial(retry: int, u: float) -> float:
    """The text: 1 s doubling up to 30 s, jitter up to 100 ms on top."""
    return min(2.0 ** (retry - 1) + u * 0.1, 30)


FORMULAS = [oban, river, sidekiq, faktory, celery, celery_backoff, graphile, temporal, aws_sdk, tutorial]


def delay(policy: RetryPolicy, retry: int, *numbers: float) -> Duration:
    return policy.backoff.delay(retry, Duration(0), Drawn(*numbers))


@pytest.mark.parametrize("formula", FORMULAS, ids=lambda formula: formula.__name__)
def test_preset_is_its_systems_formula(formula: Callable[[int, float], float]) -> None:
    """Over all retries the system makes (30 where it has no limit), and over the range of its randomness."""
    policy = policies.named(formula.__name__)
    for retry in range(1, policy.max_attempts or 31):
        for u in UNIFORMS:
            expected = formula(retry, u) * SECOND
            assert delay(policy, retry, u) == pytest.approx(expected, abs=1), (retry, u)


@pytest.mark.parametrize("u", UNIFORMS)
def test_dramatiq_is_its_formula_below_its_cap(u: float) -> None:
    """common.py: int(15000 * 2^n * uniform(1, 2)) milliseconds, n from 0, while that cannot pass 7 days."""
    for retry in range(1, 16):
        expected = 15 * 2 ** (retry - 1) * (1 + u)
        assert delay(policies.dramatiq, retry, u) / SECOND == pytest.approx(expected, abs=0.001)


@pytest.mark.parametrize("u", UNIFORMS)
def test_dramatiq_is_spread_over_the_upper_half_of_its_cap_above_it(u: float) -> None:
    """common.py: from n = 16 on every delay passes the cap, and becomes 7 days * uniform(0.5, 1)."""
    for retry in range(17, 21):
        assert delay(policies.dramatiq, retry, u) / SECOND == pytest.approx(7 * DAY * (0.5 + 0.5 * u))


def test_dramatiq_mixes_both_where_only_some_delays_pass_its_cap() -> None:
    """At n = 15: 15 s * 2^15 * U(1, 2), redrawn on 3.5 to 7 days where that passes 7 days."""
    found = np.array([delay(policies.dramatiq, 16, (k + 0.5) / 20_000) for k in range(20_000)]) / SECOND
    shortest, cap = 15 * 2**15, 7 * DAY
    kept = cap / shortest - 1  # the share that stays below the cap
    for level in np.linspace(0.5, 1, 11) * cap:
        below = kept * np.clip((level - shortest) / (cap - shortest), 0, 1)
        below += (1 - kept) * (level - cap / 2) / (cap / 2)
        assert np.mean(found <= level) == pytest.approx(below, abs=0.001)


@pytest.mark.parametrize(
    ("name", "runs"),
    [
        ("oban", 20),
        ("river", 25),
        ("sidekiq", 1 + 25),
        ("faktory", 1 + 25),
        ("celery", 1 + 3),
        ("celery_backoff", 1 + 3),
        ("dramatiq", 1 + 20),
        ("graphile", 25),
        ("temporal", None),
        ("aws_sdk", 3),
        ("tutorial", 5),
    ],
)
def test_preset_makes_as_many_runs_as_its_system(name: str, runs: int | None) -> None:
    """`max_attempts` counts runs, so a system that counts retries has one more."""
    assert policies.named(name).max_attempts == runs


def test_tutorial_jitter_is_really_there() -> None:
    """Up to 100 ms at microsecond resolution, not cut to whole seconds as in the tutorial's own code."""
    added = [delay(policies.tutorial, 1, (k + 0.5) / 1_000) - SECOND for k in range(1_000)]
    assert len(set(added)) == 1_000
    assert min(added) == 50
    assert max(added) == 99_950


@pytest.mark.parametrize("retry", [32, 33, 64, 10_000])
def test_tutorial_works_at_any_retry(retry: int) -> None:
    """Where the tutorial's own code shifts past its integer's width, ours is at its cap."""
    assert delay(policies.tutorial, retry, 0.5) == 30 * SECOND


@pytest.mark.parametrize("name", policies.PRESETS)
def test_preset_works_at_any_retry_and_reads_back(name: str) -> None:
    """None overflows, each carries its own name, and each repr evaluates back."""
    policy = policies.PRESETS[name]
    for retry in (33, 10_000, 2**31):
        assert delay(policy, retry, 0.5) >= 0
    assert policies.named(name) is getattr(policies, name) is policy
    assert policy.name == name
    assert eval(repr(policy), {n: getattr(jobsim, n) for n in jobsim.__all__}) == policy


def test_named_suggests_the_preset_that_was_meant() -> None:
    """An unknown name is refused with the nearest one and the list of all."""
    with pytest.raises(ConfigError, match=r"'sidekick' \(did you mean 'sidekiq'\?\); there are: none, fixed"):
        policies.named("sidekick")
