"""Tests that are run once for each point where a worker can die, called without pytest."""

import re
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from datetime import datetime, timedelta
from functools import partial, wraps
from itertools import count, pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jobsim
from jobsim.core.errors import ConfigError
from jobsim.testing import App, crash_everywhere, explore_crashes
from jobsim.testing.exploring import Crashes, Explorer, NotReached
from jobsim.testing.options import Options, put_in_force

ALL = Options()


class Bank:
    """Fulfils the first of requests with the same key."""

    def __init__(self) -> None:
        self.charges: list[int] = []
        self.keys: set[object] = set()

    def charge(self, order: int, key: object = None) -> None:
        if key is None or key not in self.keys:
            self.charges.append(order)
        self.keys.add(key)


def charge(order: int, bank: Bank) -> None:
    bank.charge(order)
    bank.keys.add("charged")


async def charge_later(order: int, bank: Bank) -> None:
    bank.charge(order)
    bank.keys.add("charged")


def charge_once(order: int, bank: Bank) -> None:
    bank.charge(order, key=jobsim.current_job().id)
    bank.keys.add("charged")


def charge_if_new(order: int, bank: Bank) -> None:
    if order not in bank.charges:
        bank.charge(order)


def charge_through(order: int, bank: Bank) -> None:
    charge(order, bank)


def using(handler: Callable[..., object]) -> Callable[[App], None]:
    """Return a test: an order is charged once by `handler`."""

    def body(app: App) -> None:
        bank = Bank()
        app.register(handler, deps={"bank": bank})
        app.enqueue(handler.__name__, order=7)
        app.drain()
        assert bank.charges == [7]

    return body


def failures(body: Callable[[App], object], options: Options = ALL, **settings: Any) -> list[str]:
    """Return what befell workers in those runs that failed."""
    found: list[str] = []

    class Report:
        def __init__(self, text: str) -> None:
            self.text = text

        def __enter__(self) -> None:
            pass

        def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
            if isinstance(error, AssertionError):
                found.append(self.text)
            return isinstance(error, AssertionError)

    Explorer(Crashes(**settings), options, lambda: "").explore(body, Report)
    return found


def line(function: Callable[..., object], number: int) -> str:
    """Return the point before a line of `function`, counted from its def."""
    return f"handler:{function.__name__}:{function.__code__.co_firstlineno + number}"


def once(fn: Callable[[int, Bank], None]) -> Callable[[int, Bank], None]:
    @wraps(fn)
    def unless_done(order: int, bank: Bank) -> None:
        if order in bank.keys:
            return
        fn(order, bank)
        bank.keys.add(order)

    return unless_done


@once
def charge_unless_done(order: int, bank: Bank) -> None:
    bank.charge(order)


@pytest.mark.parametrize("handler", [charge, charge_later])
@pytest.mark.parametrize("storage", ["memory", "sqlite"])
def test_double_charge_is_found_at_the_points_between_charge_and_record(
    handler: Callable[..., object], storage: str
) -> None:
    """At both, and at no other: sync and async, on each store."""
    found = failures(using(handler), storage=[storage])
    assert found == [f"worker dies at {line(handler, 2)}", "worker dies at engine:before:settle"]


def test_double_charge_is_found_on_postgres(postgres: str) -> None:
    """As on the other stores."""
    crashes = Crashes(storage=["postgres"], points=["*:settle"])
    explorer = Explorer(crashes, ALL, lambda: postgres)
    with pytest.raises(AssertionError, match=r"engine:before:settle/postgres/seed=1"):
        explorer.explore(using(charge), nullcontext)


def test_idempotent_handler_bears_all_that_can_befall_it() -> None:
    """Two deaths in a row, and workers that wake up when another has done their job."""
    assert failures(using(charge_once), deaths=2, duplicate_delivery=True, storage=["memory", "sqlite"]) == []


def test_handler_that_looks_first_is_found_by_a_duplicate_delivery_alone() -> None:
    """No death comes between its look and its charge; a worker that stalls there charges again."""
    assert failures(using(charge_if_new), deaths=2) == []
    found = failures(using(charge_if_new), duplicate_delivery=True)
    assert found == [f"worker stalls at {line(charge_if_new, 2)}"]


