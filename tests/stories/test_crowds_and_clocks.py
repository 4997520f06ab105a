"""Jobs that wait long, fail together, or are given up by the thousand: stories told of other queues.

The rule of each is held by every kind of store; `tests/stories/test_stories.py` says which story it is.
"""

from collections import Counter
from typing import Final

import pytest

from jobsim.core.backoff import Exponential, Fixed, NoBackoff
from jobsim.core.decide import Decision, Settlement
from jobsim.core.job import Lease, NewJob, State
from jobsim.core.limits import By, Limit, Scope
from jobsim.core.outcome import Error, Failed, Snoozed
from jobsim.core.policy import RetryPolicy
from jobsim.core.time import SECOND, Duration, Instant
from jobsim.core.transitions import Kind
from jobsim.queue import Queue
from jobsim.runtime.live import now
from jobsim.storage.base import Storage
from jobsim.testing.conformance_base import (
    BEGAN,
    BURY,
    SUCCEED,
    add,
    at,
    claim,
    job_id,
    lose,
    new,
    release,
    retry,
    settle,
)
from jobsim.testing.invariants import verify
from jobsim.testing.scripted import Act
from tests.stories.company import Company

ERROR: Final = Failed(Error("ValueError", "no"))
DAY_S: Final = 86_400


def test_tokens_grow_over_a_job_s_whole_life(storage: Storage) -> None:
    """No retry, release, loss or requeue starts them anew, and no lease of old is good for anything."""
    add(storage, new(1))
    old: list[Lease] = []

    def refused(now: float) -> bool:
        tried = [settle(storage, lease, SUCCEED, now=at(now)) for lease in old]
        return not any(tried) and not any(storage.extend([lease], at(now + 90), at(now)) for lease in old)

    def pass_(decision: Decision, now: float) -> None:
        assert refused(now)
        [lease] = claim(storage, now=at(now))
        assert refused(now + 1)
        assert settle(storage, lease, decision, now=at(now + 61))
        old.append(lease)

    pass_(retry(at(100)), 0)
    pass_(release(at(200)), 100)
    pass_(lose(at(300)), 200)
    pass_(BURY, 300)
    assert storage.requeue([job_id(1)], at(400)) == [True]
    pass_(SUCCEED, 400)
    assert [lease.token for lease in old] == [1, 2, 3, 4, 5]
    assert [lease.attempt for lease in old] == [1, 2, 2, 3, 4]
    verify(storage.events(), jobs=storage.find())


def test_job_for_a_far_day_runs_once(storage: Storage) -> None:
    """A job may wait far longer than a lease, at first, after a failure and after a snooze."""
    script = {2: [Act(ERROR), Act()], 3: [Act(Snoozed(Duration(DAY_S * SECOND))), Act()]}
    company = Company(storage, script, RetryPolicy(Fixed("1d"), max_attempts=2))
    company.enqueue(1, after_s=DAY_S)
    company.enqueue(2, 3)
    for name in ("ann", "bob", "eve"):
        company.hire(name, lease="1h", poll="6h")
    company.play(until=2 * DAY_S)
    assert [len(company.events(n, Kind.CLAIM)) for n in (1, 2, 3)] == [1, 2, 2]
    assert company.times(1, Kind.CLAIM)[0] >= DAY_S
    assert storage.counts()[State.SUCCEEDED] == 3


def test_no_dead_letter_is_dropped(storage: Storage) -> None:
    """However many there are, each is there until somebody discards or prunes it."""
    count = 10_001
    add(storage, *(new(n) for n in range(count)))
    leases = claim(storage, limit=count)
    assert all(storage.settle([Settlement(lease, BURY) for lease in leases], at(1)))
    assert storage.counts()[State.DEAD_LETTER] == count
    assert {job.id for job in storage.find(states=[State.DEAD_LETTER])} == {job_id(n) for n in range(count)}


@pytest.mark.parametrize("year", [1999, 2190])
def test_all_times_are_of_the_clock_that_was_handed_in(storage: Storage, year: int) -> None:
    """Far from today nothing is late, early or expired by any other clock."""
    began = Instant(round((year - 1970) * 365.25 * DAY_S) * SECOND)
    company = Company(storage, {1: [Act(ERROR), Act()]}, RetryPolicy(Fixed("30s")), began)
    company.enqueue(1, 2, 3)
    ann = company.hire("ann", slots=3)
    company.play((0.5, ann.machine.kill), (1, lambda: company.hire("bob", slots=3)), until=120)
    assert storage.counts()[State.SUCCEEDED] == 3
    for job in storage.find():
        times = (job.created, job.enqueued, job.run_at, job.attempted, job.finished)
        assert all(time is not None and began <= time <= began + 120 * SECOND for time in times)
    assert all(began <= event.at <= began + 120 * SECOND for event in storage.events())


