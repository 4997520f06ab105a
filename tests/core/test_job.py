import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsim.core.job import UNLIMITED, NewJob
from jobsim.core.time import Instant
from tests.core.values import LEASE


@given(st.integers(1, 50), st.integers(1, 50), st.integers(0, 3))
def test_lease_counts_tries_from_the_last_fresh_start(budget: int, tries: int, requeues: int) -> None:
    """Each requeue raised the limit to attempts plus budget; tries count from 1 after any number of them."""
    spent = requeues * budget
    lease = LEASE._replace(attempt=spent + min(tries, budget), max_attempts=spent + budget, budget=budget)
    assert lease.tries == min(tries, budget)


def test_lease_of_an_endless_job_counts_its_tries_too() -> None:
    """Without a limit, tries are attempts, and start again from 1 after a requeue at attempt 9."""
    endless = LEASE._replace(attempt=9, max_attempts=UNLIMITED, budget=UNLIMITED)
    assert endless.tries == 9
    assert endless._replace(attempt=10, max_attempts=9 + UNLIMITED).tries == 1


def test_new_job_needs_id_kind_and_time_alone() -> None:
    """The rest is as most jobs are: the default queue, an empty payload, five attempts."""
    new = NewJob(id=LEASE.id, kind="send", run_at=Instant(0))
    assert (new.queue, new.payload, new.max_attempts, new.priority) == ("default", "{}", 5, 0)
    with pytest.raises(AttributeError):
        new.kind = "other"  # type: ignore[misc]
