"""``jobsim worker --metrics``, as processes."""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from typer.testing import Result

Cli = Callable[..., Result]
Start = Callable[..., "subprocess.Popen[str]"]

APP = "target_app:queue"


@pytest.fixture
def app(here: Path, app_text: str) -> Path:
    """Return the current directory, which holds an app with a queue that has no database yet."""
    (here / "target_app.py").write_text(app_text, encoding="utf-8")
    return here


@pytest.fixture
def worker(start: Start) -> Iterator[Start]:
    """Return a function that starts a worker; none outlives the test."""
    started: list[subprocess.Popen[str]] = []

    def begin(*options: str) -> "subprocess.Popen[str]":
        started.append(start("worker", APP, *options))
        return started[-1]

    yield begin
    for process in started:
        process.terminate()
        process.communicate(timeout=60)


def two_ports() -> int:
    """Return the first of two ports that are free."""
    while True:
        with closing(socket.socket()) as first, closing(socket.socket()) as second:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            with suppress(OSError, OverflowError):
                second.bind(("127.0.0.1", port + 1))
                return port


def scraped(port: int, line: str) -> str:
    """Return a scrape that has `line`; the test's own time limit ends a vain wait."""
    while True:
        with suppress(URLError, ConnectionError), urlopen(f"http://127.0.0.1:{port}/metrics") as reply:
            text: str = reply.read().decode()
            if line in text:
                return text
        time.sleep(0.05)  # noqa: TID251  # the worker is at it


@pytest.mark.live
@pytest.mark.usefixtures("app")
def test_each_process_serves_its_metrics_on_the_next_port(cli: Cli, worker: Start) -> None:
    """Both are of one store, and each has attempts of its own."""
    assert cli("enqueue", APP, "greet", '{"name": "Ada"}').exit_code == 0
    port = two_ports()
    worker("--processes", "2", "--metrics", str(port))
    done = 'jobsim_jobs{queue="default",state="succeeded"} 1.0'
    attempt = 'jobsim_attempts_total{kind="greet",outcome="succeeded",queue="default"} 1.0'
    counted = 0
    while not counted:  # an attempt is counted a moment after it is written
        counted = sum(attempt in scraped(p, done) for p in (port, port + 1))
    assert counted == 1


@pytest.mark.live
@pytest.mark.usefixtures("app")
def test_a_port_that_is_taken_is_wrong_usage(start: Start) -> None:
    """It is told which, and nothing is run."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = start("worker", APP, "--burst", "--metrics", str(port))
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert f"port {port} cannot be used: Address already in use" in err


@pytest.mark.usefixtures("app")
def test_ports_that_there_are_not_are_refused(cli: Cli) -> None:
    """Before a process is started that would have none."""
    refused = cli("worker", APP, "--processes", "3", "--metrics", "65534")
    assert refused.exit_code == 2
    assert "3 processes take the ports from 65534 to 65536" in refused.stderr
