"""``jobsim migrate``, on databases that are there and such that are not."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

import jobsim

Cli = Callable[..., Result]

URL = "sqlite:///jobs.db"


@pytest.mark.usefixtures("here")
def test_migrate_makes_a_database_and_says_its_version(cli: Cli) -> None:
    """Again, it changes nothing."""
    for _ in range(2):
        done = cli("migrate", "--url", URL)
        assert (done.exit_code, done.stdout) == (0, ""), done.stderr
        assert re.search(r"up to date, schema version \d+\.", done.stderr)
    assert cli("migrate", "--url", URL, "--check").exit_code == 0


def test_migrate_check_makes_nothing(cli: Cli, here: Path) -> None:
    """What is not there is told by the exit code, and still not there."""
    done = cli("migrate", "--url", URL, "--check")
    assert done.exit_code == 4
    assert "there is no database" in done.stderr
    assert not list(here.iterdir())


def test_migrate_writes_the_sql_of_a_file(cli: Cli, here: Path) -> None:
    """A file that is made by that SQL by hand is one that a queue takes as it is."""
    done = cli("migrate", "--url", URL, "--sql")
    assert not list(here.iterdir())
    shell = "import sqlite3, sys; sqlite3.connect('jobs.db').executescript(sys.stdin.read())"
    subprocess.run([sys.executable, "-c", shell], input=done.stdout, text=True, cwd=here, check=True)
    assert cli("migrate", "--url", f"{URL}?shared=true", "--check").exit_code == 0
    with jobsim.Queue(f"{URL}?shared=true") as queue:
        assert queue.get(queue.enqueue("work")).kind == "work"


@pytest.mark.usefixtures("here")
def test_migrate_does_one_thing(cli: Cli) -> None:
    """To check and to write are two things."""
    assert cli("migrate", "--url", URL, "--sql", "--check").exit_code == 2
