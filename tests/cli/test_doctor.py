"""What `jobsim doctor` looks at, and what it says is to be done."""

import json
from contextlib import closing
from pathlib import Path

import pytest

from jobsim.cli import doctor
from jobsim.cli.doctor import Finding, Health
from jobsim.core.time import SECOND, Instant
from jobsim.runtime.live import now
from jobsim.storage import sqlite_library, sqlite_wal
from jobsim.storage.memory import MemoryStorage
from jobsim.storage.sqlite import SqliteStorage
from jobsim.testing.conformance_base import add, claim, new
from tests.cli.conftest import Cli
from tests.storage.faults import bare


@pytest.fixture(autouse=True)
def _mended_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Python's own SQLite be no matter of these tests."""
    monkeypatch.setattr(sqlite_library, "PYTHONS", "3.51.3")


@pytest.fixture
def path(here: Path) -> Path:
    path = here / "jobs.db"
    SqliteStorage(path).close()
    return path


def troubles(cli: Cli, *args: str) -> dict[str, str]:
    """Return what needs attention, and see that the exit code agrees."""
    result = cli("doctor", *args, "--json")
    told = json.loads(result.stdout)
    found = {finding["about"]: finding["seen"] for finding in told["findings"] if not finding["ok"]}
    assert result.exit_code == bool(found)
    assert told["ok"] == (not found)
    return found


def test_healthy_database_is_well(path: Path, cli: Cli) -> None:
    """Each finding is a line, and all being well is exit code 0."""
    result = cli("doctor", "sqlite:///jobs.db")
    assert result.exit_code == 0
    for words in ("SQLite of APSW", "schema", "synchronous=full", "WAL", "leases"):
        assert words in result.stdout
    assert "ATTENTION" not in result.stdout
    assert path.exists()


def test_less_durability_is_told(path: Path, cli: Cli) -> None:
    """It was asked for, so that it is well; what it costs is said all the same."""
    result = cli("doctor", f"sqlite:///{path}?durability=normal", COLUMNS="200")
    assert result.exit_code == 0
    assert "synchronous=normal; durability normal: power loss may undo" in result.stdout


