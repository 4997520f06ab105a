"""What is told of a policy's patience is what the engine would do."""

import numpy as np
import pytest

from jobsim import policies
from jobsim.analysis.patience import delays, patience, patience_s
from jobsim.core.backoff import Exponential, Fixed
from jobsim.core.errors import ConfigError
from jobsim.core.policy import RetryPolicy


def test_delays_are_those_of_the_backoff() -> None:
    """Each draw is one job's delays, in the order of its retries."""
    assert delays(policies.exponential, draws=2).tolist() == [[1, 2, 4, 8, 16, 32, 64]] * 2


def test_delays_are_jittered_by_draw_and_repeat_with_their_seed() -> None:
    """Draws differ from each other, seeds too, and equal seeds agree."""
    first = delays(policies.full_jitter, draws=50, seed=1)
    assert len(np.unique(first[:, -1])) == 50
    assert (first <= 2.0 ** np.arange(7)).all()
    assert np.array_equal(first, delays(policies.full_jitter, draws=50, seed=1))
    assert not np.array_equal(first, delays(policies.full_jitter, draws=50, seed=2))


def test_delays_follow_the_one_before_where_the_backoff_does() -> None:
    """Decorrelated jitter is given the delay that the engine gave."""
    found = delays(policies.decorrelated)
    assert (found[:, 1:] <= 3 * found[:, :-1] + 1e-6).all()
    assert found[:, -1].max() > 100


def test_delays_end_with_the_age_of_the_job() -> None:
    """What `max_age` forbids is NaN."""
    found = delays(RetryPolicy(Fixed("10s"), max_attempts=5, max_age="25s"), draws=1)
    assert found[0, :2].tolist() == [10, 10]
    assert np.isnan(found[0, 2:]).all()


def test_delays_without_a_limit_need_a_number_of_retries() -> None:
    """A policy that never gives up is asked for as many retries as are wanted."""
    assert delays(policies.temporal, retries=9, draws=1)[0, -1] == 100
    with pytest.raises(ConfigError, match="temporal has no limit of attempts"):
        delays(policies.temporal)


@pytest.mark.parametrize(
    ("policy", "seconds"),
    [
        (policies.none, 0),
        (policies.celery, 3 * 180),
        (RetryPolicy(Exponential(base="2s"), max_attempts=4), 2 + 4 + 8),
        (RetryPolicy(Fixed("10s"), max_attempts=1), 0),
        (RetryPolicy(Fixed("10s"), max_attempts=99, max_age="35s"), 30),
        (RetryPolicy(Fixed("10s"), max_attempts=None, max_age="35s"), 35),
        (RetryPolicy(Fixed("10s"), max_attempts=3, retry_on="OSError"), 20),
        (policies.temporal, float("inf")),
    ],
)
def test_patience_is_the_time_from_the_first_attempt_to_the_last(policy: RetryPolicy, seconds: float) -> None:
    """Attempts, age and backoff decide; errors that are not retried do not shorten it."""
    assert patience_s(policy) == (seconds, seconds)


def test_patience_spans_the_jitter() -> None:
    """Jitter makes it a range, inside what the policy allows."""
    low, high = patience_s(policies.equal_jitter)
    assert 127 / 2 < low < 0.75 * 127 < high < 127
    assert patience(policies.equal_jitter) == "1.1-2 min"
