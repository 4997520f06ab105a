"""Curves on a grid that all runs share."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsim.analysis.curves import LATENCIES_S, Curves, Grid, Profiles, round_up
from jobsim.analysis.observed import Observed, Setting
from jobsim.core.time import SECOND, Instant


@given(st.floats(1e-6, 1e9))
def test_width_is_rounded_up_to_a_number_people_count_in(width: float) -> None:
    """It is at least what was asked for and at most two and a half times as much (six above an hour)."""
    assert width * (1 - 1e-6) <= round_up(width) <= max(2.6 * width, width + 86_400)


@pytest.mark.parametrize(
    ("width", "rounded"), [(30, 30), (31, 60), (0.03, 0.05), (4000, 7200), (9e4, 172_800)]
)
def test_width_is_round(width: float, rounded: float) -> None:
    """Widths are 1, 2, 5, 10, 15, 30 of a unit of time, or 1, 2, 5 of a power of ten below a second."""
    assert round_up(width) == pytest.approx(rounded)


def test_grid_reaches_over_the_run_but_not_over_its_stragglers() -> None:
    """It covers the whole run, up to three horizons."""
    assert Grid.over(3600, 3700).edges_s[-1] >= 3700
    assert Grid.over(3600, 1e9).edges_s[-1] == pytest.approx(3 * 3600, rel=0.01)


def test_curves_count_starts_and_open_jobs(story: Any, began: Instant) -> None:
    """Load is attempts started per second in each bin; backlog is the jobs open at each edge."""
    story.done(1, 0, latency=15)
    story.done(2, 5, latency=3)
    story.done(3, 25, latency=100)
    setting = Setting(began, Instant(began + 30 * SECOND), 30.0)
    curves = Curves.of(Observed.of(story.log, setting), Grid(10.0, 3))
    assert curves.load.tolist() == [0.2, 0.0, 0.1]
    assert curves.backlog.tolist() == [1, 1, 0, 1]


def test_curves_level_off_at_the_share_that_never_succeeds(story: Any, began: Instant) -> None:
    """The share not yet done falls from 1 to that of the jobs that never succeed."""
    story.done(1, 0, latency=1.5)
    story.enqueue(2, 0)
    setting = Setting(began, Instant(began + 30 * SECOND), 30.0)
    waiting = Curves.of(Observed.of(story.log, setting), Grid(10.0, 3)).waiting
    assert waiting[LATENCIES_S < 1.5].tolist() == [1.0] * int((LATENCIES_S < 1.5).sum())
    assert set(waiting[LATENCIES_S > 1.5]) == {0.5}


def test_profiles_stack_runs_by_policy(story: Any, began: Instant) -> None:
    """The first axis is the replication."""
    story.done(1, 0, latency=1)
    grid = Grid(10.0, 3)
    one = Curves.of(Observed.of(story.log, Setting(began, began, 30.0)), grid)
    profiles = Profiles.of(grid, 30.0, (), {"a": [one, one], "b": [one]})
    assert profiles.load["a"].shape == (2, 3)
    assert profiles.backlog["b"].shape == (1, 4)
    assert profiles.end_s == 30.0
    assert np.array_equal(profiles.load["a"][0], one.load)


def test_curves_count_bursts_retry_by_retry(story: Any, began: Instant) -> None:
    """Second attempts are first retries; a policy that spreads them has smaller bursts at later retries."""
    for job in range(4):
        story.enqueue(job, 0)
        story.claim(job, 0)
        story.retry(job, 1, due=5)
        story.claim(job, 5 + job / 10)
        story.retry(job, 6, due=10)
        story.claim(job, 10 + job)
        story.succeed(job, 14 + job)
    curves = Curves.of(Observed.of(story.log, Setting(began, began, 30.0)), Grid(5.0, 4))
    assert curves.herd.tolist() == [4, 1, 0, 0, 0, 0, 0, 0, 0, 0]
    assert curves.goodput.tolist() == [0, 0, 0.2, 0.6]
