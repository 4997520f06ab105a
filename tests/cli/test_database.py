"""How commands find the database they look at."""

from pathlib import Path

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
