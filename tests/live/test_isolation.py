"""Handlers in processes of their own: what they return, what they die of, and who ends them."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import jobsim
from jobsim.core.job import Lease
from jobsim.core.outcome import (
    SUCCEEDED,
    Cancelled,
    Failed,
    Lost,
    Outcome,
    Released,
    Snoozed,
    Succeeded,
    TimedOut,
)
from jobsim.core.time import MILLISECOND, SECOND, Duration
from jobsim.live.context import JobContext
from jobsim.live.executor import HandlerExecutor
from jobsim.live.handler import Handler
from jobsim.live.processes import Children, origin_of
from jobsim.live.wire import Request
from jobsim.runtime.live import LiveRuntime

pytestmark = pytest.mark.live

MakeLease = Callable[..., Lease]
MakeHandler = Callable[..., Handler[..., Any]]
Play = Callable[..., None]
Outcomes = Callable[..., list[Outcome]]


@pytest.fixture
def handlers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the handlers, imported as another process can import them."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return import_module("isolated_handlers")


@pytest.fixture
def outcomes(play: Play, lease: MakeLease, handler: MakeHandler, handlers: ModuleType) -> Outcomes:
    """Return how attempts of a handler in a process ended that were made one after the other."""

    def run(name: str, *payloads: dict[str, object], timeout: str | None = None) -> list[Outcome]:
        fn, found = getattr(handlers, name), list[Outcome]()

        async def scene(_: LiveRuntime, executor: HandlerExecutor) -> None:
            for number, payload in enumerate(payloads or ({},), 1):
                found.append(await executor.execute(lease(number, payload=json.dumps(payload))))

        play(scene, handler(fn, timeout, keep_result=True, isolation="process"))
        return found

    return run


def gone(pid: int) -> bool:
    """Return whether no process has that number, or only one that nobody has waited for yet."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


def eventually(happens: Callable[[], bool]) -> None:
    """Wait for something to happen; the test's own time limit ends a vain wait."""
    while not happens():
        time.sleep(0.01)  # noqa: TID251  # other processes are at it


def test_an_isolated_handler_runs_in_a_process_that_is_used_again(outcomes: Outcomes) -> None:
    """Attempts one after the other need one process, a child of the worker's."""
    first, second = outcomes("where", {}, {})
    assert first == second
    assert isinstance(first, Succeeded)
    child, parent = json.loads(first.result or "")
    assert parent == os.getpid() != child


def test_an_isolated_async_handler_is_awaited(outcomes: Outcomes) -> None:
    """An async handler has an event loop of its own there."""
    assert outcomes("later", {"number": 1}) == [Succeeded("2")]


def test_an_isolated_handler_is_told_of_its_attempt(outcomes: Outcomes, lease: MakeLease) -> None:
    """A parameter annotated JobContext is given the attempt, beside the stored arguments."""
    [outcome] = outcomes("told", {"number": 5}, timeout="1m")
    assert isinstance(outcome, Succeeded)
    assert json.loads(outcome.result or "") == [str(lease(1).id), 1, True, False, 5]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("snooze", Snoozed(Duration(90 * SECOND))),
        ("cancel", Cancelled("not needed")),
    ],
)
def test_what_an_isolated_handler_asks_for_is_done(outcomes: Outcomes, name: str, meant: Outcome) -> None:
    """Snooze and Cancel cross the border between the processes."""
    assert outcomes(name) == [meant]


def test_an_error_crosses_the_border_with_its_bases(
    outcomes: Outcomes, caplog: pytest.LogCaptureFixture
) -> None:
    """Policies know the error by its class and its bases; the worker's log has the traceback."""
    [outcome] = outcomes("fail", {"message": "no such account"})
    assert isinstance(outcome, Failed)
    assert (outcome.error.kind, outcome.error.message) == ("LookupError", "no such account")
    assert outcome.error.is_a("Exception")
    assert "isolated_handlers.py" in caplog.text


def test_retry_after_and_discard_cross_the_border(outcomes: Outcomes) -> None:
    """An error's own wait is kept, and a discard is final."""
    [waits] = outcomes("retry_after")
    assert isinstance(waits, Failed)
    assert (waits.retry_after, waits.final) == (Duration(7 * SECOND), False)
    [last] = outcomes("discard")
    assert isinstance(last, Failed)
    assert (last.error.kind, last.final) == ("jobsim.Discard", True)


