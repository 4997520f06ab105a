"""Several worker processes under a supervisor: killed, stopped, and left alone."""

import errno
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import jobsim
from jobsim.core.job import State
from jobsim.live.supervisor import Supervisor

pytestmark = pytest.mark.live

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0

APP = """\
import os
from pathlib import Path
import jobsim

queue = jobsim.Queue("sqlite:///jobs.db")


@queue.job
def note(number: int) -> None:
    with Path("log").open("a") as log:
        log.write(f"{os.getpid()} {number}\\n")
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return a function that starts two supervised workers; none outlives the test."""
    (tmp_path / "app.py").write_text(APP, encoding="utf-8")
    started: list[subprocess.Popen[str]] = []

    def begin(*options: str, app: str = "app:queue") -> "subprocess.Popen[str]":
        with (tmp_path / "stderr").open("w") as errors:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "jobsim",
                    "worker",
                    app,
                    "--processes",
                    "2",
                    "--poll",
                    "50ms",
                    *options,
                ],
                cwd=tmp_path,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                text=True,
            )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()


def told(tmp_path: Path) -> str:
    """Return what the processes have said so far."""
    return (tmp_path / "stderr").read_text()


def workers(tmp_path: Path) -> list[int]:
    """Return the process ids of the workers that have begun."""
    return [int(pid) for pid in re.findall(r"^Worker \S+?:(\d+):", told(tmp_path), re.MULTILINE)]


def until(happens: Callable[[], bool]) -> None:
    """Wait for something to happen."""
    for _ in range(int(PATIENCE_S / 0.02)):
        if happens():
            return
        time.sleep(0.02)  # noqa: TID251  # processes take their time
    raise AssertionError("it did not happen")


def gone(pid: int) -> bool:
    """Return whether there is no such process any more."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_worker_that_dies_is_replaced_under_a_name_of_its_own(start: Start, tmp_path: Path) -> None:
    """A process that is killed makes room for another, and the rest works on."""
    supervisor = start()
    until(lambda: len(workers(tmp_path)) == 2)
    os.kill(workers(tmp_path)[0], signal.SIGKILL)
    until(lambda: len(workers(tmp_path)) == 3)
    assert "was ended by SIGKILL; another starts in" in told(tmp_path)
    names = re.findall(r"^Worker (\S+)", told(tmp_path), re.MULTILINE)
    assert len(set(names)) == 3
    supervisor.terminate()
    assert supervisor.wait(PATIENCE_S) == 0
    assert all(gone(pid) for pid in workers(tmp_path))


def test_workers_stop_when_their_supervisor_is_killed(start: Start, tmp_path: Path) -> None:
    """Nobody is left to work on alone, unknown to whoever starts the next supervisor."""
    supervisor = start()
    until(lambda: len(workers(tmp_path)) == 2)
    supervisor.kill()
    until(lambda: all(gone(pid) for pid in workers(tmp_path)))


def test_a_burst_ends_when_all_is_done(start: Start, tmp_path: Path) -> None:
    """Processes that end in order are not replaced; the jobs are done once each."""
    with jobsim.Queue(f"sqlite:///{tmp_path / 'jobs.db'}") as queue:
        queue.enqueue_many("note", [{"number": n} for n in range(50)])
        assert start("--burst").wait(PATIENCE_S) == 0
        assert queue.storage.counts()[State.SUCCEEDED] == 50
    lines = (tmp_path / "log").read_text().splitlines()
    assert sorted(int(line.split()[1]) for line in lines) == list(range(50))


def test_what_no_process_can_use_ends_them_all(start: Start, tmp_path: Path) -> None:
    """An app that is not there is an error of the command line, not a reason to try again and again."""
    assert start(app="no_such_app:queue").wait(PATIENCE_S) == 2
    assert "no_such_app" in told(tmp_path)
    assert "another starts" not in told(tmp_path)


ONCE = """
import os, signal, sys
from pathlib import Path
known = Path(sys.argv[1]).exists()
Path(sys.argv[1]).touch()
"""


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let processes be replaced soon."""
    monkeypatch.setattr("jobsim.live.supervisor._DELAYS", jobsim.Exponential(base="10ms", cap="10ms"))


@pytest.mark.usefixtures("soon")
def test_a_process_that_cannot_be_started_again_is_tried_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What the system refuses for a moment costs one process a while, and the others nothing."""
    popen, calls = subprocess.Popen, []

    def fail_second(*args: Any, **options: Any) -> "subprocess.Popen[bytes]":
        calls.append(args)
        if len(calls) == 2:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        return popen(*args, **options)

    monkeypatch.setattr(subprocess, "Popen", fail_second)
    program = ONCE + "sys.exit(0 if known else 1)"
    assert Supervisor([sys.executable, "-c", program, str(tmp_path / "ran")], 1).run() == 0
    assert len(calls) == 3
    assert "could not be started" in caplog.text


@pytest.mark.usefixtures("soon")
def test_a_process_may_die_of_any_signal(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One that has no name is told by its number."""
    number = signal.SIGRTMIN + 1
    program = ONCE + f"known or os.kill(os.getpid(), {number})"
    assert Supervisor([sys.executable, "-c", program, str(tmp_path / "ran")], 1).run() == 0
    assert f"was ended by signal {number}" in caplog.text


@pytest.mark.usefixtures("soon")
def test_a_signal_that_is_ignored_stays_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A shell's background job is not for Ctrl-C to end."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        program = ONCE + "known or os.kill(os.getppid(), signal.SIGINT) or sys.exit(1)"
        assert Supervisor([sys.executable, "-c", program, str(tmp_path / "ran")], 1).run() == 0
        assert "another starts in" in caplog.text
    finally:
        signal.signal(signal.SIGINT, before)
