"""How commands find the database they look at."""

from pathlib import Path

import pytest

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
