"""Worker processes killed at random until all is done: no job is lost, none runs again without a reason."""

import itertools
import os
import random  # noqa: TID251  # whom to kill, and when
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from jobsim.cli.program import ExitCode
from jobsim.core.decide import LOST
from jobsim.core.events import Event
from jobsim.core.job import JobId, State
from jobsim.core.time import SECOND, Instant
from jobsim.core.transitions import Kind
from jobsim.queue import Queue
from jobsim.runtime.live import now
from jobsim.testing.invariants import verify
from jobsim.testing.postgres_server import PostgresServer

pytestmark = pytest.mark.live

ROOT = Path(__file__).parents[2]
WORKERS = 3

APP: Final = """\
import os, time
import jobsim

queue = jobsim.Queue(os.environ["STORE"])
ledger = os.open("ledger", os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def write(word: str, run: jobsim.JobContext) -> None:
    os.write(ledger, f"{word} {run.id} {run.token} {os.getpid()} {time.time_ns() // 1000}\\n".encode())


@queue.job(retry=jobsim.NoBackoff(), max_attempts=None)
def work(run: jobsim.JobContext) -> None:
    write("begun", run)
    time.sleep(0.03)
    write("done", run)
"""


class Line(NamedTuple):
    """What the handler wrote into the ledger: that a run of a job had begun, or was done."""

    word: str
    job: JobId
    token: int
    pid: int
    at: Instant


class Crew:
    """Worker processes of one application; whoever is killed is replaced."""

    def __init__(self, place: Path, url: str) -> None:
        self.killed: dict[int, Instant] = {}
        self.outages = 0
        self.random = random.Random(7)
        self._place = place
        self._url = url
        self._living: dict[int, subprocess.Popen[bytes]] = {}
        (place / "app.py").write_text(APP, encoding="utf-8")
        (place / "ledger").touch()

    def hire(self) -> None:
        """Start one more worker."""
        options = ["--concurrency", "4", "--lease", "3s", "--poll", "200ms"]
        with (self._place / "stderr").open("ab") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "jobsim", "worker", "app:queue", *options],
                cwd=self._place,
                env={**os.environ, "PYTHONPATH": str(ROOT), "STORE": self._url},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )
        self._living[process.pid] = process

    def kill_one(self) -> None:
        """End one without a warning, unless it has not yet begun to work, and replace it."""
        self._replace_those_who_found_no_server()
        pid = self.random.choice(sorted(self._living))
        if any(line.pid == pid for line in self.ledger):
            self._end(self._living.pop(pid))
            self.killed[pid] = now()
            self.hire()

    def _replace_those_who_found_no_server(self) -> None:
        """Only who starts while the server is away gives up by itself, and says so by its exit code."""
        for pid, code in [(pid, process.poll()) for pid, process in self._living.items()]:
            if code is not None:
                assert code == ExitCode.DATABASE, self.said
                assert self.outages, self.said
                assert all(line.pid != pid for line in self.ledger), self.said
                del self._living[pid]
                self.hire()

    def dismiss(self) -> None:
        """Let all finish what they have begun, and wait for their end."""
        for process in self._living.values():
            process.terminate()
        codes = [process.wait(60) for process in self._living.values()]
        # One may not have begun to listen to signals, or have found no server.
        assert set(codes) <= {0, -signal.SIGTERM, *([ExitCode.DATABASE] if self.outages else [])}, self.said

    def close(self) -> None:
        """End all, whatever they do."""
        for process in self._living.values():
            self._end(process)

    @staticmethod
    def _end(process: "subprocess.Popen[bytes]") -> None:
        process.kill()
        process.wait()

    @property
    def ledger(self) -> list[Line]:
        """What has been written, in its order."""
        lines = (line.split() for line in (self._place / "ledger").read_text().splitlines())
        return [
            Line(word, JobId.parse(job), int(token), int(pid), Instant(int(at)))
            for word, job, token, pid, at in lines
        ]

    @property
    def said(self) -> str:
        """What the workers told."""
        return (self._place / "stderr").read_text(encoding="utf-8")


@contextmanager
def crew_of(place: Path, url: str) -> Iterator[Crew]:
    """Return three workers; none outlives the test."""
    crew = Crew(place, url)
    try:
        for _ in range(WORKERS):
            crew.hire()
        yield crew
    finally:
        crew.close()


