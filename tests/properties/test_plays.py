"""Whatever befalls a whole deployment, every job ends as it should: by seeds, and by Hypothesis."""

import itertools
from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import given, settings

from jobsim.storage.base import Storage
from jobsim.storage.memory import MemoryStorage
from jobsim.storage.postgres import PostgresStorage
from jobsim.storage.sqlite import SqliteStorage
from jobsim.testing.faults import plots
from jobsim.testing.plays import Play
from jobsim.testing.plots import Plot, plot_of
from tests.campaigns import record
from tests.planted.instruments import CRASHES, crashes
from tests.properties.situations import SITUATIONS, situations

SHARE = range(300)
SHARDS = 100
PLAYS = 2_000


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Let workers not tell of all that befalls them."""
    caplog.set_level("CRITICAL", logger="jobsim")


def held(plot: Plot, storage: Storage) -> Play:
    """Play a plot, and refuse what is wrong with it."""
    play = Play(plot, storage)
    found = play.found()
    assert not found, f"{plot}\n{found[0]}"
    return play


def test_every_job_ends_in_plots_that_meet_every_situation() -> None:
    """Among those of a few hundred seeds all named situations come about, and no rule is broken in any."""
    reached = Counter(what for seed in SHARE for what in situations(held(plot_of(seed), MemoryStorage())))
    assert SITUATIONS - reached.keys() == set()


def test_process_that_dies_at_any_await_or_call_loses_nothing() -> None:
    """Nor does one that hears no reply to a call; client and worker in turn, in every kind of call."""
    reached = {what for plot in crashes() for what in situations(held(plot, MemoryStorage()))}
    places = ("sleep", "slept", "wait", "rung", "call", "returned")
    calls = itertools.product(CRASHES, ("enqueue", "exchange", "expired", "extend", "settle"))
    assert {f"dies: {place}" for place in places} | {f"{how}: {call}" for how, call in calls} <= reached


@given(plot=plots())
@settings(max_examples=40)
def test_every_job_ends_whatever_hypothesis_thinks_of(plot: Plot) -> None:
    """What it finds shrinks to the jobs and the mishaps that matter."""
    held(plot, MemoryStorage())


@given(plot=plots())
@settings(max_examples=25)
def test_every_job_ends_on_sqlite(plot: Plot) -> None:
    """The same on the SQL of SQLite."""
    storage = SqliteStorage(":memory:")
    try:
        held(plot, storage)
    finally:
        storage.close()


@pytest.mark.live
@pytest.mark.xdist_group("postgres")
def test_every_job_ends_on_postgres(postgres: str, schema: str) -> None:
    """The same on that of PostgreSQL, a plot after the other in one database."""
    for seed in range(4):
        storage = PostgresStorage(postgres, schema=f"{schema}_{seed}")
        try:
            held(plot_of(seed), storage)
        finally:
            storage.close()


def test_plot_comes_out_the_same_each_time() -> None:
    """The same seed gives the same log, on memory and on SQLite."""
    sqlite = SqliteStorage(":memory:")
    logs = [
        list(held(plot_of(3), storage).storage.events())
        for storage in (MemoryStorage(), MemoryStorage(), sqlite)
    ]
    assert logs[0] == logs[1] == logs[2]
    sqlite.close()


@pytest.mark.soak
@pytest.mark.parametrize("shard", range(SHARDS))
def test_every_job_ends_in_very_many_plots(shard: int) -> None:
    """A campaign of seeds, a share at a time."""
    seeds = range(shard * PLAYS, (shard + 1) * PLAYS)
    record("fault runs", **campaign(seeds))


def campaign(seeds: Iterable[int]) -> dict[str, int]:
    """Play the plots of `seeds`, and return what there was in them."""
    figures = Counter[str]()
    for seed in seeds:
        play = held(plot_of(seed), MemoryStorage())
        figures.update(
            runs=1,
            jobs=len(play.plot.jobs),
            mishaps=play.plot.mishaps,
            events=sum(1 for _ in play.storage.events()),
            violations=0,
        )
    return dict(figures)