@pytest.mark.parametrize(
    ("name", "payload", "end"),
    [
        ("die", {"how": signal.SIGKILL}, "was ended by SIGKILL"),
        ("crash", {}, "was ended by SIGSEGV"),
        ("leave", {"code": 0}, "exited with code 0"),
    ],
)
def test_a_crash_costs_one_attempt(
    outcomes: Outcomes, name: str, payload: dict[str, object], end: str
) -> None:
    """A handler that takes its process down fails; the next attempt gets another process."""
    for outcome in outcomes(name, payload, payload):
        assert isinstance(outcome, Failed)
        assert outcome.error.kind == "jobsim.ProcessDied"
        assert outcome.error.message == f"the handler's process {end}"


def test_a_crash_costs_no_other_job(
    play: Play, lease: MakeLease, handler: MakeHandler, handlers: ModuleType
) -> None:
    """Attempts beside the one that crashes end as if nothing had happened."""

    async def scene(_: LiveRuntime, executor: HandlerExecutor) -> None:
        def attempt(number: int, how: int) -> "asyncio.Future[Outcome]":
            return asyncio.ensure_future(executor.execute(lease(number, payload=f'{{"how": {how}}}')))

        dead, alive = await asyncio.gather(attempt(1, signal.SIGKILL), attempt(2, signal.SIGWINCH))
        assert isinstance(dead, Failed)
        assert alive == SUCCEEDED

    play(scene, handler(handlers.die, isolation="process"))


def test_time_up_kills_the_process(outcomes: Outcomes, tmp_path: Path) -> None:
    """A handler that overruns its time is ended, though it blocks, and its slot is free again."""
    path = tmp_path / "pid"
    for outcome in outcomes("hang", {"path": str(path)}, timeout="4s"):
        assert outcome == TimedOut(Duration(4 * SECOND))
        assert gone(int(path.read_text()))


@pytest.mark.parametrize(
    ("name", "timeout", "meant"), [("start_and_hang", "3s", TimedOut), ("fork_and_die", None, Failed)]
)
def test_what_a_handler_started_ends_with_its_process(
    outcomes: Outcomes, tmp_path: Path, name: str, timeout: str | None, meant: type[Outcome]
) -> None:
    """Neither a program nor a fork that a handler started outlives a killed attempt, or takes its slot up."""
    paths = [tmp_path / str(number) for number in range(3)]
    for outcome in outcomes(name, *({"path": str(path)} for path in paths), timeout=timeout):
        assert isinstance(outcome, meant)
    eventually(lambda: all(gone(int(path.read_text())) for path in paths))


SLOW = """
import sys, time

if "jobsim.live.child" in sys.modules:
    time.sleep(1.2)

def work() -> None: ...
"""