@pytest.mark.parametrize("set_back_s", [1, 90, 7_200])
def test_clock_that_is_set_back_has_no_tick_twice(storage: Storage, set_back_s: int) -> None:
    """Each tick of a schedule has one job, which runs once, though its time comes a second time."""
    queue = Queue("memory://")
    queue.periodic(every="1m", catch_up="0s")(queue.job(clean))
    company = Company(storage, began=Instant(BEGAN + SECOND))
    for name in ("ann", "bob"):
        company.hire(
            name,
            wrong_s=lambda true: -set_back_s if true > 330 else 0,
            poll="5s",
            schedules=tuple(queue.schedules.values()),
        )
    company.play(until=610)
    ticks = [job.run_at for job in storage.find()]
    last = max(300, (611 - set_back_s) // 60 * 60)
    assert ticks == [at(second) for second in range(60, last + 1, 60)]
    claims = Counter(event.job for event in storage.events() if event.kind is Kind.CLAIM)
    assert set(claims.values()) == {1}
    assert len(claims) == len(ticks)


def peak(storage: Storage, backoff: Exponential | Fixed) -> int:
    """Let 200 jobs fail in one moment; return how many of them start again within the same second."""
    company = Company(storage, {n: [Act(ERROR), Act()] for n in range(200)}, RetryPolicy(backoff))
    company.enqueue(*range(200))
    company.hire("ann", slots=200)
    company.play(until=120)
    retries = [event.at for event in storage.events() if event.kind is Kind.CLAIM and event.attempt == 2]
    return max(Counter(moment // SECOND for moment in retries).values())


def test_jitter_keeps_a_batch_that_failed_together_apart(storage: Storage) -> None:
    """Spread over a minute, of 200 jobs not many more than the mean of a second start again in any one."""
    assert peak(storage, Exponential(base="60s", cap="60s", jitter="full")) <= 15


def test_without_jitter_a_batch_fails_together_again(storage: Storage) -> None:
    """What the measure above would show."""
    assert peak(storage, Fixed("60s")) == 200


def test_polling_alone_finds_every_job(storage: Storage) -> None:
    """Where no notification ever comes, no job waits for much longer than the poll."""
    company = Company(storage)
    for name in ("ann", "bob"):
        company.hire(name, poll="5s")
    company.play(*((7.3 * n, lambda n=n: company.enqueue(n)) for n in range(20)), until=180)
    assert storage.counts()[State.SUCCEEDED] == 20
    waits = [company.times(n, Kind.CLAIM)[0] - company.times(n, Kind.ENQUEUE)[0] for n in range(20)]
    assert max(waits) <= 7


def test_dead_letter_frees_its_place_and_its_key(storage: Storage) -> None:
    """A job that was given up holds neither a place within the limit nor its unique key."""
    storage.set_limits({Scope(By.KIND, "mail"): Limit(running=1)})
    company = Company(storage, {1: [Act(ERROR)]})
    company.enqueue(1, max_attempts=1, unique_key="k")
    company.hire("ann", slots=3)
    company.play((10, lambda: company.enqueue(2, unique_key="k")), until=30)
    assert [company.job(n).state for n in (1, 2)] == [State.DEAD_LETTER, State.SUCCEEDED]


def clean() -> None:
    """Clean."""


def double(number: int) -> int:
    """Return twice the number."""
    return 2 * number


@pytest.mark.live
def test_job_that_nobody_can_read_ends_as_a_dead_letter(storage: Storage) -> None:
    """Arguments that are no JSON, or of the wrong type, and unknown kinds cost attempts, and others go on."""
    queue = Queue(storage)
    queue.job(retry=NoBackoff(), max_attempts=2)(double)
    written = {"double": ['{"number": 1}', '{"number": "x"}', "{}", '{"numb', "[1]", ""], "treble": ["{}"]}
    bad = [(kind, payload) for kind, payloads in written.items() for payload in payloads]
    due = now()
    storage.enqueue(
        [
            NewJob(job_id(n), kind, due, payload=payload, max_attempts=2)
            for n, (kind, payload) in enumerate(bad)
        ],
        due,
    )
    while storage.next_due(["default"]) is not None:
        queue.run_worker(concurrency=2, burst=True)
    ended = storage.find()
    assert [job.state for job in ended] == [State.SUCCEEDED, *[State.DEAD_LETTER] * 6]
    assert {job.attempt for job in ended[1:]} == {2}
    assert all(job.last_error for job in ended[1:])
    verify(storage.events(), jobs=ended)
