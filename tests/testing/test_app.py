"""The app of a test: handlers of the test's own, jobs, and what befalls those who work on them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

import jobsim
from jobsim.core.errors import ConfigError, NotFound
from jobsim.core.job import JobId
from jobsim.core.transitions import Kind
from jobsim.storage.troubles import Mishap
from jobsim.testing import (
    App,
    Clock,
    all_enqueued,
    assert_dead_lettered,
    assert_enqueued,
    assert_no_lost_jobs,
    assert_not_enqueued,
    assert_succeeded,
    staged,
)
from jobsim.testing.points import CALLS


class Ledger(list[int]):
    """What was done."""


def note(number: int, ledger: "Ledger") -> None:
    ledger.append(number)


async def note_later(number: int, ledger: "Ledger") -> None:
    ledger.append(number)


def fail() -> None:
    raise ConnectionError("declined")


@pytest.fixture
def app() -> Iterator[App]:
    with staged() as app:
        yield app


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.mark.parametrize("handler", [note, note_later])
def test_handler_is_given_its_dependencies(app: App, ledger: Ledger, handler: Any) -> None:
    """They are no arguments of the job, which is checked and stored without them."""
    app.register(handler, deps={"ledger": ledger}, name="note", max_attempts=2)
    job = app.enqueue("note", number=7)
    assert (job.state, job.reload().payload) == ("pending", '{"number":7}')
    app.drain()
    assert ledger == [7]
    assert job.state == "succeeded"
    assert job.reload().max_attempts == 2
    with pytest.raises(jobsim.PayloadError, match="no argument 'ledger'"):
        app.enqueue("note", number=7, ledger=[])


def test_wrong_registrations_are_refused(app: App) -> None:
    """The error says what to do instead."""
    queue = jobsim.Queue("sqlite://")
    handler = queue.job(fail)
    with pytest.raises(ConfigError, match=r"note has no parameter 'leger' \(did you mean 'ledger'\?\)"):
        app.register(note, deps={"leger": 1})
    with pytest.raises(ConfigError, match="'fail' is declared on a queue of its own"):
        app.register(handler)
    app.register(note, deps={"ledger": []})
    with pytest.raises(NotFound, match=r"no handler for 'nte' \(did you mean 'note'\?\)"):
        app.enqueue("nte")
    with staged(queue) as own, pytest.raises(ConfigError, match=r"with @queue\.job"):
        own.register(note)
    with (
        pytest.raises(ConfigError, match=r"'sqllite' is no store \(did you mean 'sqlite'\?\)"),
        staged(storage="sqllite"),
    ):
        pass


def test_queue_is_rehearsed_as_it_is(ledger: Ledger) -> None:
    """Its handlers enqueue into the test's store, and never reach its own."""
    queue = jobsim.Queue("postgresql://nobody@nowhere.invalid/production")

    @queue.job
    def first(number: int) -> None:
        second.enqueue(number)

    @queue.job
    def second(number: int) -> None:
        ledger.append(number)

    with staged(queue) as app:
        app.enqueue(first, 7)
        app.drain()
        assert ledger == [7]
        assert_succeeded(app, second, number=7)


def test_clock_runs_what_becomes_due(app: App, ledger: Ledger) -> None:
    """And shows how late it is."""
    app.register(note, deps={"ledger": ledger})
    app.enqueue("note", 7, delay="5m")
    clock = Clock(app)
    clock.advance("4m")
    assert ledger == []
    clock.advance("1m")
    assert ledger == [7]
    assert clock.now == datetime(2026, 1, 1, 0, 5, tzinfo=UTC)


def test_assertions_say_what_there_is_instead(app: App, ledger: Ledger) -> None:
    """Each holds, or fails with the jobs concerned."""
    app.register(note, deps={"ledger": ledger})
    app.register(fail, max_attempts=1)
    for number in (7, 8):
        app.enqueue("note", number)
    app.enqueue("fail")
    with pytest.raises(AssertionError, match=r"3 of 3 jobs have no end: note\(.*\), pending"):
        assert_no_lost_jobs(app)
    with pytest.raises(AssertionError, match=r"1 of 1 are not succeeded: note\({\"number\":7}\), pending"):
        assert_succeeded(app, "note", number=7)
    app.drain()
    assert_no_lost_jobs(app)
    with pytest.raises(
        AssertionError, match=r"1 of 1 are not succeeded: fail\({}\), dead_letter: .*declined"
    ):
        assert_succeeded(app, "fail")
    assert assert_succeeded(app, "note", count=2) == assert_enqueued(app, "note", number=8)
    assert assert_dead_lettered(app, "fail", error="declined").attempt == 1
    assert_not_enqueued(app, "note", number=9)
    assert len(all_enqueued(app)) == 3
    assert len(all_enqueued(app, "note")) == 2
    with pytest.raises(AssertionError, match="given up for 'ConnectionError: declined', not for 'stolen'"):
        assert_dead_lettered(app, "fail", error="stolen")
    with pytest.raises(AssertionError, match="2 of 2 are not dead_letter"):
        assert_dead_lettered(app, "note")
    with pytest.raises(AssertionError, match=r"no jobs note\(number=9\) were enqueued"):
        assert_succeeded(app, "note", number=9)


