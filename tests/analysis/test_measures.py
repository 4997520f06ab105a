"""Measures of runs small enough to be worked out by hand."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsim.analysis.measures import GROUPS, MEASURES, measures
from jobsim.analysis.measures_attempts import densest
from jobsim.analysis.observed import Observed, Outage, Setting
from jobsim.core.events import EventLog
from jobsim.core.time import SECOND, Instant

OUTAGE = Outage(100, 110, 110)


def setting(began: Instant, length: float = 1000, **changes: Any) -> Setting:
    values: dict[str, Any] = {"horizon_s": 1000.0, "slots": 2, "outages": (OUTAGE,)} | changes
    return Setting(began, Instant(began + round(length * SECOND)), **values)


def test_measures_count_jobs_by_their_fate(story: Any, began: Instant) -> None:
    """Every job is succeeded, dead, cancelled or unfinished, and the shares are of all jobs."""
    story.done(1, 0, latency=2)
    for job in (2, 3, 4):
        story.enqueue(job, 0)
        story.claim(job, 0)
    story.bury(2, 1)
    story.cancel(3, 1)
    found = measures(Observed.of(story.log, setting(began)))
    names = ("jobs", "succeeded", "dead_letters", "cancelled", "unfinished")
    assert [found[name] for name in names] == [4, 1, 1, 1, 1]
    assert (found["success_rate"], found["dead_letter_rate"], found["unfinished_rate"]) == (0.25, 0.25, 0.25)


def test_latencies_are_quantiles_of_all_jobs(story: Any, began: Instant) -> None:
    """Jobs that never succeeded count as infinitely late, so that giving up early does not look fast."""
    for job in range(1, 97):
        story.done(job, at=job, latency=float(job))
    for job in range(97, 101):
        story.enqueue(job, 0)
        story.claim(job, 0)
        story.bury(job, 1)
    found = measures(Observed.of(story.log, setting(began)))
    assert found["latency_p50_s"] == pytest.approx(50)
    assert found["latency_p95_s"] == pytest.approx(95)
    assert found["latency_p99_s"] == math.inf


def test_mean_latency_is_of_jobs_that_succeeded(story: Any, began: Instant) -> None:
    """A mean over all jobs would be infinite wherever one job is lost."""
    story.done(1, 0, latency=2)
    story.done(2, 0, latency=4)
    story.enqueue(3, 0)
    assert measures(Observed.of(story.log, setting(began)))["latency_mean_s"] == pytest.approx(3)


def test_measures_count_attempts_by_how_they_ended(story: Any, began: Instant) -> None:
    """Wasted attempts ended in anything but success; one under way is not wasted yet."""
    story.enqueue(1, 0)
    story.claim(1, 0)
    story.retry(1, 5, due=6)
    story.claim(1, 6)
    story.retry(1, 9, due=9, outcome="lost")
    story.claim(1, 9)
    story.succeed(1, 10)
    story.refuse(1, 12)
    story.enqueue(2, 0)
    story.claim(2, 0)
    found = measures(Observed.of(story.log, setting(began)))
    assert (found["attempts"], found["attempts_per_job"]) == (4, 2)
    assert (found["wasted_attempts"], found["lost_attempts"], found["refused_settlements"]) == (2, 1, 1)


def test_measures_burst_is_of_retries_only(story: Any, began: Instant) -> None:
    """First attempts, and first attempts again after a release, are no retries."""
    for job in range(7):
        story.enqueue(job, 0)
        story.claim(job, 0)
    for job in range(3):
        story.retry(job, 1, due=20)
        story.claim(job, 20 + job / 4)
    for job in range(3, 7):
        story.release(job, 1, due=20)
        story.claim(job, 20)
    found = measures(Observed.of(story.log, setting(began)))
    assert found["largest_retry_burst"] == 3
    assert found["peak_load_per_s"] == pytest.approx(0.7)


@given(st.lists(st.integers(0, 30)), st.integers(1, 8))
def test_densest_window_is_the_fullest_of_all(moments: list[int], width: int) -> None:
    """No half-open window holds more, wherever it begins."""
    brute = max((sum(s <= m < s + width for m in moments) for s in range(31)), default=0)
    assert densest(np.array(moments, dtype=np.int64), width / SECOND) == brute


def test_utilisation_counts_busy_slots_while_jobs_arrive(story: Any, began: Instant) -> None:
    """What runs past the horizon is cut, what is under way counts, and lost attempts do not."""
    story.done(1, 0, latency=30)
    story.done(2, 90, latency=30)
    story.enqueue(3, 0)
    story.claim(3, 0)
    story.retry(3, 60, due=60, outcome="lost")
    story.claim(3, 80)
    found = measures(Observed.of(story.log, setting(began, length=200, horizon_s=100.0, outages=())))
    assert found["utilisation"] == pytest.approx((30 + 10 + 20) / (2 * 100))


def with_outage(story: Any, back_at: float) -> None:
    """Between 50 s and 100 s one job is open on average; the outage leaves three until `back_at`."""
    story.done(1, at=50, latency=50)
    for job in (2, 3, 4):
        story.enqueue(job, 105)
        story.claim(job, 105)
    story.succeed(2, back_at)
    story.succeed(3, back_at)
    story.succeed(4, back_at + 500)


def test_recovery_ends_when_the_backlog_is_back(story: Any, began: Instant) -> None:
    """It is the time from the outage's end until the backlog is about its average before it."""
    with_outage(story, back_at=150)
    found = measures(Observed.of(story.log, setting(began)))
    assert (found["recovery_s"], found["recovered"]) == pytest.approx((40, 1))
    assert found["peak_backlog"] == 3


