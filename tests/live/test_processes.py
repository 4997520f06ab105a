"""Workers as processes: killed, stopped, and stopped at once."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jobsim.core.job import Job, JobId, State
from jobsim.core.transitions import Kind
from jobsim.queue import Queue

pytestmark = pytest.mark.live

ROOT = Path(__file__).parents[2]

APP = """\
import asyncio, os, signal, threading, time
from pathlib import Path
import jobsim

queue = jobsim.Queue("sqlite:///jobs.db")


def note(text):
    with Path("log").open("a") as log:
        log.write(text + "\\n")


@queue.job
def work(until: str = "go"):
    note("begun")
    while not Path(until).exists():
        time.sleep(0.005)
    note("done")


@queue.job
async def wait():
    note("begun")
    try:
        await asyncio.Event().wait()
    finally:
        note("clean")


@queue.job(retry=jobsim.NoBackoff(), max_attempts=2)
def die():
    note("begun")
    os.kill(os.getpid(), signal.SIGKILL)


@queue.job
def strike():
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)


@queue.job(max_attempts=1)
def leave():
    raise SystemExit("gone")
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return a function that starts a worker as a process; none outlives the test."""
    (tmp_path / "app.py").write_text(APP, encoding="utf-8")
    started: list[subprocess.Popen[str]] = []

    def begin(*options: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "jobsim", "worker", "app:queue", "-c", "1", "--lease", "1s", *options],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    """Return the queue of the app, as a process without its handlers has it."""
    with Queue(f"sqlite:///{tmp_path}/jobs.db") as queue:
        yield queue


@pytest.fixture
def log(tmp_path: Path) -> Callable[[], list[str]]:
    """Return a function that returns what handlers have noted."""

    def lines() -> list[str]:
        path = tmp_path / "log"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    return lines


def until(condition: Callable[[], object]) -> None:
    """Wait until `condition` holds; the test's own time limit ends a vain wait."""
    while not condition():
        time.sleep(0.005)  # noqa: TID251  # other processes are at it


def in_state(queue: Queue, job: JobId, state: State) -> Job:
    """Wait until the job is in `state` and return it."""
    until(lambda: queue.get(job).state is state)
    return queue.get(job)


Log = Callable[[], list[str]]


def test_a_killed_worker_loses_nothing(start: Start, queue: Queue, log: Log, tmp_path: Path) -> None:
    """A job whose worker is killed in the middle runs again when the lease ends, as the second attempt."""
    job = queue.enqueue("work", max_attempts=5)
    killed = start()
    until(lambda: log() == ["begun"])
    killed.kill()
    killed.wait()
    assert queue.get(job).state is State.RUNNING
    (tmp_path / "go").touch()
    start()
    done = in_state(queue, job, State.SUCCEEDED)
    assert (done.attempt, done.token) == (2, 2)
    assert log() == ["begun", "begun", "done"]
    events = list(queue.storage.events(job=job))
    assert [event.kind for event in events if event.kind is not Kind.EXTEND] == [
        Kind.ENQUEUE,
        Kind.CLAIM,
        Kind.RETRY,
        Kind.CLAIM,
        Kind.SUCCEED,
    ]
    assert next(event.why.outcome for event in events if event.kind is Kind.RETRY) == "lost"


def test_a_job_that_kills_its_workers_ends_as_a_dead_letter(start: Start, queue: Queue, log: Log) -> None:
    """Attempts are counted when they begin, so that even such a job comes to an end."""
    job = queue.enqueue("die", max_attempts=2)
    for _ in range(2):
        assert start().wait() == -signal.SIGKILL
    start()
    dead = in_state(queue, job, State.DEAD_LETTER)
    assert dead.attempt == 2
    assert dead.last_error is not None
    assert dead.last_error.startswith("jobsim.Lost")
    assert log() == ["begun", "begun"]


def test_sigterm_lets_running_handlers_end(start: Start, queue: Queue, log: Log, tmp_path: Path) -> None:
    """After SIGTERM nothing is claimed, what runs is finished, and the process ends in order."""
    first, second = queue.enqueue("work"), queue.enqueue("work")
    worker = start()
    until(lambda: log() == ["begun"])
    worker.terminate()
    with pytest.raises(subprocess.TimeoutExpired):
        worker.wait(0.3)
    (tmp_path / "go").touch()
    _, err = worker.communicate()
    assert worker.returncode == 0, err
    assert "1 attempt, 1 succeeded." in err
    assert queue.get(first).state is State.SUCCEEDED
    assert (queue.get(second).state, queue.get(second).token) == (State.PENDING, 0)


