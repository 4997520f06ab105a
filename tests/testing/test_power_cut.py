"""Power cuts of any SQLite database: what the disk holds, which images there are, and what is in them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from jobsim.core.streams import Streams
from jobsim.testing import power_survey
from jobsim.testing.power_cut import PowerCutDisk
from jobsim.testing.power_losses import Losses
from jobsim.testing.power_platter import (
    Change,
    FailedSync,
    Name,
    Platter,
    Resize,
    Step,
    Sync,
    SyncNames,
    Write,
)
from jobsim.testing.power_survey import Case, integrity, survey

_MADE = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
FEW = Losses(exhaustive=3, random=2, most=16)


@pytest.fixture
def disk() -> Iterator[PowerCutDisk]:
    with PowerCutDisk() as disk:
        yield disk


def platter(*steps: Step) -> Platter:
    """Return a disk of sectors of 4 bytes that has a file 0, called ``a``, and went through `steps`."""
    disk = Platter(4, [("a", 0, b"....")])
    for step in steps:
        disk.take(step)
    return disk


def found(disk: Platter) -> list[dict[str, bytes]]:
    """Return what is there if nothing that is pending survives, and if all does."""
    return [dict(disk.image(changes).files) for changes in ([], disk.pending)]


@pytest.mark.parametrize(
    ("steps", "least", "most"),
    [
        ([Write(0, 1, b"xy")], {"a": b"...."}, {"a": b".xy."}),
        ([Write(0, 1, b"xy"), Sync(0)], {"a": b".xy."}, {"a": b".xy."}),
        ([Resize(0, 1), Write(0, 2, b"x")], {"a": b"...."}, {"a": b".\0x"}),
        ([Name("b", 1), Write(1, 0, b"x"), Sync(1)], {"a": b"...."}, {"a": b"....", "b": b"x"}),
        ([Name("b", 1), SyncNames(), Write(1, 0, b"x")], {"a": b"....", "b": b""}, {"a": b"....", "b": b"x"}),
        ([Name("a", None), Sync(0)], {"a": b"...."}, {}),
        ([Name("a", None), SyncNames()], {}, {}),
        ([Write(0, 1, b"xy"), FailedSync(0)], {"a": b"...."}, {"a": b"...."}),
        ([Write(0, 1, b"x"), FailedSync(0), Write(0, 2, b"y"), Sync(0)], {"a": b"..y."}, {"a": b"..y."}),
    ],
)
def test_what_lasts_is_what_was_synced(
    steps: list[Step], least: dict[str, bytes], most: dict[str, bytes]
) -> None:
    """A file's content lasts from its sync on, a name from that of the directory, and neither sooner."""
    assert found(platter(*steps)) == [least, most]


def test_sectors_survive_one_by_one() -> None:
    """A write is torn where sectors end, and any of its parts may be on the disk without the others."""
    disk = platter(Write(0, 2, b"abcdefgh"))
    assert [change for change in disk.pending if isinstance(change, Write)] == [
        (0, 2, b"ab"),
        (0, 4, b"cdef"),
        (0, 8, b"gh"),
    ]
    assert disk.image(disk.pending[2:]).files == {"a": b"....\0\0\0\0gh"}


def test_images_are_told_apart_by_all_that_is_in_them() -> None:
    """Equal files under equal names are one image, whatever led to them."""
    disk = platter(Write(0, 0, b"x"), Write(0, 0, b"."), Name("b", 1))
    first, second, name = disk.pending
    digests = [disk.image(kept).digest for kept in ([], [first], [first, second], [name])]
    assert digests[0] == digests[2]
    assert len(set(digests)) == 3


def choices(losses: Losses, pending: list[Change], known: int = 0) -> list[tuple[int, ...]]:
    kept = losses.of(pending, known, Streams(1).stream("test"))
    return [tuple(pending.index(change) for change in choice) for choice in kept]