def test_recovery_leaves_a_fiftieth_of_the_rise_to_stragglers(story: Any, began: Instant) -> None:
    """Of 200 jobs that piled up, 196 done are enough; the time average before them is 0."""
    for job in range(200):
        story.enqueue(job, 105)
        story.claim(job, 105)
    for job in range(196):
        story.succeed(job, 150 + job)
    found = measures(Observed.of(story.log, setting(began)))
    assert (found["recovery_s"], found["recovered"]) == pytest.approx((150 + 195 - 110, 1))


def test_recovery_is_cut_where_jobs_stop_arriving(story: Any, began: Instant) -> None:
    """A backlog that only falls after the horizon has not recovered."""
    with_outage(story, back_at=450)
    found = measures(Observed.of(story.log, setting(began, horizon_s=400.0)))
    assert (found["recovery_s"], found["recovered"]) == pytest.approx((290, 0))


def test_recovery_leaves_out_kinds_that_never_succeed(story: Any, began: Instant) -> None:
    """Jobs that can never succeed pile up under a patient policy, and say nothing about the outage."""
    for job in range(10, 20):
        story.enqueue(job, 101, kind="poison")
    with_outage(story, back_at=150)
    assert measures(Observed.of(story.log, setting(began)))["recovery_s"] == pytest.approx(40)


def test_recovery_is_nothing_where_the_backlog_never_rose(story: Any, began: Instant) -> None:
    """A backlog at its usual level when the outage ends has recovered at once."""
    story.done(1, at=50, latency=50)
    found = measures(Observed.of(story.log, setting(began)))
    assert (found["recovery_s"], found["recovered"]) == (0, 1)


@pytest.mark.parametrize("outages", [(), (Outage(100, 5000, 5000),)])
def test_recovery_needs_an_outage_that_ends(story: Any, began: Instant, outages: Any) -> None:
    """Without one it is NaN, never a number."""
    story.done(1, 0, latency=1)
    found = measures(Observed.of(story.log, setting(began, outages=outages)))
    assert math.isnan(found["recovery_s"])
    assert math.isnan(found["recovered"])


def test_measures_of_an_empty_log_are_zero_or_nan() -> None:
    """Nothing happened: counts are 0, everything else is unknown, and nothing is raised."""
    found = measures(Observed.of(EventLog()))
    assert list(found) == list(MEASURES)
    assert {name for name, value in found.items() if value == 0} >= {"jobs", "attempts", "peak_backlog"}
    assert math.isnan(found["success_rate"])
    assert math.isnan(found["latency_p99_s"])


def test_measures_of_a_live_log_need_no_setting(story: Any) -> None:
    """Without a setting the run is taken from first event to last, and utilisation is not known."""
    story.done(1, 0, latency=2)
    found = measures(Observed.of(story.log))
    assert found["success_rate"] == 1
    assert math.isnan(found["utilisation"])


