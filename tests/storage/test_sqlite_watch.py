"""News of a SQLite file: who hears of what, with the system's help and without."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jobsim.core.errors import StorageError
from jobsim.core.time import MILLISECOND, SECOND, Duration
from jobsim.storage import sqlite_watch
from jobsim.storage.base import Watch, Watchable
from jobsim.storage.rows import Row
from jobsim.storage.sqlite import SqliteStorage
from jobsim.testing.conformance_base import add, claim, new

pytestmark = pytest.mark.live

SHORT = Duration(100 * MILLISECOND)
LONG = Duration(60 * SECOND)


@pytest.fixture(params=["told", "not told"])
def watched(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[SqliteStorage, Watch]]:
    """Return a store on a file and what hears of others, which has just listened for the first time."""
    if request.param == "not told":
        monkeypatch.setattr(sqlite_watch, "_told_of_writes", lambda _: None)
    storage = SqliteStorage(tmp_path / "jobs.db")
    watch = storage.watch()
    assert watch is not None
    assert watch.wait(SHORT)
    yield storage, watch
    watch.close()
    storage.close()


def other(storage: SqliteStorage) -> SqliteStorage:
    """Return what another process would have: a store of its own on the same file."""
    return SqliteStorage(storage.path)


def opened() -> set[str]:
    """Return the descriptors of this process."""
    return {file.name for file in Path("/proc/self/fd").iterdir()}


def test_commit_of_others_is_news_once(watched: tuple[SqliteStorage, Watch]) -> None:
    """What others did since the last wait is told by the next, and not again."""
    storage, watch = watched
    writer = other(storage)
    add(writer, new(1), new(2))
    claim(writer)
    assert watch.wait(LONG)
    assert not watch.wait(SHORT)
    writer.close()


def test_own_commit_is_no_news(watched: tuple[SqliteStorage, Watch]) -> None:
    """Whoever writes here rings the bell himself."""
    storage, watch = watched
    add(storage, new(1))
    claim(storage)
    assert not watch.wait(SHORT)


def test_own_commit_is_news_where_several_listen(watched: tuple[SqliteStorage, Watch]) -> None:
    """Each worker of a process hears of what the others do, until it is the only one again."""
    storage, watch = watched
    second = storage.watch()
    assert second is not None
    assert second.wait(SHORT)
    assert not watch.wait(SHORT)
    add(storage, new(1))
    assert watch.wait(LONG)
    assert second.wait(LONG)
    assert not watch.wait(SHORT)
    second.close()
    claim(storage)
    assert not watch.wait(SHORT)


def test_transaction_that_wrote_nothing_is_no_news(watched: tuple[SqliteStorage, Watch]) -> None:
    """Workers that look for jobs in vain do not wake each other."""
    storage, watch = watched
    second = storage.watch()
    assert second is not None
    assert second.wait(SHORT)
    watch.wait(SHORT)
    assert not claim(storage)
    assert not watch.wait(SHORT)
    assert not second.wait(SHORT)
    second.close()


def test_commit_of_others_is_heard_among_own(watched: tuple[SqliteStorage, Watch]) -> None:
    """That the store itself wrote, before and after, hides nothing."""
    storage, watch = watched
    writer = other(storage)
    add(storage, new(1))
    add(writer, new(2))
    add(storage, new(3))
    assert watch.wait(LONG)
    writer.close()


def test_who_waits_is_woken(watched: tuple[SqliteStorage, Watch]) -> None:
    """A commit ends a wait that is under way."""
    storage, watch = watched
    heard: list[bool] = []
    waiting = threading.Thread(target=lambda: heard.append(watch.wait(LONG)))
    waiting.start()
    writer = other(storage)
    add(writer, new(1))
    waiting.join()
    assert heard == [True]
    writer.close()


def test_commit_that_is_slow_to_come_is_heard(
    watched: tuple[SqliteStorage, Watch], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where pages are written long before they are committed, as on a slow disk, the commit is still told."""
    storage, watch = watched
    writer = other(storage)
    add(writer, new(1))
    assert watch.wait(LONG)
    looks = 0

    def pause(*_: object) -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            add(writer, new(2))

    monkeypatch.setattr(sqlite_watch.SqliteWatch, "_pause", pause)
    with Path(f"{storage.path}-wal").open("r+b") as wal:  # the sign of a write, and no commit
        os.pwrite(wal.fileno(), os.pread(wal.fileno(), 1, 0), 0)
    assert watch.wait(LONG)
    assert looks == 3
    writer.close()


def test_system_that_tells_is_asked_nothing_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While nobody writes, an idle worker looks at the file once a wait."""
    storage = SqliteStorage(tmp_path / "jobs.db")
    watch = storage.watch()
    assert watch is not None
    watch.wait(SHORT)
    read, looks = storage._database.read, []

    def counted(sql: str, bindings: tuple[()], value: Callable[[Row], Row]) -> list[Row]:
        looks.append(sql)
        return read(sql, bindings, value)

    monkeypatch.setattr(storage._database, "read", counted)
    assert not watch.wait(SHORT)
    assert len(looks) == 1
    watch.close()
    storage.close()


def test_removed_file_is_told_and_heard_of_again(watched: tuple[SqliteStorage, Watch]) -> None:
    """A wait that cannot hear says so, each time; once the file is back, there may be news."""
    storage, watch = watched
    path = Path(storage.path)
    path.rename(path.with_suffix(".away"))
    for _ in range(2):
        with pytest.raises(StorageError, match="removed or replaced"):
            watch.wait(SHORT)
    path.with_suffix(".away").rename(path)
    assert watch.wait(SHORT)
    assert not watch.wait(SHORT)


def test_closed_store_is_told(watched: tuple[SqliteStorage, Watch]) -> None:
    """There is nothing to hear any more."""
    storage, watch = watched
    storage.close()
    with pytest.raises(StorageError, match="was closed"):
        watch.wait(SHORT)


def test_watch_leaves_no_descriptor_open(watched: tuple[SqliteStorage, Watch]) -> None:
    """Closing, even twice, gives back what the system lent; a later wait borrows anew."""
    _, watch = watched
    watch.close()
    before = opened()
    assert watch.wait(SHORT)
    watch.close()
    watch.close()
    assert opened() == before


def test_memory_has_no_news() -> None:
    """Nobody else can write to it."""
    storage = SqliteStorage(":memory:")
    assert isinstance(storage, Watchable)
    assert storage.watch() is None
    storage.close()
