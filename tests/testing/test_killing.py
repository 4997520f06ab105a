"""Workers in processes of their own, killed by SIGKILL at every point."""

import os
import re
import signal
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

import jobsim
from jobsim.core.errors import ConfigError
from jobsim.testing import App, explore_crashes, staged
from jobsim.testing.exploring import Crashes, Explorer
from jobsim.testing.killing import KillingInjector
from jobsim.testing.options import Options
from jobsim.testing.points import Act, Plan, Point, Strike

pytestmark = pytest.mark.live


class Book:
    """A file of lines, each of which is written at once."""

    def __init__(self, place: Path) -> None:
        self.place = place
        place.unlink(missing_ok=True)
        place.touch()

    def write(self, line: object) -> None:
        file = os.open(self.place, os.O_WRONLY | os.O_APPEND)
        os.write(file, f"{line}\n".encode())
        os.close(file)

    @property
    def lines(self) -> list[str]:
        return self.place.read_text(encoding="utf-8").split()


def charge(order: int, book: Book) -> None:
    book.write(order)
    book.write("sent")


async def charge_later(order: int, book: Book) -> None:
    book.write(order)
    book.write("sent")


def test_killed_workers_charge_twice_at_the_same_points(tmp_path: Path) -> None:
    """As where they die by an exception, sync and async; the processes are gone in the end."""
    pids: set[int] = set()
    for handler in (charge, charge_later):

        def body(app: App, handler: Callable[..., object] = handler) -> None:
            book = Book(tmp_path / "book")
            app.register(handler, deps={"book": book}, name="charge")
            app.register(lambda: book.write(f"pid={os.getpid()}"), name="tell")
            app.enqueue("tell")
            app.enqueue("charge", order=7)
            assert app.drain()["succeeded"] >= 2
            pids.update(int(line[4:]) for line in book.lines if line.startswith("pid="))
            assert book.lines.count("7") == 1

        line = f"handler:{handler.__name__}:{handler.__code__.co_firstlineno + 2}"
        for point in (line, "engine:before:settle@2"):
            with pytest.raises(AssertionError) as caught:
                explore_one(body, point)
            assert f"--jobsim-replay={point}/sqlite/seed=1" in caught.value.__notes__[-1]
        explore_crashes(body, mode="kill", storage=["sqlite"], points=["engine:*:claim"])
    assert os.getpid() in pids  # the run before, in which nobody is killed
    assert len(pids) > 8
    for pid in pids:
        with pytest.raises(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def explore_one(body: Callable[[App], object], point: str) -> None:
    """Make one run with a crash."""
    options = Options(replay=f"{point}/sqlite/seed=1")
    Explorer(Crashes(mode="kill"), options, lambda: "").explore(body, lambda _: nullcontext())


def test_file_that_is_renamed_bears_a_kill_at_every_line(tmp_path: Path) -> None:
    """Two deaths in a row as well."""

    def export() -> None:
        draft = tmp_path / "draft"
        draft.write_text("all\n", encoding="utf-8")
        draft.rename(tmp_path / "export")

    def body(app: App) -> None:
        (tmp_path / "export").unlink(missing_ok=True)
        app.register(export)
        app.enqueue("export")
        app.drain()
        assert (tmp_path / "export").read_text(encoding="utf-8") == "all\n"

    assert explore_crashes(body, mode="kill", storage=["sqlite"], points=["handler:*"], deaths=2) == 3 + 9


def test_memory_is_refused_for_what_other_processes_are_to_see() -> None:
    """A store in memory before anything runs, and a test that looks at memory before anybody is killed."""

    def body(app: App) -> None:
        done: list[int] = []
        app.register(lambda: done.append(1), name="note")
        app.enqueue("note")
        app.drain()
        assert done == [1]

    with pytest.raises(ConfigError, match=r'add storage=\["sqlite"\]') as refused:
        explore_crashes(body, mode="kill")
    assert not hasattr(refused.value, "__notes__")
    with pytest.raises(AssertionError) as caught:
        explore_crashes(body, mode="kill", storage=["sqlite"])
    assert re.match(r'it failed with mode="kill" before any worker was killed', caught.value.__notes__[0])


def killed(plan: Plan = ()) -> Any:
    """Return an app whose workers are processes."""
    return staged(storage="sqlite", injector=KillingInjector(plan), shared=True)


def test_what_a_child_enqueues_is_in_the_store_of_the_test(tmp_path: Path) -> None:
    """It never opens the store of the application, and its ids are not those that the test gives out next."""
    queue = jobsim.Queue("postgresql://nobody@nowhere.invalid/production")
    book = Book(tmp_path / "book")

    @queue.job
    def first(number: int) -> None:
        second.enqueue(number)

    @queue.job
    def second(number: int) -> None:
        book.write(number)

    with staged(queue, storage="sqlite", injector=KillingInjector(), shared=True) as app:
        for number in range(3):
            first.enqueue(number)
            app.run_due()
        assert sorted(book.lines) == ["0", "1", "2"]
        assert len(app.jobs) == 6
        app.check()


def test_handler_that_ends_its_process_ends_as_a_dead_letter(tmp_path: Path) -> None:
    """Each attempt counts although nobody planned that death."""
    book = Book(tmp_path / "book")

    def kill_me() -> None:
        book.write("alive")
        os.kill(os.getpid(), signal.SIGKILL)

    with killed() as app:
        app.register(kill_me, max_attempts=3)
        job = app.enqueue("kill_me")
        assert app.drain() == {}
        assert (job.state, book.lines) == ("dead_letter", ["alive"] * 3)


def test_error_of_the_engine_comes_back_with_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that cannot go on says why, and the test fails of it."""

    def refuse(*_: object) -> None:
        raise ZeroDivisionError("in the engine")

    with killed() as app:
        monkeypatch.setattr("jobsim.live.inline.run_sync", refuse)
        app.register(lambda: None, name="nothing")
        app.enqueue("nothing")
        with pytest.raises(RuntimeError, match="ZeroDivisionError: in the engine"):
            app.drain()


def test_stalled_process_wakes_up_when_another_has_done_its_job(tmp_path: Path) -> None:
    """A duplicate delivery is one between processes, too, and its time is the test's."""
    book = Book(tmp_path / "book")
    name = f"handler:charge:{charge.__code__.co_firstlineno + 2}"
    with killed((Strike(Point(name), Act.STALL),)) as app:
        app.register(charge, deps={"book": book})
        job = app.enqueue("charge", order=7)
        app.drain()
        assert book.lines == ["7", "7", "sent", "sent"]
        assert (job.state, job.reload().attempt, app.now.minute) == ("succeeded", 2, 1)
        app.check()