def test_losses_are_all_there_may_be_where_they_are_few() -> None:
    """Of three changes all subsets are tried; of more each prefix, all but each one, and some at random."""
    pending: list[Change] = [Write(0, place, b"x") for place in range(6)]
    assert set(choices(Losses(exhaustive=3), pending[:3])) | {(0, 1, 2)} == {
        tuple(n for n in range(3) if mask >> n & 1) for mask in range(8)
    }
    tried = choices(Losses(exhaustive=3, random=5), pending)
    assert {tuple(range(length)) for length in range(6)} <= set(tried)
    assert {tuple(n for n in range(6) if n != lost) for lost in range(6)} <= set(tried)
    assert len(tried) == 6 + 5 + 5
    assert len(choices(Losses(most=4), pending)) == 4


def test_garbage_stays_where_it_was_written_unless_neighbours_suffer() -> None:
    """Bytes of a torn write may be anything; those beside them only where the disk is not powersafe."""
    pending: list[Change] = [Write(0, 700 + place, b"xy") for place in range(40)]
    for neighbours, sizes in ((False, {2}), (True, {2, 512})):
        losses = Losses(exhaustive=0, random=0, garbage=3, neighbours=neighbours, most=0)
        made = [change for kept in losses.of(pending, 0, Streams(1).stream("test")) for change in kept]
        assert {len(change.data) for change in made if isinstance(change, Write)} == sizes
        assert any(change not in pending for change in made)


def orders(path: Path, disk: PowerCutDisk, *settings: str) -> list[Case]:
    """Note down six orders, one a transaction, and return what cuts of the power make of them."""
    connection = apsw.Connection(str(path / "orders.db"), vfs=disk.name)
    for setting in ("page_size=512", *settings):
        connection.execute(f"PRAGMA {setting}").fetchall()
    connection.execute("CREATE TABLE orders (number INTEGER PRIMARY KEY, what TEXT)")
    for number in range(6):
        connection.execute("INSERT INTO orders VALUES (?, ?)", (number, "x" * 400))
        disk.note(number)
    connection.close()
    return list(survey(disk, FEW))


def unsound(cases: list[Case]) -> list[Case]:
    return [case for case in cases if not case.sound]


@pytest.mark.parametrize(
    "settings",
    [
        ("journal_mode=wal", "synchronous=full"),
        ("journal_mode=delete", "synchronous=extra"),
        ("journal_mode=truncate", "synchronous=full"),
        ("journal_mode=persist", "synchronous=full"),
    ],
    ids=" ".join,
)
def test_database_that_waits_for_the_disk_is_sound(
    tmp_path: Path, disk: PowerCutDisk, settings: tuple[str, ...]
) -> None:
    """Whatever moment the power goes at, all confirmed commits are found, and nothing half done."""
    cases = orders(tmp_path, disk, *settings)
    assert unsound(cases) == []
    assert sum(case.is_new for case in cases) > 150
    assert {case.state for case in cases} >= set(range(2, 8))


@pytest.mark.parametrize(
    "settings",
    [("journal_mode=wal", "synchronous=normal"), ("journal_mode=delete", "synchronous=full")],
    ids=" ".join,
)
def test_database_that_waits_too_little_loses_commits(
    tmp_path: Path, disk: PowerCutDisk, settings: tuple[str, ...]
) -> None:
    """SQLite documents that these settings may lose the last commits; nothing worse happens."""
    found = unsound(orders(tmp_path, disk, *settings))
    assert found
    assert all(case.lost for case in found)
    assert "told of" in str(found[0])


def test_database_that_does_not_wait_is_found_broken(tmp_path: Path, disk: PowerCutDisk) -> None:
    """Without syncs a database is found as it never was."""
    found = unsound(orders(tmp_path, disk, "journal_mode=delete", "synchronous=off"))
    assert any(case.state is None for case in found)


def test_images_can_be_looked_into(tmp_path: Path, disk: PowerCutDisk) -> None:
    """The files of a case are put into a directory, where any program finds what the cut has left."""
    case = next(case for case in orders(tmp_path, disk, "journal_mode=wal") if case.state == 4)
    place = tmp_path / "cut"
    place.mkdir()
    case.image.write(place)
    connection = apsw.Connection(str(place / "orders.db"))
    there = connection.execute("SELECT number FROM orders").fetchall()
    connection.close()
    assert 0 < len(there) < 6