def until_done(crew: Crew, queue: Queue, count: int, disturb: Callable[[Crew], object]) -> None:
    """Kill workers every few hundred milliseconds until all jobs have succeeded, and do `disturb` as well."""
    while queue.storage.counts()[State.SUCCEEDED] < count:
        time.sleep(crew.random.uniform(0.2, 0.6))  # noqa: TID251  # the workers are at it
        crew.kill_one()
        disturb(crew)
    crew.dismiss()


def ends(events: list[Event]) -> dict[tuple[JobId, int], Event]:
    """Return what ended each attempt, by job and token."""
    kept = {Kind.SUCCEED, Kind.RETRY, Kind.RELEASE, Kind.DEAD_LETTER, Kind.CANCEL}
    return {(event.job, event.token): event for event in events if event.kind in kept}


def check_runs(crew: Crew, events: list[Event], grace_s: int) -> None:
    """Each run has a claim of its own. Those that did not succeed came too late, or their worker was killed
    before they were done, or so soon after that it need not have settled them.
    """
    lines = crew.ledger
    begun = {(line.job, line.token): line for line in lines if line.word == "begun"}
    done = {(line.job, line.token): line for line in lines if line.word == "done"}
    assert len(begun) + len(done) == len(lines)
    assert begun.keys() <= {(event.job, event.token) for event in events if event.kind is Kind.CLAIM}
    late = [event for event in events if event.kind is Kind.REFUSE and event.why.outcome != LOST]
    refused = {(event.job, event.token) for event in late}
    ended = ends(events)
    assert {run for run, end in ended.items() if end.kind is Kind.SUCCEED} <= done.keys()
    for run, line in begun.items():
        end, killed = ended[run], crew.killed.get(line.pid)
        if end.kind is not Kind.SUCCEED:
            assert (end.kind, end.why.outcome) == (Kind.RETRY, LOST)
            due = done[run].at + grace_s * SECOND if run in done else end.at
            assert run in refused or (killed is not None and killed <= due), (run, end)


def prove(
    place: Path, url: str, count: int, disturb: Callable[[Crew], object] = lambda _: None, grace_s: int = 2
) -> Crew:
    """Have `count` jobs done by workers that are killed, and check what happened."""
    with Queue(url) as queue, crew_of(place, url) as crew:
        jobs = queue.enqueue_many("work", [{}] * count, max_attempts=None)
        until_done(crew, queue, count, disturb)
        events = list(queue.storage.events())
        verify(events, accepted=jobs, offered=jobs, jobs=queue.storage.find(), drained=True)
        check_runs(crew, events, grace_s)
        assert crew.killed
        assert any(end.why.outcome == LOST for end in ends(events).values())
    return crew


def test_sqlite_workers_killed_at_random_lose_no_job(tmp_path: Path) -> None:
    """Three processes on one file, killed and replaced until all is done, do every job."""
    prove(tmp_path, f"sqlite:///{tmp_path}/jobs.db", 300)


def test_postgres_workers_killed_at_random_lose_no_job(tmp_path: Path, postgres: str, schema: str) -> None:
    """Three processes on one server, killed and replaced until all is done, do every job."""
    prove(tmp_path, f"{postgres}&schema={schema}", 300)


@pytest.mark.soak
def test_sqlite_workers_killed_for_minutes_lose_no_job(tmp_path: Path) -> None:
    """The same at length."""
    crew = prove(tmp_path, f"sqlite:///{tmp_path}/jobs.db", 5_000)
    assert len(crew.killed) > 30


@pytest.mark.soak
def test_postgres_workers_and_server_killed_for_minutes_lose_no_job(
    tmp_path: Path, make_server: Callable[[], PostgresServer], schema: str
) -> None:
    """The same at length, on a server that is killed now and then as well."""
    with make_server() as server:
        rounds = itertools.count(1)

        def disturb(crew: Crew) -> None:
            if next(rounds) % 25 == 0:
                crew.outages += 1
                server.kill()
                server.start()

        crew = prove(tmp_path, f"{server.dsn}&schema={schema}", 5_000, disturb, grace_s=20)
        assert len(crew.killed) > 30
        assert crew.outages > 1
