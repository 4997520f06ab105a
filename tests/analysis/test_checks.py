"""Runs as they should be pass; a planted fault of each kind is found and named."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from jobsim.analysis.checks import broken_laws
from jobsim.analysis.observed import Level, Observed, Setting
from jobsim.core.events import EventLog
from jobsim.core.time import SECOND, Instant


@pytest.fixture
def run(story: Any, began: Instant) -> Observed:
    """Four jobs: one succeeds, one is retried and then waits, one runs, one is dead."""
    story.done(1, 0, latency=2)
    story.enqueue(2, 1)
    story.claim(2, 3)
    story.retry(2, 4, due=6)
    story.enqueue(3, 2)
    story.claim(3, 5)
    story.enqueue(4, 2)
    story.claim(4, 7)
    story.bury(4, 8)
    return seen(story, began)


def seen(story: Any, began: Instant, slots: int = 2) -> Observed:
    return Observed.of(story.log, Setting(began, Instant(began + 20 * SECOND), horizon_s=10, slots=slots))


def test_a_sound_run_breaks_no_law(run: Observed) -> None:
    """Waiting, running and final jobs all add up."""
    assert broken_laws(run) == []


def test_an_empty_run_breaks_no_law() -> None:
    """Nothing happened, and nothing is raised."""
    assert broken_laws(Observed.of(EventLog())) == []


def test_a_requeued_job_breaks_no_law(story: Any, began: Instant) -> None:
    """Between its dead letter and its requeue a job was not there; that is no fault."""
    story.enqueue(1, 0)
    story.claim(1, 0)
    story.bury(1, 1)
    story.requeue(1, 5)
    assert broken_laws(seen(story, began)) == []


def test_a_job_claimed_twice_is_found(story: Any, began: Instant) -> None:
    """The transition table has no claim of a running job."""
    story.enqueue(1, 0)
    story.claim(1, 0)
    story.claim(1, 1)
    [found] = [law for law in broken_laws(seen(story, began)) if law.startswith("transitions")]
    assert "event 3 (claim of job" in found


def test_a_job_accepted_twice_is_found(story: Any, began: Instant) -> None:
    """Two enqueues of one job break the table and the count."""
    story.enqueue(1, 0)
    story.enqueue(1, 1)
    assert [law.split(":")[0] for law in broken_laws(seen(story, began))][:2] == [
        "transitions",
        "conservation",
    ]


def test_a_token_used_twice_is_found(story: Any, began: Instant) -> None:
    """A second claim under the same token would let two workers settle the job."""
    story.enqueue(1, 0)
    story.claim(1, 0)
    story.retry(1, 1, due=1)
    story.token[1] -= 1
    story.claim(1, 2)
    [found] = broken_laws(seen(story, began))
    assert found.startswith("fencing: event 4")
    assert "token 1, not 2" in found


def test_an_attempt_too_many_is_found(story: Any, began: Instant) -> None:
    """No job runs more often than it may."""
    story.limit = 1
    story.enqueue(1, 0)
    story.claim(1, 0)
    story.retry(1, 1, due=1)
    story.claim(1, 2)
    [found] = broken_laws(seen(story, began))
    assert found.startswith("attempts: event 4")


@pytest.mark.parametrize(
    ("level", "where"), [("backlog", "in the backlog"), ("queue", "waiting for workers")]
)
def test_a_level_that_is_off_is_found(run: Observed, level: str, where: str) -> None:
    """One job more for one microsecond breaks Little's law."""
    true: Level = getattr(run, level)
    late = true.at.copy()
    late[np.flatnonzero(np.diff(true.value) < 0)[0] + 1] += 1
    moved = Level(late, true.value)
    off = replace(run, backlog=moved) if level == "backlog" else replace(run, queue=moved)
    [found] = broken_laws(off)
    assert found.startswith("Little's law")
    assert where in found


def test_a_job_that_vanished_is_found(run: Observed) -> None:
    """A backlog that ends with one job fewer than there are is a lost job."""
    fewer = replace(run.backlog, value=run.backlog.value - (run.backlog.at == run.backlog.at[-1]))
    assert any(law.startswith("conservation: 4 jobs") for law in broken_laws(replace(run, backlog=fewer)))


def test_more_work_than_slots_is_found(story: Any, began: Instant) -> None:
    """Three attempts at a time do not fit into two slots; lost ones may still hold a slot that is gone."""
    for job in (1, 2, 3):
        story.done(job, 0, latency=10)
    assert broken_laws(seen(story, began, slots=3)) == []
    [found] = broken_laws(seen(story, began, slots=2))
    assert found.startswith("utilisation: attempts took 30")