def test_bug_of_two_deaths_needs_two() -> None:
    """The second worker dies at the points that it reaches after the first, each in turn."""

    def body(app: App) -> None:
        tries = count(1)
        seen: list[int] = []

        def clumsy() -> None:
            number = next(tries)
            seen.append(number)

        app.register(clumsy)
        app.enqueue("clumsy")
        app.drain()
        assert len(seen) < 3

    assert failures(body) == []
    found = failures(body, deaths=2)
    assert len(found) == 1
    assert re.fullmatch(r"worker dies at engine:before:settle, then dies at engine:before:settle@2", found[0])


def test_lines_of_others_count_where_they_are_named() -> None:
    """A handler that hands on has a single line of its own."""
    own = ["worker dies at engine:before:settle"]
    assert failures(using(charge_through)) == own
    assert failures(using(charge_through), through=[charge]) == [f"worker dies at {line(charge, 2)}", *own]


def test_decorator_that_looks_first_and_notes_afterwards_is_found() -> None:
    """A worker dies between the charge that it is around and its note, and nowhere else."""
    found = failures(using(charge_unless_done))
    outer = once.__code__.co_firstlineno
    assert found == [f"worker dies at handler:unless_done:{outer + 6}"]


def started(fn: Callable[[], object]) -> threading.Thread:
    """Return a thread that runs `fn`."""
    thread = threading.Thread(target=fn)
    thread.start()
    return thread


def test_threads_of_a_dead_worker_are_dead() -> None:
    """What a handler leaves to a thread is lost with its worker, although the job has succeeded."""

    def body(app: App) -> None:
        later, receipts, threads = threading.Event(), list[int](), list[threading.Thread]()

        def receipt() -> None:
            later.wait()
            app.enqueue("note")

        def ship() -> None:
            threads.append(started(receipt))

        app.register(ship)
        app.register(lambda: receipts.append(1), name="note")
        app.enqueue("ship")
        app.drain()
        later.set()
        for thread in threads:
            thread.join()
        app.drain()
        assert receipts

    assert failures(body) == ["worker dies at engine:after:settle"]


def test_handler_dies_with_a_thread_that_it_waits_for() -> None:
    """At its next line, though it was another that reached the point."""

    def body(app: App) -> None:
        bank = Bank()

        def ship() -> None:
            started(partial(app.enqueue, "note")).join()
            bank.charge(7)

        app.register(ship)
        app.register(lambda: None, name="note")
        app.enqueue("ship")
        app.drain()
        assert bank.charges == [7]

    assert failures(body, points=["engine:*:enqueue"]) == []


def test_points_are_chosen_by_their_names() -> None:
    """By patterns; what matches nothing would be a test that cannot fail, and is refused."""
    assert failures(using(charge), points=["handler:*"]) == [f"worker dies at {line(charge, 2)}"]
    with pytest.raises(ConfigError, match=r"no worker reached 'handlr:\*'.*there are engine:before:claim, "):
        failures(using(charge), points=["handlr:*"])
    with pytest.raises(ConfigError, match=r"no worker ran in this test.* call app\.drain\(\)"):
        failures(lambda app: app.register(charge))


def test_samples_are_the_same_under_one_seed() -> None:
    """So many of all points, and others under another seed."""

    def body(app: App) -> None:
        using(charge_once)(app)
        assert len(app.injector.reached) == 6  # unless somebody died

    everything = failures(body)
    assert len(everything) == 6
    samples = [failures(body, Options(seed=seed), max_points=2) for seed in range(8)]
    assert samples[1] == failures(body, Options(seed=1, crashes=2))
    assert all(len(sample) == 2 and set(sample) < set(everything) for sample in samples)
    assert len({tuple(sample) for sample in samples}) > 1


def test_failure_says_where_the_worker_died_and_how_to_repeat_it() -> None:
    """In notes, with the source of the line; the token makes that run alone."""
    with pytest.raises(AssertionError) as caught:
        explore_crashes(using(charge))
    died, again = caught.value.__notes__
    number = charge.__code__.co_firstlineno + 2
    assert died == f'the worker dies before line {number} of {Path(__file__).name}: bank.keys.add("charged")'
    token = again.rpartition("=handler")[2]
    assert f"handler{token}" == f"{line(charge, 2)}/memory/seed=1"
    runs: list[App] = []

    def noted(app: App) -> None:
        runs.append(app)
        using(charge)(app)

    with pytest.raises(AssertionError):
        failures(noted, Options(replay=f"handler{token}"))
    assert len(runs) == 1


