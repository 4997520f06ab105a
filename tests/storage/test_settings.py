"""What stores tell of their databases, for people who look after them."""

from contextlib import closing
from pathlib import Path

import pytest

from jobsim.storage.base import Inspectable
from jobsim.storage.postgres import PostgresStorage
from jobsim.storage.sqlite import Durability, SqliteStorage


@pytest.mark.parametrize(("durability", "told"), [(Durability.FULL, "2"), (Durability.NORMAL, "1")])
def test_file_tells_what_is_in_force(tmp_path: Path, durability: Durability, told: str) -> None:
    """It is read back from SQLite, not repeated from what was asked for."""
    with closing(SqliteStorage(tmp_path / "jobs.db", durability=durability)) as storage:
        assert isinstance(storage, Inspectable)
        settings = storage.settings()
    assert int(settings.pop("schema")) >= 1
    assert settings == {"journal_mode": "wal", "synchronous": told}


@pytest.mark.live
def test_server_tells_what_is_in_force(postgres: str, schema: str) -> None:
    """The server is asked, and answers in its own words."""
    with closing(PostgresStorage(postgres, schema=schema)) as storage:
        assert isinstance(storage, Inspectable)
        settings = storage.settings()
    assert int(settings["schema"]) >= 1
    assert int(settings["server_version"].split(".")[0]) >= 13
    assert {settings[name] for name in ("fsync", "full_page_writes")} <= {"on", "off"}
    assert settings["synchronous_commit"]
    assert settings["way"] == "local"