def test_promise_is_asked_for_each_state_and_what_was_told(tmp_path: Path, disk: PowerCutDisk) -> None:
    """A judge of one's own says what is missing; it is told how much had been noted by then."""
    asked: list[tuple[bytes, int]] = []

    def promise(content: bytes, notes: int) -> str:
        asked.append((content, notes))
        return "too many" if notes == 6 else ""

    orders(tmp_path, disk, "journal_mode=wal")
    broken = [case.broken for case in survey(disk, FEW, promise=promise)]
    assert set(broken) == {"", "too many"}
    assert len(asked) == len(set(asked))
    assert {notes for _, notes in asked} == set(range(7))


def test_cuts_are_the_same_for_the_same_seed(tmp_path: Path, disk: PowerCutDisk) -> None:
    """What is tried depends on the seed alone."""
    orders(tmp_path, disk, "journal_mode=wal")
    first, again, other = (
        [case.image.digest for case in survey(disk, Losses(exhaustive=0, random=3), seed)]
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_refused_sync_is_given_up(tmp_path: Path) -> None:
    """The commit fails, and what it wrote can be read on, but never reaches the disk."""
    with PowerCutDisk(failing_sync=9) as disk:
        with pytest.raises(apsw.IOError):
            orders(tmp_path, disk, "journal_mode=wal", "synchronous=full")
        kinds = [type(step) for step in disk.steps]
        cut = list(disk.cuts())[kinds.index(FailedSync) + 1]
        assert cut.platter.image(cut.platter.pending).digest != cut.seen.digest


def test_failed_sync_is_told_once_to_each_who_has_the_file_open(tmp_path: Path) -> None:
    """As by Linux: who opened it before hears of the error at the next sync, who comes later does not."""
    path, flags = str(tmp_path / "a.db"), [apsw.SQLITE_OPEN_MAIN_DB | _MADE, 0]
    with PowerCutDisk(failing_sync=1) as disk:
        one, other = (disk.xOpen(path, list(flags)) for _ in range(2))
        another = disk.xOpen(str(tmp_path / "b.db"), list(flags))
        for file in (one, other):
            with pytest.raises(apsw.IOError):
                file.xSync(apsw.SQLITE_SYNC_FULL)
        later = disk.xOpen(path, list(flags))
        for file in (one, other, another, later):
            file.xSync(apsw.SQLITE_SYNC_FULL)
            file.xClose()


def test_state_that_is_damaged_is_unsound(
    tmp_path: Path, disk: PowerCutDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each state is asked for its integrity, also where it is found as it was."""
    monkeypatch.setattr(power_survey, "integrity", lambda _: "a page is spoilt")
    assert {case.broken for case in orders(tmp_path, disk, "journal_mode=wal")} == {"a page is spoilt"}


@pytest.mark.parametrize("powersafe", [True, False])
def test_sqlite_is_told_whether_a_torn_write_harms_its_neighbours(tmp_path: Path, powersafe: bool) -> None:
    """So that it keeps commits out of each other's sectors where that is needed."""
    with PowerCutDisk(powersafe=powersafe) as disk:
        file = disk.xOpen(str(tmp_path / "a.db"), [apsw.SQLITE_OPEN_MAIN_DB | _MADE, 0])
        told = file.xDeviceCharacteristics() & apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE
        file.xClose()
    assert bool(told) is powersafe


@pytest.mark.parametrize("spoil", [lambda page: page[:100] + bytes(412), lambda page: page[:-1] + b"\0"])
def test_integrity_is_that_of_all_pages(
    tmp_path: Path, disk: PowerCutDisk, spoil: Callable[[bytes], bytes]
) -> None:
    """A page that is damaged is told of, and a sound database is not."""
    orders(tmp_path, disk, "journal_mode=delete")
    content = (tmp_path / "orders.db").read_bytes()
    assert integrity(content) == ""
    assert integrity(spoil(content[:512]) + content[512:]) != ""
