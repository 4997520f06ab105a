"""The power is cut at every write and sync of a queue at work: nothing that was acknowledged is lost."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from jobsim.core.events import Event
from jobsim.core.job import Job, JobId
from jobsim.storage.sqlite import Durability
from jobsim.testing.power_cut import PowerCutDisk
from jobsim.testing.power_jobs import Answer, JobsKept
from jobsim.testing.power_losses import QUICK, THOROUGH, Losses
from jobsim.testing.power_survey import Case, survey
from tests.campaigns import record
from tests.crash.power import drained, in_doubt, play, reopened
from tests.crash.power_bugs import FEW, PLANTS, SEED, Plant, by_power_cuts, by_syncs
from tests.crash.power_campaign import Images, cut_days, known_salts

SHARES = 50
IMAGES = 100_000
"""Images after which the figures of a share are written down: five million in all."""


@pytest.fixture
def disk() -> Iterator[PowerCutDisk]:
    with PowerCutDisk() as disk:
        yield disk


def cases(disk: PowerCutDisk, losses: Losses = QUICK, seed: int = SEED) -> Iterator[Case]:
    """Yield what cuts of what happened on `disk` leave, each held to what callers were told."""
    return survey(disk, losses, seed, JobsKept(disk))


def unsound(disk: PowerCutDisk, losses: Losses = QUICK) -> list[Case]:
    return [case for case in cases(disk, losses) if not case.sound]


def test_no_cut_loses_what_was_acknowledged(tmp_path: Path, disk: PowerCutDisk) -> None:
    """Each image is the database as it was after one of its commits, none is older than what callers know."""
    number, states = 0, set[int | None]()
    for case in cases(play(tmp_path, disk, SEED)):
        assert case.sound, case
        number += case.is_new
        states.add(case.state)
    assert number > 2_000
    assert states == set(range(case.reached + 1))


def test_store_opens_whatever_a_cut_leaves(tmp_path: Path, disk: PowerCutDisk) -> None:
    """What it finds is the same for all images of one state, and can be worked on until nothing is left."""
    found: dict[int | None, tuple[list[Job], list[Event]]] = {}
    with PowerCutDisk() as other:
        for number, case in enumerate(cases(play(tmp_path, disk, SEED), replace(FEW, most=2))):
            there = reopened(case.image, tmp_path, other)
            assert there == found.setdefault(case.state, there), case
            if number % 50 == 0:
                assert drained(case.image, tmp_path) == [], case
    assert len(found) > 20


def test_recovery_may_be_cut_as_well(tmp_path: Path, disk: PowerCutDisk) -> None:
    """A database whose recovery, or copying back, is cut short is recovered to the same state."""
    recovered = 0
    for number, case in enumerate(cases(play(tmp_path, disk, SEED), FEW)):
        if number % 25 == 0 and case.reached > 3:
            with PowerCutDisk() as second:
                reopened(case.image, tmp_path, second)
                again = list(survey(second, QUICK, SEED))
            assert [each for each in again if not each.sound] == [], case
            assert {each.state for each in again} == {0}
            recovered += len(again)
    assert recovered > 300


def test_garbage_beside_a_torn_write_harms_nothing_where_it_is_expected(tmp_path: Path) -> None:
    """SQLite, told that disks may spoil the rest of a sector, keeps commits out of each other's sectors."""
    losses = replace(QUICK, most=2, garbage=4, neighbours=True)
    with PowerCutDisk(powersafe=False) as disk:
        assert unsound(play(tmp_path, disk, SEED, rounds=1), losses) == []


@pytest.mark.parametrize("sector", [4096])
def test_large_sectors_lose_nothing(tmp_path: Path, sector: int) -> None:
    """The same holds for disks that write more at a time."""
    with PowerCutDisk(sector=sector) as disk:
        assert unsound(play(tmp_path, disk, SEED, rounds=1)) == []


def test_normal_durability_loses_the_last_commits_and_nothing_else(
    tmp_path: Path, disk: PowerCutDisk
) -> None:
    """What it says of itself is true: commits that callers were told of are undone, the database is sound."""
    found = unsound(play(tmp_path, disk, SEED, Durability.NORMAL, rounds=1), FEW)
    assert len(found) > 20
    assert all(case.lost for case in found)
    assert any("accepted, yet not there" in case.broken for case in found)


@pytest.mark.parametrize("failing", [9, 18, 24, 30])
def test_commits_after_a_refused_sync_are_not_lost(tmp_path: Path, failing: int) -> None:
    """The process ends, and the next one goes on behind no hole in the WAL, though it reads none."""
    with PowerCutDisk(failing_sync=failing) as disk:
        assert unsound(play(tmp_path, disk, SEED, rounds=1), FEW) == []
        assert disk.syncs > failing