@pytest.mark.parametrize("mishap", [m for m in Mishap if not m.startswith("dies")])
@pytest.mark.parametrize("call", ["claim", "settle"])
def test_store_goes_wrong_as_it_is_told(app: App, ledger: Ledger, mishap: str, call: str) -> None:
    """Workers get over it; time passes where they wait, and a broken store is another worker's."""
    app.register(note, deps={"ledger": ledger})
    app.injector.befall(mishap, call, times=2)
    app.enqueue("note", number=7)
    app.drain()
    assert ledger == [7]
    assert_no_lost_jobs(app)
    app.check()
    kept = (mishap, call) == ("broken", "settle")  # all of it was, and nobody had to wait
    assert kept or app.now > datetime(2026, 1, 1, tzinfo=UTC)


def test_wrong_orders_are_refused(app: App) -> None:
    """Mishaps, calls and points that there are not."""
    with pytest.raises(ConfigError, match=r"'lost_repl' is no mishap \(did you mean 'lost_reply'\?\)"):
        app.injector.befall("lost_repl")
    with pytest.raises(ConfigError, match=r"'setle' is no call \(did you mean 'settle'\?\)"):
        app.injector.befall("busy", "setle")
    with pytest.raises(ConfigError, match="'charge:14' is no crash point"):
        app.injector.kill_worker("charge:14")


def test_dead_worker_comes_back_when_its_lease_has_ended(app: App, ledger: Ledger) -> None:
    """At the present its job is still its own; the retry policy decides what a lost attempt costs."""
    app.register(note, deps={"ledger": ledger}, retry=jobsim.Fixed("10s"))
    app.injector.kill_worker("handler:note:*")
    job = app.enqueue("note", number=7)
    assert app.run_due() == {}
    assert (job.state, ledger) == ("running", [])
    app.advance("60s")
    assert job.state == "running"
    app.advance("1s")
    assert job.state == "failed"
    app.drain()
    assert (job.state, ledger, job.reload().attempt) == ("succeeded", [7], 2)


def test_nothing_of_a_dead_worker_reaches_the_store(app: App, ledger: Ledger) -> None:
    """What its handler does in `finally`, or in spite of all, is as if it had not been."""

    def stubborn(number: int) -> None:
        try:
            ledger.append(number)
        except BaseException:  # noqa: BLE001  # that is what it is about
            ledger.append(0)
        finally:
            try:
                app.enqueue("note", number)
            except BaseException:  # noqa: BLE001  # as above
                ledger.append(-1)

    app.register(stubborn, max_attempts=1)
    app.register(note, deps={"ledger": ledger})
    line = stubborn.__code__.co_firstlineno + 2
    app.injector.kill_worker(f"handler:stubborn:{line}")
    job = app.enqueue("stubborn", number=7)
    app.drain()
    assert ledger == [0, -1]
    assert job.state == "dead_letter"
    assert_not_enqueued(app, "note")


def test_engine_is_killed_around_every_call_that_it_makes(app: App, ledger: Ledger) -> None:
    """Calls that change something are points, before and after; the history tells of lost attempts."""

    def more(number: int) -> None:
        app.enqueue("note", number)

    app.register(more)
    app.register(note, deps={"ledger": ledger})
    killed = [f"engine:{when}:{call}" for call in CALLS if call != "extend" for when in ("before", "after")]
    for point in killed:
        app.injector.kill_worker(point)
    app.enqueue("more", number=7, max_attempts=None)
    app.drain()
    assert {point.name for point in app.injector.reached} > set(killed)
    assert set(ledger) == {7}
    events = list(app._storage.events())
    assert [e.why.outcome for e in events if e.kind is Kind.RETRY].count("lost") >= 3
    app.check()


def test_check_finds_what_was_accepted_and_is_gone(app: App) -> None:
    """The rules of the engine hold of the history, or it says which does not."""
    app.check()
    app.injector.accepted.append(JobId(7))
    with pytest.raises(AssertionError, match="conservation"):
        app.check()