def test_run_that_misses_its_point_fails() -> None:
    """A test that is not the same each time cannot pass for one that bears the crash."""
    runs = count()

    def body(app: App) -> None:
        using(charge_once if next(runs) > 1 else charge)(app)

    with pytest.raises(NotReached, match="in this run: equal runs must be equal") as caught:
        explore_crashes(body, points=["handler:charge:*"])
    assert re.match("no worker reached handler:charge:.*, where it was to die$", caught.value.__notes__[0])
    with put_in_force(Options(replay="handler:charge:1/memory/seed=1")):
        assert explore_crashes(body) == 1  # Hypothesis may have other input for it next


def test_clean_runs_must_be_equal() -> None:
    """Or else what the first one leaves behind might be why the others pass."""
    done: list[int] = []

    def ship(order: int) -> None:
        if not done:
            done.append(order)

    def body(app: App) -> None:
        app.register(ship)
        app.enqueue("ship", order=7)
        app.drain()
        assert done == [7]

    with pytest.raises(NotReached, match=rf"{line(ship, 2)} in one of two runs: equal runs must be equal"):
        explore_crashes(body)


def test_world_that_is_older_than_a_run_is_not_blamed_on_a_crash() -> None:
    """The test fails before anybody dies, and says what to do."""
    bank = Bank()

    def body(app: App) -> None:
        app.register(charge_once, deps={"bank": bank})
        app.enqueue("charge_once", order=7)
        bank.keys.clear()
        app.drain()
        assert bank.charges == [7]

    with pytest.raises(AssertionError) as caught:
        explore_crashes(body)
    [note] = caught.value.__notes__
    assert note.startswith("it passed when it was called first, and fails when it is called again")


