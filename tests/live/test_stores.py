"""What a queue's URL names, and what each process has of it."""

import sys
from contextlib import closing
from pathlib import Path

import pytest

from jobsim.core.errors import ConfigError, StorageError, StorageUnavailable
from jobsim.core.time import MILLISECOND, SECOND, Instant
from jobsim.live.stores import Address, Presence
from jobsim.storage.memory import MemoryStorage
from jobsim.storage.sqlite import Durability, SqliteStorage


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "memory://"])
def test_some_urls_name_memory(url: str) -> None:
    """A store in memory has no path."""
    assert Address.of(url).path is None


def test_paths_are_absolute_or_from_where_the_queue_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that changes its directory later finds the same file."""
    monkeypatch.chdir(tmp_path)
    address = Address.of("sqlite:///data/jobs.db")
    monkeypatch.chdir("/")
    assert address.path == tmp_path / "data" / "jobs.db"
    assert Address.of("sqlite:////var/jobs.db").path == Path("/var/jobs.db")
    assert Address.of("sqlite:///with space é.db").path == Path("/with space é.db")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("jobs.db", "'jobs.db' is not a URL; write sqlite:///jobs.db"),
        ("", "is not a URL"),
        ("sqlite:/jobs.db", "is not a URL"),
        ("sqlite://jobs.db", "write sqlite:///jobs.db"),
        ("sqlite:///", "names no file"),
        ("sqlite:///data/", "names no file"),
        ("sqlite:///jobs.db?mode=ro", "no option 'mode'; a SQLite store has durability (full or normal)"),
        ("sqlite:///jobs.db?durabilty=normal", "no option 'durabilty' (did you mean 'durability'?)"),
        ("sqlite:///jobs.db?normal", "no option 'normal'"),
        ("sqlite:///jobs.db?durability=norml", "not 'norml' (did you mean 'normal'?)"),
        ("sqlite:///jobs.db?durability=none", "a file is written with durability full or normal, not 'none'"),
        ("sqlite:///jobs.db?durability=", "not ''"),
        ("sqlite://?durability=full", "sqlite://?durability=full': memory has durability none, not 'full'"),
        ("sqlite:///jobs.db?durability=full&durability=normal", "says durability twice"),
        ("sqlite:///jobs.db?busy_timeout=soon", "busy_timeout: "),
        ("sqlite:///jobs.db?shared=yes", "shared is true or false, not 'yes'"),
        ("sqlite:///jobs.db?busy_timeout=2h", "busy_timeout: '2h' is too long"),
        ("sqlite:///?durability=normal", "names no file"),
        ("sqlite:///jobs#1.db", "the path may not contain '#'"),
        ("sqlite:///a\0b", "the path may not contain '\\x00'"),
        ("postgresql://localhost/jobs?connections=0", "connections: '0' is not a whole number"),
        ("postgres://localhost/jobs?listen=maybe", "listen: 'maybe' is neither on nor off"),
        ("sqllite:///jobs.db", "did you mean 'sqlite'?"),
        ("memory://x", "names no store that jobsim knows"),
        (7, "7 is not the URL of a store"),
    ],
)
def test_what_names_no_store_is_told(url: str, said: str) -> None:
    """A wrong URL is refused with a right one."""
    with pytest.raises(ConfigError) as error:
        Address.of(url)
    assert said in str(error.value)
    assert "sqlite:///" in str(error.value) or "postgres" in url or "?" in url


def test_options_of_the_url_are_those_of_the_store(tmp_path: Path) -> None:
    """What the URL asks for is what the store does, whatever else is said of it."""
    address = Address.of(f"sqlite:///{tmp_path}/jobs.db?durability=normal&busy_timeout=150ms")
    assert address.path == tmp_path / "jobs.db"
    with closing(address.open()) as storage:
        assert isinstance(storage, SqliteStorage)
        assert storage.durability is Durability.NORMAL
        assert storage._database._patience == 150 * MILLISECOND


def test_less_than_full_durability_is_told() -> None:
    """A report that names a store says what power loss may undo, and nothing where that is nothing."""
    assert "power loss may undo" in Address.of("sqlite:///jobs.db?durability=normal").caveat
    for url in ("sqlite:///jobs.db", "sqlite:///jobs.db?durability=full", "sqlite://", "postgresql:///jobs"):
        assert Address.of(url).caveat == ""


def test_a_server_is_no_memory_and_keeps_its_secret() -> None:
    """A store on a server is shared by all, and no password of it is shown."""
    address = Address.of("postgresql://me:secret@host/jobs?schema=mine")
    assert not address.in_memory
    assert str(address) == "postgresql://me:***@host/jobs?schema=mine"


def test_missing_driver_is_told_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server is no use without the library that talks to it."""
    monkeypatch.setitem(sys.modules, "jobsim.storage.postgres", None)
    with pytest.raises(StorageError, match=r"needs psycopg.*pip install 'psycopg"):
        Address.of("postgresql:///jobs").open()


def test_a_presence_opens_once() -> None:
    """Everything in a process shares one store."""
    store = MemoryStorage()
    presence = Presence(store)
    assert presence.open() is presence.open() is store


class Clockwork(MemoryStorage):
    """A store with a clock of its own, which cannot be seen at the first look."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0

    def clock(self) -> Instant:
        """Return its time."""
        self.looks += 1
        if self.looks == 1:
            raise StorageUnavailable("it is away")
        return Instant(0)


def test_a_store_whose_clock_could_not_be_seen_is_opened_anew() -> None:
    """A process that goes on, once the server answers, goes by that clock and not by its own."""
    presence = Presence(Clockwork())
    with pytest.raises(StorageUnavailable, match="away"):
        presence.open()
    assert presence.now() < SECOND * 3600


def test_a_closed_presence_stays_closed() -> None:
    """Closing twice is harmless; opening again would hide that jobs are gone."""
    presence = Presence(MemoryStorage())
    presence.open()
    presence.close()
    presence.close()
    with pytest.raises(StorageError, match="was closed"):
        presence.open()


@pytest.mark.parametrize("where", [MemoryStorage(), Address.of("sqlite://")])
def test_memory_is_not_shared_with_a_fork(where: MemoryStorage | Address) -> None:
    """A child would enqueue into a copy that nobody looks at."""
    with pytest.raises(StorageError, match="in the memory of the process"):
        Presence(where, forked=True).open()