def test_measures_have_names_that_end_in_their_unit() -> None:
    """A time ends in _s and a rate in _per_s, so that a column of numbers tells its unit."""
    for name, measure in MEASURES.items():
        assert name.endswith("_s") is (measure.unit in {"s", "1/s"}), name
        assert name.endswith("_per_s") is (measure.unit == "1/s"), name


def test_groups_compute_what_they_name(story: Any, began: Instant) -> None:
    """Each group gives a value for each of its measures and for nothing else; no name is taken twice."""
    story.done(1, 0, latency=2)
    run = Observed.of(story.log, setting(began))
    for group in GROUPS:
        assert set(group.compute(run)) == set(group.measures)
    assert len(MEASURES) == sum(len(group.measures) for group in GROUPS)


def test_wait_is_from_being_due_to_being_started(story: Any, began: Instant) -> None:
    """Backoff is no wait; a job that still waits at the end counts for the longest only."""
    story.enqueue(1, 0)
    story.claim(1, 1)
    story.retry(1, 2, due=50)
    story.claim(1, 53)
    story.succeed(1, 54)
    story.enqueue(2, 90)
    found = measures(Observed.of(story.log, setting(began, length=100)))
    assert found["wait_mean_s"] == pytest.approx((1 + 3) / 2)
    assert (found["wait_p95_s"], found["longest_wait_s"]) == (3, 10)


def test_wait_of_a_job_that_was_never_due_is_none(story: Any, began: Instant) -> None:
    """A job cancelled in its backoff, or still in it at the end, did not wait for a worker then."""
    for job in (1, 2):
        story.enqueue(job, 0)
        story.claim(job, 0)
        story.retry(job, 2, due=500)
    story.cancel(1, 10)
    found = measures(Observed.of(story.log, setting(began, length=100)))
    assert (found["longest_wait_s"], found["peak_queue_depth"]) == (0, 0)


def test_queue_depth_counts_due_jobs_that_no_worker_has_taken(story: Any, began: Instant) -> None:
    """Running jobs and jobs in backoff are not in the queue; the mean is over the time while jobs arrive."""
    for job in (1, 2, 3):
        story.enqueue(job, 0)
    story.claim(1, 0)
    story.claim(2, 10)
    story.claim(3, 30)
    story.retry(2, 40, due=60)
    story.claim(2, 65)
    found = measures(Observed.of(story.log, setting(began, horizon_s=100.0, outages=())))
    assert found["peak_queue_depth"] == 2
    assert found["queue_depth_mean"] == pytest.approx((10 + 30 + 5) / 100)
    assert (found["peak_backlog"], found["backlog_mean"]) == pytest.approx((3, 3))


def test_goodput_counts_successes_while_jobs_arrive(story: Any, began: Instant) -> None:
    """What succeeds later was not delivered at that rate."""
    story.done(1, 0, latency=2)
    story.done(2, 0, latency=100)
    story.done(3, 0, latency=101)
    found = measures(Observed.of(story.log, setting(began, horizon_s=100.0)))
    assert found["goodput_per_s"] == pytest.approx(2 / 100)


def test_oldest_job_is_the_highest_age_reached(story: Any, began: Instant) -> None:
    """Finished jobs count at the age they finished with, unfinished ones at the end of the run."""
    story.done(1, 0, latency=70)
    story.enqueue(2, 50)
    assert measures(Observed.of(story.log, setting(began, length=100)))["oldest_job_s"] == 70
    assert measures(Observed.of(story.log, setting(began, length=130)))["oldest_job_s"] == 80


def test_duplicate_runs_follow_a_loss(story: Any, began: Instant) -> None:
    """Attempts after a lost one may do its work again; those after a failure do not count."""
    story.enqueue(1, 0)
    story.claim(1, 0)
    story.retry(1, 5, due=5)
    story.claim(1, 5)
    story.retry(1, 9, due=9, outcome="lost")
    story.claim(1, 9)
    story.retry(1, 12, due=12)
    story.claim(1, 12)
    story.done(2, 0, latency=1)
    assert measures(Observed.of(story.log, setting(began)))["duplicate_runs"] == 2