def test_broken_engine_is_found_by_its_history(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each run is judged, also where the test itself is content."""
    monkeypatch.setattr("jobsim.testing.app.verify", lambda *_, **__: pytest.fail("a rule is broken"))
    with pytest.raises(pytest.fail.Exception, match="a rule is broken"):
        explore_crashes(using(charge_once))


@settings(max_examples=20)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=2))
def test_function_is_for_hypothesis(orders: list[int]) -> None:
    """It returns how many crashes it tried."""

    def body(app: App) -> None:
        bank = Bank()
        app.register(charge_once, deps={"bank": bank})
        for order in orders:
            app.enqueue("charge_once", order=order)
        app.drain()
        assert sorted(bank.charges) == sorted(orders)

    assert explore_crashes(body, max_points=4) == 4


def test_decorated_test_runs_without_pytest() -> None:
    """It raises what fails first, with the same notes."""
    safe = crash_everywhere()(using(charge_once))
    naive = crash_everywhere()(using(charge))
    safe()
    with pytest.raises(AssertionError) as caught:
        naive()
    assert len(caught.value.__notes__) == 2


def test_queue_of_an_application_is_tested_as_it_is() -> None:
    """Its handlers and what they enqueue, with nothing of it changed afterwards."""
    queue = jobsim.Queue("postgresql://nobody@nowhere.invalid/production")
    world = SimpleNamespace(bank=Bank(), receipts=[])

    @queue.job(retry=jobsim.Fixed("10s"))
    def pay(order: int) -> None:
        world.bank.charge(order, key=order)
        receipt.enqueue(order, unique_key=f"receipt-{order}")

    @queue.job
    def receipt(order: int) -> None:
        world.receipts.append(order)

    def body(app: App) -> None:
        world.bank, world.receipts = Bank(), []
        pay.enqueue(7)
        app.drain()
        assert world.bank.charges == [7]
        assert set(world.receipts) == {7}

    assert explore_crashes(body, queue, deaths=2) > 50
    assert next(iter(queue._presences.values()))._store is None


@pytest.mark.parametrize("storage", ["memory", "sqlite"])
def test_budget_is_spent_once_whoever_dies(storage: str) -> None:
    """It grants what it holds, no retry more or less: one that is lost with its worker costs nothing."""
    grants_two = jobsim.Budget(capacity=2, first_try=0, per_second=0, when_empty="dead_letter")
    queue = jobsim.Queue("sqlite://")

    @queue.job(retry=jobsim.RetryPolicy(jobsim.Fixed("10s"), budget=grants_two), max_attempts=20)
    def call(number: int) -> None:
        raise ConnectionError(f"call {number} was not answered")

    def body(app: App) -> None:
        call.enqueue_many([{"number": number} for number in range(3)])
        app.drain()
        assert len(app.dead_letters) == 3
        assert ends_of_failed(app) == {"retry": 2, "dead_letter": 3}

    assert explore_crashes(body, queue, storage=[storage], deaths=2, max_points=12) == 24


@pytest.mark.parametrize("storage", ["memory", "sqlite"])
def test_breaker_lets_all_through_in_the_end_whoever_dies(storage: str) -> None:
    """While it is open nothing runs, and a probe that is lost with its worker does not keep it half open."""
    queue = jobsim.Queue(
        "sqlite://",
        limits={
            "mail": jobsim.Limit(breaker=jobsim.Breaker(min_calls=2, window="1h", open_for="5m", probes=1))
        },
    )
    sent: list[datetime] = []

    @queue.job(queue="mail", retry=jobsim.Fixed("10s"), max_attempts=20)
    def send(number: int) -> None:
        sent.append(world.now)
        if len(sent) <= 4:
            raise ConnectionError(f"mail {number} was not taken")

    world: Any = None

    def body(app: App) -> None:
        nonlocal world
        world = app
        sent.clear()
        send.enqueue_many([{"number": number} for number in range(3)])
        app.drain()
        assert not app.dead_letters
        assert ends_of_failed(app)["retry"] <= 4
        assert max(b - a for a, b in pairwise(sent)) >= timedelta(minutes=4)

    assert explore_crashes(body, queue, storage=[storage], deaths=2, max_points=12) == 24


def ends_of_failed(app: App) -> Counter[str]:
    """Return what became of attempts that failed by themselves, and were not lost with their worker."""
    events = app._storage.events()
    return Counter(event.kind.value for event in events if event.why.outcome == "failed")


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"points": []}, r'points: name some, such as \["handler:\*"\]'),
        ({"points": "handler:*"}, r"points: write a list, such as \['handler:\*'\]"),
        ({"storage": "sqlite"}, "storage: write a list"),
        ({"storage": ["sqllite"]}, r"storage: 'sqllite' is no store \(did you mean 'sqlite'\?\)"),
        ({"through": charge}, r"through: write a list, such as \[charge\]"),
        ({"through": [len]}, "through: .* has no lines of Python"),
        ({"deaths": 0}, "deaths: must be a whole number, at least 1; not 0"),
        ({"max_points": True}, "max_points: must be a whole number"),
        ({"mode": "kil"}, r"mode: 'kil' is neither raise nor kill \(did you mean 'kill'\?\)"),
        ({"lease": "soon"}, "lease"),
    ],
)
def test_wrong_settings_are_refused_where_they_are_written(settings: dict[str, Any], problem: str) -> None:
    """Before any test runs."""
    with pytest.raises(ConfigError, match=problem):
        crash_everywhere(**settings)


def test_what_is_no_test_of_crashes_is_refused() -> None:
    """Coroutines, tests of Hypothesis, tests without an app, and a decorator without parentheses."""

    async def later(app: App) -> None: ...

    def without() -> None: ...

    with pytest.raises(ConfigError, match="later: a test of crashes is no coroutine"):
        crash_everywhere()(later)
    with pytest.raises(ConfigError, match="without: give it a parameter `app`"):
        crash_everywhere()(without)
    with pytest.raises(ConfigError, match="explore_crashes"):
        crash_everywhere()(given(app=st.none())(using(charge)))
    with pytest.raises(ConfigError, match="with parentheses"):
        crash_everywhere(without)  # type: ignore[arg-type]  # that is the mistake
    with pytest.raises(ConfigError, match="7 is no queue"):
        crash_everywhere(7)  # type: ignore[arg-type]  # as above
