"""How commands find the database they look at."""

import socket
from pathlib import Path

import pytest
import typer

from jobsim.cli.app import app
from jobsim.cli.database import queue_names
from jobsim.cli.program import ExitCode
from jobsim.storage.sqlite import SqliteStorage
from tests.cli.conftest import Cli


def test_less_than_full_durability_is_told_beside_the_data(here: Path, cli: Cli) -> None:
    """Whoever reads of a store that is opened so reads what it costs; what is piped stays as it is."""
    SqliteStorage(here / "jobs.db").close()
    full = cli("stats", "--url", "sqlite:///jobs.db", "--json")
    normal = cli("stats", "--url", "sqlite:///jobs.db?durability=normal", "--json")
    assert full.exit_code == normal.exit_code == 0
    assert full.stderr == ""
    assert "durability=normal: durability normal: power loss may undo" in normal.stderr
    assert normal.stdout == full.stdout


@pytest.mark.parametrize("line", [["stats", "--url"], ["migrate", "--url"], ["doctor"], ["check"]])
def test_url_that_libpq_refuses_is_wrong_usage(cli: Cli, line: list[str]) -> None:
    """What only the server's library finds wrong is blamed on the option, too: no use to try again."""
    result = cli(*line, "postgresql://host/db?shema=x")
    assert result.exit_code == ExitCode.USAGE
    assert "URL" in result.stderr.upper()
    assert 'invalid URI query parameter: "shema"' in result.stderr


@pytest.mark.live
@pytest.mark.timeout(60)
def test_shell_does_not_wait_for_a_server_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of queues are completed if they can be had soon; else there are none, however patient the URL."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        monkeypatch.setenv("JOBSIM_URL", f"postgresql://jobs@127.0.0.1:{port}/jobs?patience=10m")
        assert queue_names(typer.Context(typer.main.get_command(app)), "") == []
