"""Every planted bug is found: by the instrument that is best at it, and by others in ``make mutants``."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from jobsim.storage.base import Storage
from jobsim.storage.memory import MemoryStorage
from jobsim.storage.sqlite import Durability, SqliteStorage
from jobsim.testing.plays import Play
from jobsim.testing.plots import Plot
from tests.crash.power_bugs import PLANTS, by_power_cuts, by_syncs
from tests.planted.engine import ENGINE, Plant
from tests.planted.instruments import (
    Found,
    Make,
    by_conformance,
    by_conformance_of_files,
    by_crashes,
    by_explorer,
    by_machine,
    by_plots,
    by_seeds,
    by_twice,
    tell,
)
from tests.planted.sql import SQLITE, in_sqlite
from tests.planted.sqlite import by_rival, by_threads, deferred_transaction
from tests.planted.stores import STORES, Planted

SOON = {
    *("HalfBatch", "EarlyReply", "SwallowedKey", "RetriedReplaced", "TakenByRequeue", "OneMoreRuns"),
    *(
        "SpinningDue",
        "DoubleEntry",
        "ResetToken",
        "GreedyClaim",
        "EarlyClaim",
        "SilentCancel",
        "AcceptedTwice",
    ),
}
"""What the machine finds within a few examples; others are left to the conformance suite here."""

QUICK: dict[str, Callable[[Make], Found | None]] = {
    "slow_heartbeat": by_seeds,
    "jitter_over_the_cap": by_seeds,
    "wall_clock": by_twice,
    "one_more_attempt": by_crashes,
    "no_reaper": by_crashes,
    "dropped_batch": by_crashes,
    "ack_before_commit": by_seeds,
    "retry_in_two_steps": by_crashes,
}
"""The cheapest instrument for each bug in the engine."""

in_memory = partial(SqliteStorage, ":memory:")


def in_a_file(directory: Path) -> Storage:
    """Return a store on SQLite that does not wait for long where a bug keeps another connection out."""
    return SqliteStorage(directory / "jobs.db", durability=Durability.NORMAL, busy_timeout="20ms")


each_store = pytest.mark.parametrize("store", STORES, ids=lambda store: store.__name__)
each_slip = pytest.mark.parametrize("slip", SQLITE)
each_engine = pytest.mark.parametrize("bug", ENGINE)


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Let workers not tell of all that befalls them."""
    caplog.set_level("CRITICAL", logger="jobsim")


@contextmanager
def planted(plant: Plant) -> Iterator[Make]:
    """Plant a bug in the engine, and give what plays a plot with it."""
    with pytest.MonkeyPatch.context() as patch:
        wrap = plant(patch)
        yield lambda plot: Play(plot, MemoryStorage(), wrap)


def sound(plot: Plot) -> Play:
    """Play a plot without a bug."""
    return Play(plot, MemoryStorage())


@each_store
def test_bug_in_a_store_is_found(store: type[Planted]) -> None:
    """The machine finds it within an everyday run, or else it breaks one of the conformance suite's rules."""
    assert by_machine(store) if store.__name__ in SOON else by_conformance(store)


@each_engine
def test_bug_in_the_engine_is_found(bug: str) -> None:
    """An engine with this bug breaks a rule in one of a few hundred plots."""
    with planted(ENGINE[bug]) as make:
        assert QUICK[bug](make)


def test_deferred_transaction_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another connection that tries to write before each statement must wait, or the transaction fails."""
    sound, unsound = tmp_path / "sound", tmp_path / "unsound"
    sound.mkdir()
    unsound.mkdir()
    assert by_rival(sound) is None
    deferred_transaction(monkeypatch)
    assert by_rival(unsound)


def test_instruments_find_nothing_without_a_bug() -> None:
    """The store and the engine in which bugs are planted are not at fault."""
    assert by_machine(Planted, 40) is None
    assert by_conformance(Planted) is None
    assert by_conformance(in_memory) is None
    assert by_plots(sound, 20) is None
    assert by_twice(sound, range(5)) is None


@pytest.mark.soak
def test_instruments_find_nothing_without_a_bug_in_sqlite() -> None:
    """Nor is SQLite's own store, however long it is looked at."""
    assert by_conformance_of_files(in_a_file) is None
    assert by_explorer(in_memory) is None
    assert by_machine(in_memory) is None


@pytest.mark.soak
@each_store
def test_bug_in_a_store_is_found_by_two_instruments(
    store: type[Planted], record_property: Callable[[str, object], None]
) -> None:
    """The machine, the conformance suite, the explorer, and plays of the whole engine: two of them do."""

    def make(plot: Plot) -> Play:
        return Play(plot, store())

    instruments = {
        "machine": partial(by_machine, store, 1_000, shrink=True),
        "conformance": partial(by_conformance, store),
        "explorer": partial(by_explorer, store),
        "seeds": partial(by_seeds, make, range(100)),
        "crashes": partial(by_crashes, make),
    }
    tell(store.__name__, instruments, record_property)


@pytest.mark.soak
@each_engine
def test_bug_in_the_engine_is_found_by_two_instruments(
    bug: str, record_property: Callable[[str, object], None]
) -> None:
    """Hypothesis, plain seeds, a crash everywhere, and a play that is played twice: two of them find it."""
    with planted(ENGINE[bug]) as make:
        instruments = {
            "plots": partial(by_plots, make, 600, shrink=True),
            "seeds": partial(by_seeds, make, range(2_000)),
            "crashes": partial(by_crashes, make),
            "twice": partial(by_twice, make, range(5)),
        }
        tell(bug, instruments, record_property)


@pytest.mark.soak
def test_deferred_transaction_is_found_by_two_instruments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    """A rival before each statement, and two threads at work, find it."""
    places = {name: tmp_path / name for name in ("rival", "threads")}
    for place in places.values():
        place.mkdir()
    deferred_transaction(monkeypatch)
    instruments = {
        "rival": partial(by_rival, places["rival"]),
        "threads": partial(by_threads, places["threads"]),
    }
    tell("deferred_transaction", instruments, record_property)


@each_slip
def test_slip_in_a_statement_is_found(slip: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A condition that is dropped from the SQL breaks one of the conformance suite's rules."""
    in_sqlite(monkeypatch, SQLITE[slip])
    assert by_conformance(in_memory)


@pytest.mark.soak
@each_slip
def test_slip_in_a_statement_is_found_by_two_instruments(
    slip: str, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    """The conformance suite, the explorer and the machine on SQLite itself: two of them do."""
    in_sqlite(monkeypatch, SQLITE[slip])
    instruments = {
        "conformance": partial(by_conformance, in_memory),
        "explorer": partial(by_explorer, in_memory),
        "machine": partial(by_machine, in_memory),
    }
    tell(f"SQLite: {slip}", instruments, record_property)


@pytest.mark.soak
@pytest.mark.parametrize("plant", PLANTS)
def test_bug_that_a_power_cut_shows_is_found_by_two_instruments(
    plant: Callable[[pytest.MonkeyPatch], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    """Cuts of the power, a look at what was synced by each answer, and the conformance suite on files."""
    plant(monkeypatch)
    instruments = {
        "power cuts": partial(by_power_cuts, tmp_path / "cuts"),
        "syncs": partial(by_syncs, tmp_path / "syncs"),
        "conformance": partial(by_conformance_of_files, in_a_file),
    }
    tell(plant.__name__, instruments, record_property)
