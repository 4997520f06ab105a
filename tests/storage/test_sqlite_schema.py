"""The tables of the SQLite store: their names, their version, and whose file they may be in."""

from pathlib import Path

import pytest

from jobsim.core.errors import StorageForeign
from jobsim.storage.sqlite import SqliteStorage
from jobsim.storage.sqlite_file import APPLICATION_ID
from tests.storage.faults import bare


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs.db"


def test_all_names_have_the_prefix(path: Path) -> None:
    """Nothing of ours can be taken for something of an application's."""
    SqliteStorage(path).close()
    with bare(path) as other:
        rows = other.execute("SELECT name FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
    names = [str(name) for (name,) in rows]
    assert len(names) > 10
    assert [name for name in names if not name.startswith(("jobsim_", "sqlite_sequence"))] == []


def test_version_is_in_a_table_and_in_the_header(path: Path) -> None:
    """The table has the version in one row; the header has the marks by which tools know the file."""
    SqliteStorage(path).close()
    with bare(path) as other:
        [(version,)] = other.execute("SELECT version FROM jobsim_schema").fetchall()
        assert other.pragma("user_version") == version
        assert other.pragma("application_id") == APPLICATION_ID


def test_file_of_a_pre_release_is_refused(path: Path) -> None:
    """Tables of the layout before the first release are not mistaken for those of today."""
    with bare(path) as other:
        other.pragma("application_id", APPLICATION_ID)
        other.pragma("user_version", 1)
        other.execute("CREATE TABLE job (id INTEGER PRIMARY KEY)")
    before = path.read_bytes()
    with pytest.raises(StorageForeign, match="pre-release"):
        SqliteStorage(path)
    assert path.read_bytes() == before