def test_the_start_of_a_process_is_not_the_handlers_time(
    play: Play, lease: MakeLease, handler: MakeHandler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it takes to start a process and to import a handler there costs no attempt, be its time short."""
    (tmp_path / "slow_to_import.py").write_text(SLOW, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))

    async def scene(_: LiveRuntime, executor: HandlerExecutor) -> None:
        assert await executor.execute(lease()) == SUCCEEDED

    play(scene, handler(import_module("slow_to_import").work, "1s", isolation="process"))


def test_a_fork_does_not_answer(outcomes: Outcomes) -> None:
    """A fork that a handler lets go on says nothing, and so no attempt seems to end as another did."""
    numbers = range(4)
    answers = outcomes("return_twice", *({"number": number} for number in numbers), timeout="30s")
    assert answers == [Succeeded(str(number)) for number in numbers]


def test_a_fork_heeds_signals(outcomes: Outcomes, tmp_path: Path) -> None:
    """A handler can end the processes of its own by those that its process does not heed."""
    assert outcomes("end_own_process", {"path": str(tmp_path / "pid")}) == [Succeeded(str(-signal.SIGTERM))]


def test_an_attempt_that_has_answered_is_not_killed(lease: MakeLease, handlers: ModuleType) -> None:
    """Who gives an attempt up that has ended meanwhile does not meet the next one in its process."""
    children, origin = Children(), origin_of(handlers.where, "work")

    def attempt(number: int) -> tuple[JobContext, Outcome]:
        held = lease(number)
        context = JobContext(held)
        return context, children.attempt(Request(origin, held, None, True, 1_000), context, lambda: None)

    first, answer = attempt(1)
    first.cancelled = True
    children.kill(first)
    assert attempt(2)[1] == answer
    children.close()
    assert attempt(3)[1] == Released()


def test_an_attempt_given_up_before_it_has_a_process_is_not_made(
    lease: MakeLease, handlers: ModuleType, tmp_path: Path
) -> None:
    """Nobody waits for what is not wanted any more."""
    children, held = Children(), lease(payload=json.dumps({"path": str(tmp_path / "pid")}))
    context = JobContext(held)
    context.cancelled = True
    request = Request(origin_of(handlers.hang, "work"), held, None, False, 1_000)
    assert children.attempt(request, context, lambda: None) == Released()
    assert not (tmp_path / "pid").exists()


def test_a_place_for_modules_that_is_no_text_does_no_harm(
    outcomes: Outcomes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path object among the places is passed over, as the import system does."""
    monkeypatch.setattr(sys, "path", [tmp_path, *sys.path])
    assert outcomes("later", {"number": 1}, timeout="20s") == [Succeeded("2")]


def test_a_lost_lease_kills_the_process(
    play: Play, lease: MakeLease, handler: MakeHandler, handlers: ModuleType, tmp_path: Path
) -> None:
    """What nobody wants any more does not go on."""
    path = tmp_path / "pid"

    async def scene(runtime: LiveRuntime, executor: HandlerExecutor) -> None:
        held = lease(payload=json.dumps({"path": str(path)}))
        running = asyncio.ensure_future(executor.execute(held))
        while not path.exists() or not path.read_text():
            await runtime.sleep(Duration(10 * MILLISECOND))
        executor.abandon(held)
        assert await running == Lost()
        assert gone(int(path.read_text()))

    play(scene, handler(handlers.hang, isolation="process"))


def test_signals_of_the_workers_group_do_not_end_an_attempt(outcomes: Outcomes) -> None:
    """Ctrl-C reaches every process of a terminal: the worker decides what becomes of attempts."""
    assert outcomes("stop_then_return") == [Succeeded('"here"')]


def test_processes_end_with_their_worker(outcomes: Outcomes) -> None:
    """No process is left when the worker has stopped."""
    [outcome] = outcomes("where")
    assert isinstance(outcome, Succeeded)
    assert gone(json.loads(outcome.result or "")[0])


def test_a_function_that_cannot_be_imported_is_refused(handler: MakeHandler) -> None:
    """What another process would not find is refused where it is declared."""

    def inner() -> None: ...

    for fn in (inner, lambda: None, partial(gone, 1)):
        with pytest.raises(jobsim.ConfigError, match="at the top of a module"):
            handler(fn, isolation="process")


def test_a_missing_module_fails_the_attempt(
    outcomes: Outcomes, handlers: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module that the process cannot import is an error of the attempt, which says so."""
    monkeypatch.setattr(handlers.where, "__module__", "no_such_module")
    [outcome] = outcomes("where")
    assert isinstance(outcome, Failed)
    assert outcome.error.is_a("ImportError")
    assert "no_such_module" in outcome.error.message


def test_isolation_is_one_of_two() -> None:
    """Anything else is refused, with what there is."""
    with pytest.raises(jobsim.ConfigError, match="'thread' or 'process', not 'fork'"):
        jobsim.Queue("sqlite:///jobs.db").job(isolation="fork")


SCRIPT = """
import jobsim, os, sys

queue = jobsim.Queue("sqlite:///" + sys.argv[1])

@queue.job(isolation="process", keep_result=True)
def add(a: int, b: int) -> list[int]:
    return [a + b, os.getppid()]

if __name__ == "__main__":
    job = add.enqueue(2, 3)
    queue.run_worker(burst=True)
    print(queue.get(job).result, os.getpid())
"""


def test_a_script_finds_its_own_handlers(tmp_path: Path) -> None:
    """A handler of the script that is run itself is found by the script's path, which does not start over."""
    script = tmp_path / "app.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), str(tmp_path / "jobs.db")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    result, _, parent = done.stdout.strip().rpartition(" ")
    assert json.loads(result) == [5, int(parent)]


KILLED = """
import jobsim, subprocess, sys
from pathlib import Path

queue = jobsim.Queue("sqlite:///" + sys.argv[1])

@queue.job(isolation="process")
def start(path: str) -> None:
    program = subprocess.Popen(["sleep", "60"])
    Path(path).write_text(str(program.pid))
    program.wait()

if __name__ == "__main__":
    start.enqueue(sys.argv[2])
    queue.run_worker()
"""


def test_what_a_handler_started_ends_when_the_worker_is_killed(tmp_path: Path) -> None:
    """The end of a worker that could tell nobody is the end of all that its handlers have started."""
    script, path = tmp_path / "script.py", tmp_path / "pid"
    script.write_text(KILLED, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    worker = subprocess.Popen([sys.executable, script, tmp_path / "jobs.db", path], env=environment)
    try:
        eventually(lambda: path.exists() and bool(path.read_text()))
    finally:
        worker.kill()
        worker.wait()
    eventually(lambda: gone(int(path.read_text())))
