"""An application's own tests: what they enqueue, run, and look at, on a clock that they move."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

import jobsim

SENT: list[tuple[str, int]] = []

queue = jobsim.Queue("postgresql://nobody@nowhere.invalid/production")


@queue.job(retry=jobsim.Fixed("10m"), max_attempts=3)
def charge(order: int, *, amount: int = 5) -> None:  # noqa: ARG001  # it is to be asserted
    if order == 13:
        raise ConnectionError("declined")
    SENT.append(("charge", order))
    receipt.enqueue(order, delay="1h")


@queue.job
async def receipt(order: int) -> None:
    await asyncio.to_thread(SENT.append, ("receipt", order))


@queue.periodic("0 3 * * *", tick_as="day")
@queue.job
def report(day: datetime) -> None:
    SENT.append(("report", day.day))


@pytest.fixture
def app() -> Iterator[jobsim.Rehearsal]:
    SENT.clear()
    with queue.testing() as app:
        yield app


def test_nothing_runs_until_it_is_told_to(app: jobsim.Rehearsal) -> None:
    """What is enqueued is there to be looked at, and no database was needed."""
    job = charge.enqueue(7)
    assert SENT == []
    assert app.assert_enqueued(charge, order=7).id == job
    assert app.run_due() == {"succeeded": 1}
    assert SENT == [("charge", 7)]


def test_drain_runs_all_to_the_end(app: jobsim.Rehearsal) -> None:
    """Delays and retries pass on the test's clock, with the policy that was declared."""
    charge.enqueue(7)
    charge.enqueue(13)
    assert app.drain() == {"succeeded": 2, "failed": 3}
    assert SENT == [("charge", 7), ("receipt", 7)]
    [dead] = app.dead_letters
    assert (dead.attempt, dead.last_error) == (3, "ConnectionError: declined")
    assert app.now == datetime(2026, 1, 1, 1, tzinfo=UTC)  # when the receipt was due


def test_drain_leaves_what_is_too_far_away(app: jobsim.Rehearsal) -> None:
    """A job of next month stays where it is."""
    receipt.enqueue(1, delay="40d")
    assert app.drain() == {}
    assert app.drain(within="41d") == {"succeeded": 1}


def test_advance_moves_the_clock_and_runs_what_becomes_due(app: jobsim.Rehearsal) -> None:
    """Each job runs at its time, the ticks of schedules among them, and no further."""
    charge.enqueue(7)
    app.advance("59m")
    assert SENT == [("charge", 7)]
    app.advance("1m")
    assert SENT[1:] == [("receipt", 7)]
    app.advance("2d")
    assert SENT[2:] == [("report", 1), ("report", 2)]
    assert app.now == datetime(2026, 1, 3, 1, tzinfo=UTC)


def test_inline_runs_jobs_as_they_are_enqueued() -> None:
    """With inline, whoever enqueues finds the work done; later ones still wait for the clock."""
    SENT.clear()
    with queue.testing(inline=True) as app:
        charge.enqueue(7)
        assert SENT == [("charge", 7)]
        app.drain()
        assert SENT == [("charge", 7), ("receipt", 7)]


def test_what_was_not_enqueued_is_told_with_what_was(app: jobsim.Rehearsal) -> None:
    """A failing assertion shows what there is instead."""
    charge.enqueue(7, amount=9)
    charge.enqueue(8)
    with pytest.raises(AssertionError, match=r"no jobs receipt\(\) were enqueued; there are: 2 of charge"):
        app.assert_enqueued("receipt")
    with pytest.raises(AssertionError, match=r'order=9.*charge\(\{"order":7,"amount":9\}\), pending'):
        app.assert_enqueued(charge, order=9)
    with pytest.raises(AssertionError, match="not 1 but 2 jobs charge"):
        app.assert_enqueued(charge, count=1)
    app.assert_enqueued(charge, count=1, amount=5)  # a default counts as it stands
    app.assert_not_enqueued(charge, order=9)
    with pytest.raises(AssertionError, match="there are: charge"):
        app.assert_not_enqueued(charge, order=8)


def test_a_connection_is_no_hindrance(app: jobsim.Rehearsal) -> None:
    """What joins a transaction in production is there at once in a test."""
    charge.enqueue(7, connection=object())
    app.assert_enqueued(charge, order=7)


def test_equal_tests_are_equal() -> None:
    """Ids, and with them all delays, are the same each time."""
    ids = []
    for _ in range(2):
        with queue.testing():
            ids.append([charge.enqueue(1), charge.enqueue(2)])
    assert ids[0] == ids[1]


def test_limits_hold_in_a_rehearsal() -> None:
    """A rate that is declared holds back here, too, and the clock moves on to the next turn."""
    limited = jobsim.Queue("sqlite:///jobs.db")
    ran: list[int] = []

    @limited.job(limit=jobsim.Limit(rate=jobsim.Rate(1, "10s")))
    def call(number: int) -> None:
        ran.append(number)

    with limited.testing() as app:
        call.enqueue_many([{"number": n} for n in range(3)])
        app.run_due()
        assert ran == [0]
        app.drain()
        assert ran == [0, 1, 2]
        assert app.now == datetime(2026, 1, 1, 0, 0, 20, tzinfo=UTC)


def test_afterwards_the_queue_is_what_it_was(app: jobsim.Rehearsal) -> None:
    """A test leaves nothing behind for the next."""
    charge.enqueue(7)
    with queue.testing() as inner:
        assert inner.jobs == []
    assert len(app.jobs) == 1