def test_a_signal_is_heard_whichever_thread_it_strikes(start: Start, queue: Queue) -> None:
    """Nothing wakes the main thread then, and the worker ends all the same."""
    queue.enqueue("strike")
    worker = start()
    _, err = worker.communicate(timeout=30)
    assert worker.returncode == 0, err
    assert "1 attempt, 1 succeeded." in err


@pytest.mark.parametrize("kind", ["work", "wait"], ids=["sync", "async"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_gives_attempts_back(
    start: Start, queue: Queue, log: Log, number: signal.Signals, kind: str
) -> None:
    """The process ends at once, whatever its handlers do; the job is pending and its attempt not counted."""
    job = queue.enqueue(kind)
    worker = start()
    until(lambda: log() == ["begun"])
    worker.send_signal(number)
    with pytest.raises(subprocess.TimeoutExpired):
        worker.wait(0.3)
    worker.send_signal(number)
    _, err = worker.communicate()
    assert worker.returncode == 130, err
    assert "1 attempt, 1 given back." in err
    assert "Traceback" not in err
    stored = queue.get(job)
    assert (stored.state, stored.attempt, stored.token) == (State.PENDING, 0, 1)
    assert log() == (["begun"] if kind == "work" else ["begun", "clean"])


def test_a_handler_that_exits_does_not_end_the_worker(
    start: Start, queue: Queue, log: Log, tmp_path: Path
) -> None:
    """SystemExit costs an attempt; the next job runs in the same process."""
    (tmp_path / "go").touch()
    left = queue.enqueue("leave", max_attempts=1)
    done = queue.enqueue("work")
    worker = start("--burst")
    _, err = worker.communicate()
    assert worker.returncode == 0, err
    assert queue.get(left).last_error == "SystemExit: gone"
    assert queue.get(done).state is State.SUCCEEDED
    assert log() == ["begun", "done"]


FORK = """\
import json, os
import jobsim

queue = jobsim.Queue("sqlite:///jobs.db")


@queue.job
def work(): ...


def ids():
    return [str(work.enqueue()) for _ in range(20)]


mine = ids()
reading, writing = os.pipe()
child = os.fork()
if child == 0:
    os.write(writing, json.dumps(ids()).encode())
    queue.close()
    os._exit(0)
os.waitpid(child, 0)
print(json.dumps([mine, json.loads(os.read(reading, 100_000)), ids()]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_enqueues_under_ids_of_its_own(queue: Queue, tmp_path: Path) -> None:
    """Parent and child share nothing: neither ids nor a connection; nothing of either is lost."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FORK], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    before, child, after = json.loads(done.stdout)
    everything = [JobId.parse(text) for text in (*before, *child, *after)]
    assert len({job.key for job in everything}) == 60
    assert [job.id for job in queue.storage.find()] == everything


FORK_OF_A_WORKER = """\
import os, sys
import jobsim
from jobsim.live import worker

worker._LAST_WAIT_S = 3_600
queue = jobsim.Queue("sqlite:///jobs.db")


@queue.job
def work(): ...


running = queue.worker().start()
child = os.fork()
if child == 0:
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
job = work.enqueue()
while queue.get(job).state != "succeeded":
    assert not running.wait(0.005)
queue.close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_of_a_worker_ends_without_waiting_for_it(tmp_path: Path) -> None:
    """The worker is its parent's: it goes on there, and a child that exits neither stops nor awaits it."""
    done = subprocess.run(
        [sys.executable, "-c", FORK_OF_A_WORKER],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


FORKS_THAT_RETURN = """\
import os
import jobsim

queue = jobsim.Queue("sqlite:///jobs.db")
ended = {}


@queue.job(max_attempts=1)
def work(fails: bool):
    child = os.fork()
    if child:
        ended[fails] = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    elif fails:
        raise ValueError("in the fork")


@queue.job(max_attempts=1)
async def work_async():
    work.fn(False)


work.enqueue(True)
work.enqueue(False)
queue.run_worker(concurrency=1, burst=True)
assert ended == {True: os.EX_SOFTWARE, False: os.EX_OK}, ended
ended.clear()
work_async.enqueue()
queue.run_worker(concurrency=1, burst=True)
assert ended == {False: os.EX_OK}, ended
assert {job.state for job in queue.storage.find()} == {"succeeded"}
queue.close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_that_a_handler_made_ends_where_the_handler_does(tmp_path: Path) -> None:
    """It takes no part in the worker, nor lingers on; its exit code says how the handler ended in it."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKS_THAT_RETURN],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
