"""Series of one run agree with its measures, and name what has a steady state."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsim.analysis.measures import MEASURES, measures
from jobsim.analysis.observed import Level, Observed, Setting
from jobsim.analysis.series import SERIES, steady_state
from jobsim.core.errors import ConfigError
from jobsim.core.time import SECOND, Instant


@pytest.fixture
def run(story: Any, began: Instant) -> Observed:
    """Forty jobs, every fourth of which fails once and waits a second for its second attempt."""
    for job in range(40):
        story.enqueue(job, job)
        story.claim(job, job + 0.5)
        if job % 4:
            story.succeed(job, job + 2)
        else:
            story.retry(job, job + 1, due=job + 3)
            story.claim(job, job + 4)
            story.succeed(job, job + 6)
    return Observed.of(story.log, Setting(began, Instant(began + 60 * SECOND), horizon_s=50, slots=8))


@pytest.mark.parametrize("name", SERIES)
def test_series_has_the_mean_of_its_measure(run: Observed, name: str) -> None:
    """Without a warm-up to cut, series and measure are the same number."""
    series = SERIES[name](run)
    assert name in MEASURES
    assert series.values.mean() == pytest.approx(measures(run)[name])
    assert (np.diff(series.at) >= 0).all()


@given(st.lists(st.tuples(st.integers(0, 99), st.sampled_from([-1, 1, 2])), max_size=20))
def test_level_averages_add_up_to_the_whole(changes: list[tuple[int, int]]) -> None:
    """The averages over bins are the average over all of them, weighted by width."""
    at, steps = (np.array([c[i] for c in changes], dtype=np.int64) for i in (0, 1))
    level, edges = Level.of((at, steps)), np.array([0, 7, 30, 31, 100, 120])
    whole = float(level.averages(edges) @ np.diff(edges)) / 120
    assert whole == pytest.approx(level.average(0, 120))
    assert level.averages(edges)[2] == level.at_moments(np.array([30]))[0]


def test_steady_state_names_what_has_one(run: Observed) -> None:
    """A peak has no steady state; the error names the measure that was meant."""
    with pytest.raises(ConfigError, match="did you mean 'queue_depth_mean'"):
        steady_state(run, "queue_depth")


def test_steady_state_of_a_short_run_is_refused(run: Observed) -> None:
    """Forty jobs are not the long run."""
    with pytest.raises(ConfigError, match="40 values"):
        steady_state(run, "latency_mean_s")
