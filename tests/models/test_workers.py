"""Who works: crashes, pauses and the number of workers."""

import math
from typing import Any

import pytest

from jobsim.core.errors import ConfigError
from jobsim.core.time import SECOND
from jobsim.models import Autoscale, Constant, Crashes, Pauses, Workers

NUMBERS = [0.0, 0.25, 0.5, 0.75]


def test_crashes_come_at_exponential_times() -> None:
    """A worker outlives x with probability exp(-x / every)."""
    crash = Crashes(every="1h")
    for u in (0.0, 0.3, 0.999):
        assert math.exp(-crash.lifetime(u) / (3600 * SECOND)) == pytest.approx(1 - u)


def test_pauses_come_at_exponential_times_and_last_as_drawn() -> None:
    """Each pause has two numbers of its own: when it comes, and how long it is."""
    pauses = Pauses(every="10m", length=Constant(value="2m"))
    wait, length = pauses.pause(1, NUMBERS.__getitem__)
    assert math.exp(-wait / (600 * SECOND)) == pytest.approx(0.5)
    assert length == 120 * SECOND
    assert pauses.pause(0, NUMBERS.__getitem__)[0] == 0


@pytest.mark.parametrize(
    ("backlog", "wanted"), [(0, 2), (1, 2), (20, 2), (21, 3), (30, 3), (31, 4), (50, 5), (51, 5), (10**9, 5)]
)
def test_autoscale_wants_one_worker_for_so_many_jobs(backlog: int, wanted: int) -> None:
    """The backlog divided by the target, rounded up, within the bounds."""
    scale = Autoscale(per_worker=10, min=2, max=5)
    assert scale.wanted(backlog) == wanted


def test_autoscale_may_have_nobody_work() -> None:
    """From zero, one job is reason enough for a worker."""
    scale = Autoscale(per_worker=100, min=0, max=5)
    assert (scale.wanted(0), scale.wanted(1)) == (0, 1)


@pytest.mark.parametrize("count", [1, 6])
def test_workers_begin_as_many_as_autoscale_allows(count: int) -> None:
    """A count outside of the bounds is refused."""
    with pytest.raises(ConfigError, match=rf"count is {count}, which autoscale does not allow: from 2 to 5"):
        Workers(count=count, slots=1, autoscale=Autoscale(per_worker=10, min=2, max=5))


@pytest.mark.parametrize(
    "more", [{"count": 10**12}, {"slots": 10**12}, {"autoscale": Autoscale(per_worker=5, max=10**7)}]
)
def test_workers_are_no_more_than_can_be_simulated(more: dict[str, Any]) -> None:
    """A slip of the keyboard is a sentence, not a process without memory."""
    with pytest.raises(ConfigError, match=r"too many to simulate: 1,000,000 slots at most"):
        Workers(**{"count": 2, "slots": 4} | more)