def test_old_library_of_python_is_named(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection of sqlite3 writes to the file, too, when jobs are enqueued by it."""
    monkeypatch.setattr(sqlite_library, "PYTHONS", "3.40.1")
    assert "3.40.1 has the WAL-reset bug" in troubles(cli)["SQLite of Python"]


@pytest.mark.parametrize("missing", ["no.db", "no/jobs.db"])
def test_missing_database_is_not_made(here: Path, cli: Cli, missing: str) -> None:
    """A doctor changes nothing."""
    assert "there is no database" in troubles(cli, f"sqlite:///{missing}")["database"]
    assert list(here.iterdir()) == []


def test_newer_schema_is_told(path: Path, cli: Cli) -> None:
    """What this version cannot read it can still name."""
    with bare(path) as newer:
        newer.execute("UPDATE jobsim_schema SET version = 99")
        newer.pragma("user_version", 99)
    assert "made by a newer jobsim (schema 99" in troubles(cli, "sqlite:///jobs.db")["database"]


def test_leases_left_behind_are_counted(path: Path, cli: Cli) -> None:
    """Jobs whose worker died, and which no other worker looks after, are stuck."""
    with closing(SqliteStorage(path)) as storage:
        add(storage, new(1), new(2), new(3))
        claim(storage, limit=2)  # long ago, by the clock of the tests
    told = troubles(cli, "sqlite:///jobs.db")
    assert told["leases"].startswith("2 ended over 2m ago")
    assert "jobsim worker" in told["leases"]


def test_wal_that_cannot_be_copied_back_is_told(
    path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that never ends makes the WAL grow."""
    monkeypatch.setattr(sqlite_wal, "BIG", 1)
    with closing(SqliteStorage(path)) as storage:
        add(storage, new(1))
        assert "end long transactions" in troubles(cli, "sqlite:///jobs.db")["WAL"]


def test_disk_that_failed_to_confirm_is_told(path: Path, cli: Cli) -> None:
    """Until a process has made sure of what it reads, somebody is to look after the disk."""
    with closing(SqliteStorage(path)) as storage:
        add(storage, new(1))
    sqlite_wal.Wal(str(path)).doubt()
    assert "fsync failed" in troubles(cli, "sqlite:///jobs.db")["disk"]
    with closing(SqliteStorage(path)) as storage:
        add(storage, new(2))
    assert "disk" not in troubles(cli, "sqlite:///jobs.db")


@pytest.mark.parametrize("where", ["sqlite://", "jobs.db", "sqlite:///jobs.db?durability=none"])
def test_what_names_no_database_is_wrong_usage(here: Path, cli: Cli, where: str) -> None:
    """Nothing is looked at then."""
    result = cli("doctor", where)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert list(here.iterdir()) == []


SERVER = {
    "schema": "1",
    "server_version": "16.2",
    "synchronous_commit": "on",
    "fsync": "on",
    "full_page_writes": "on",
    "way": "local",
}


@pytest.mark.parametrize(
    ("changed", "health", "said"),
    [
        ({}, Health.OK, "synchronous_commit=on"),
        ({"synchronous_commit": "off"}, Health.OK, "commits with it on all the same"),
        ({"fsync": "off"}, Health.ATTENTION, "fsync=off: power loss can ruin the database"),
        ({"full_page_writes": "off"}, Health.ATTENTION, "full_page_writes=off"),
    ],
)
def test_server_that_keeps_nothing_is_told(changed: dict[str, str], health: Health, said: str) -> None:
    """What the server does with a commit is judged; what jobsim itself sees to is not."""
    server, durability, _ = doctor._server(SERVER | changed)
    assert server == Finding(Health.OK, "server", "PostgreSQL 16.2")
    assert durability.health is health
    assert said in durability.seen


@pytest.mark.parametrize(
    ("way", "health", "said"),
    [
        ("local", Health.OK, "local"),
        ("encrypted", Health.OK, "encrypted"),
        ("plain", Health.ATTENTION, "sslmode=verify-full"),
    ],
)
def test_a_way_that_others_listen_in_on_is_told(way: str, health: Health, said: str) -> None:
    """A password that crosses a network unencrypted is everybody's."""
    *_, finding = doctor._server(SERVER | {"way": way})
    assert finding.health is health
    assert said in finding.seen


@pytest.mark.parametrize(
    ("file", "directory", "said"),
    [
        (0o600, 0o755, None),
        (0o660, 0o755, None),
        (0o600, 0o1777, None),
        (0o644, 0o755, "may read the jobs: chmod o="),
        (0o666, 0o755, "may change the jobs"),
        (0o600, 0o777, "may replace files in"),
    ],
)
def test_files_that_others_get_at_are_told(
    path: Path, cli: Cli, file: int, directory: int, said: str | None
) -> None:
    """A file that all may read or write, and a directory where all may put another in its place."""
    path.chmod(file)
    path.parent.chmod(directory)
    told = troubles(cli, f"sqlite:///{path}")
    assert list(told) == ([] if said is None else ["permissions"])
    assert said is None or said in told["permissions"]


class Server(MemoryStorage):
    """A store whose clock is wrong, or right while ours is."""

    def __init__(self, ahead: int) -> None:
        super().__init__()
        self._ahead = ahead

    def clock(self) -> Instant:
        return Instant(now() + self._ahead)


@pytest.mark.parametrize(
    ("ahead", "health", "said"),
    [
        (0, Health.OK, "between the server's and this machine's"),
        (90 * SECOND, Health.ATTENTION, "this machine is 90.0 s behind the server"),
        (-90 * SECOND, Health.ATTENTION, "this machine is 90.0 s ahead of the server"),
    ],
)
def test_clocks_that_disagree_are_told(ahead: int, health: Health, said: str) -> None:
    """Jobs go by the server's time, logs by this machine's."""
    finding = doctor._clock(Server(ahead))
    assert finding.health is health
    assert said in finding.seen


def test_a_queue_that_nobody_works_on_is_told(path: Path, cli: Cli) -> None:
    """Jobs have been due for minutes while none of their queue runs, which is not paused."""
    due = Instant(now() - 300 * SECOND)
    with closing(SqliteStorage(path)) as storage:
        add(storage, new(1, run_at=due, queue="mail"), new(2, run_at=Instant(now() - SECOND), queue="fresh"))
        add(storage, new(3, run_at=due, queue="busy"), new(4, run_at=due, queue="busy"), now=due)
        assert len(claim(storage, limit=1, now=now(), queues=("busy",))) == 1
        told = troubles(cli, f"sqlite:///{path}")
        assert list(told) == ["workers"]
        assert told["workers"].startswith("mail: due for 5m")
        assert "--queues NAME" in told["workers"]
        storage.pause("mail")
    assert list(troubles(cli, f"sqlite:///{path}")) == ["queues"]