def test_what_a_refused_sync_left_is_on_the_disk_before_anybody_is_told_of_it(
    tmp_path: Path, disk: PowerCutDisk
) -> None:
    """A job that a broken process has left keeps its unique key for good, once somebody heard of that."""
    assert unsound(in_doubt(tmp_path, disk), FEW) == []
    values = [answer.value for answer in disk.notes if isinstance(answer, Answer)]
    assert values == [[JobId(1)], None, [JobId(2)]]


def test_store_without_bugs_is_not_blamed(tmp_path: Path) -> None:
    """What finds bugs by cuts and syncs finds none where none is planted."""
    assert by_power_cuts(tmp_path / "cuts") is None
    assert by_syncs(tmp_path / "syncs") is None


@pytest.mark.parametrize("plant", PLANTS)
def test_bug_that_only_a_power_cut_shows_is_found(
    tmp_path: Path, plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that confirms too early, waits for no disk or trusts one that failed loses what it confirmed."""
    plant(monkeypatch)
    assert by_power_cuts(tmp_path)


def test_images_of_all_days_are_counted_once() -> None:
    """The same day again adds none, another one only what the first has not left."""
    seen = Images()
    one, other = (np.array(prints, np.uint64) for prints in ([7, 3, 7, 2**63], [9, 3, 2**63, 1]))
    assert [seen.add(prints) for prints in (one, one, other, one, other)] == [3, 0, 2, 0, 0]
    assert len(seen) == 5


def test_day_leaves_the_same_images_wherever_it_is_played(tmp_path: Path) -> None:
    """What tells images apart is their content, and nothing in that comes by chance."""
    left = []
    for place in (tmp_path / "one", tmp_path / "another"):
        place.mkdir()
        with known_salts(), PowerCutDisk() as disk:
            left.append([case.image.digest for case in cases(play(place, disk, SEED, rounds=1), FEW)])
    assert left[0] == left[1]
    assert len(left[0]) == len(set(left[0])) > 500


@pytest.mark.soak
def test_no_cut_of_many_days_loses_anything() -> None:
    """Random days on disks of several kinds, until they have left five million images, no two alike."""
    seen = Images()
    with closing(cut_days()) as days:
        for share in range(SHARES):
            totals = Counter[str]()
            while len(seen) < (share + 1) * IMAGES:
                day = next(days)
                new, new_of_recovery = seen.add(day.images), seen.add(day.of_recovery)
                totals += Counter(
                    days=1,
                    cuts=day.cuts,
                    commits=day.commits,
                    images=new,
                    of_recovery=new_of_recovery,
                    found_again=len(day.images) + len(day.of_recovery) - new - new_of_recovery,
                    cpu_seconds=round(day.cpu_seconds),
                )
            record("power cuts, SQLite, full durability", **totals, lost=0)
    assert len(seen) >= SHARES * IMAGES


@pytest.mark.soak
def test_normal_durability_loses_only_the_end(tmp_path: Path) -> None:
    """How many commits it loses at most, and in how many images, is written down."""
    totals = {"images": 0, "without_the_end": 0, "commits_lost_at_most": 0}
    for seed in range(5):
        place = tmp_path / str(seed)
        place.mkdir()
        with PowerCutDisk() as disk:
            for case in cases(play(place, disk, seed, Durability.NORMAL), replace(THOROUGH, most=40), seed):
                assert case.sound or case.lost, case
                totals["images"] += case.is_new
                totals["without_the_end"] += case.lost
                behind = case.told - case.state if case.state is not None else 0
                totals["commits_lost_at_most"] = max(totals["commits_lost_at_most"], behind)
    assert totals["without_the_end"]
    record("power cuts, SQLite, normal durability", **totals)


@pytest.mark.soak
def test_commits_after_any_refused_sync_are_not_lost(tmp_path: Path) -> None:
    """Whichever sync is the one that fails, with whatever days around it."""
    totals = {"syncs": 0, "images": 0, "lost": 0}
    for seed in range(4):
        for failing in count(1):
            place = tmp_path / f"{seed}-{failing}"
            place.mkdir()
            with PowerCutDisk(failing_sync=failing) as disk:
                play(place, disk, seed, rounds=1)
                if disk.syncs < failing:
                    break
                for case in cases(disk, replace(QUICK, garbage=0), seed):
                    assert case.sound, f"sync {failing} of day {seed}: {case}"
                    totals["images"] += case.is_new
            totals["syncs"] += 1
    record("power cuts after a failed sync", **totals)
