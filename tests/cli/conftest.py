"""What the tests of the command line share: ways to run it, a small scenario, an app with a queue."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from jobsim.cli.app import app

ROOT = Path(__file__).parents[2]

SCENARIO = """\
schema = 1
name = "small"
description = "Two minutes with an outage"
horizon = "2m"
drain = "1h"
seed = 3

compare = ["none", "full_jitter", "mine"]

[workers]
count = 2
slots = 2
lease = "30s"
poll = "1s"

[[jobs]]
kind = "charge"
arrivals = { process = "poisson", rate = "2/s" }
service = { dist = "exponential", mean = "100ms" }
failures = [
    { model = "outage", start = "30s", duration = "20s", takes = "100ms", error = "ConnectionError: down" },
    { model = "independent", probability = 0.05, error = "TimeoutError: slow" },
]

[policies.mine]
max_attempts = 6
backoff = { kind = "exponential", base = "2s", cap = "1m", jitter = "equal" }
"""

APP = """\
import jobsim

queue = jobsim.Queue("sqlite:///jobs.db")
number = 7


@queue.job(retry=jobsim.policies.none, max_attempts=1)
def greet(name: str) -> str:
    if name == "nobody":
        raise ValueError("nobody to greet")
    return f"Hello, {name}"
"""


Cli = Callable[..., Result]
Start = Callable[..., "subprocess.Popen[str]"]
Shell = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the caller's own settings out, and the width of a pipe."""
    for name in list(os.environ):
        if name.startswith("JOBSIM_") or name in {"COLUMNS", "NO_COLOR", "FORCE_COLOR"}:
            monkeypatch.delenv(name)


@pytest.fixture
def cli() -> Cli:
    """Return a function that runs a command line in this process."""

    def run(*args: str, **environment: str) -> Result:
        return CliRunner().invoke(app, list(args), env=environment, prog_name="jobsim")

    return run


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Return a function that starts a command line as a process, in the test's directory."""

    def begin(*args: str, **environment: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "jobsim", *args],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return begin


@pytest.fixture
def shell(start: Start) -> Shell:
    """Return a function that runs a command line as a process to its end."""

    def run(*args: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        process = start(*args, **environment)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(args, process.returncode, out, err)

    return run


@pytest.fixture
def root() -> Path:
    """Return the directory that holds the package."""
    return ROOT


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    """Return a small scenario's file."""
    path = tmp_path / "small.toml"
    path.write_text(SCENARIO, encoding="utf-8")
    return path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return an empty current directory whose modules are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def app_text() -> str:
    """Return a module with a queue on ``jobs.db`` in the current directory."""
    return APP
