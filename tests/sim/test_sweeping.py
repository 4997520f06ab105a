"""Sweeps: cells, common random numbers, resuming by content, and the same answer wherever they run."""

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from jobsim import policies
from jobsim.core.backoff import NoBackoff
from jobsim.core.errors import ConfigError
from jobsim.core.policy import RetryPolicy
from jobsim.sim import Scenario, Sweep, compare, sweep
from jobsim.sim.replication import Replication, replicate
from jobsim.sim.run_files import RunFiles, run_key, world_key

TEXT = """
name = "small"
description = "A & B."
horizon = "20s"
drain = "5min"
compare = ["none", "full_jitter"]

[workers]
count = 1
slots = 4

[[jobs]]
kind = "charge"
arrivals = { process = "poisson", rate = "1/s" }
service = { dist = "exponential", mean = "100ms" }
failures = [{ model = "outage", start = "5s", duration = "5s" }]

[sweep]
workers.count = [1, 2]
jobs.charge.failures.outage.duration = ["2s", "8s"]
"""
SCENARIO = Scenario.from_text(TEXT)
KEYS = ["workers.count", "jobs.charge.failures.outage.duration"]


@pytest.fixture(scope="module")
def swept() -> Sweep:
    return sweep(SCENARIO, replications=3, progress=False)


@pytest.fixture(autouse=True)
def _figures() -> Iterator[None]:
    yield
    plt.close("all")


def test_sweep_runs_every_cell_as_compare_would(swept: Sweep) -> None:
    """A cell's rows are those of a comparison in its scenario."""
    assert swept.keys == KEYS
    assert len(swept.runs) == 2 * 2 * 2 * 3
    cell = {"workers.count": 2, KEYS[1]: "8s"}
    rows = swept.runs[(swept.runs[KEYS[0]] == 2) & (swept.runs[KEYS[1]] == "8s")]
    found = compare(swept.at(cell), replications=3, progress=False).runs
    pd.testing.assert_frame_equal(rows.drop(columns=KEYS).reset_index(drop=True), found)


def test_sweep_cells_meet_the_same_random_numbers(swept: Sweep) -> None:
    """Replications of one number have one seed, and so the same jobs, in all cells."""
    groups = swept.runs.groupby("replication")
    assert groups["seed"].nunique().tolist() == [1, 1, 1]
    assert groups["jobs"].nunique().tolist() == [1, 1, 1]


def test_sweep_finds_what_the_matrix_is_about(swept: Sweep) -> None:
    """A longer outage loses more jobs of a policy that does not wait."""
    table = swept.summary(measures=["dead_letter_rate"])["dead_letter_rate"]["mean"]
    assert table.index.names == [*KEYS, "policy"]
    assert table[1, "8s", "none"] > table[1, "2s", "none"]


def test_sweep_tells_differences_cell_by_cell(swept: Sweep) -> None:
    """Those of a cell are those of a comparison in its scenario."""
    found = swept.differences("none", measures=["attempts_per_job"])
    assert list(found.columns[:4]) == [*KEYS, "policy", "measure"]
    assert len(found) == 4
    cell = {KEYS[0]: 2, KEYS[1]: "8s"}
    own = found[(found[KEYS[0]] == 2) & (found[KEYS[1]] == "8s")].drop(columns=KEYS).reset_index(drop=True)
    alone = compare(swept.at(cell), replications=3, progress=False)
    pd.testing.assert_frame_equal(own, alone.differences("none", measures=["attempts_per_job"]))


def test_sweep_zips_where_it_is_told() -> None:
    """The first values make one cell, the second another."""
    found = sweep(
        SCENARIO,
        {"combine": "zip", "workers.count": [1, 2], "workers.slots": [4, 2]},
        "none",
        replications=1,
        progress=False,
    )
    assert found.runs[["workers.count", "workers.slots"]].to_numpy().tolist() == [[1, 4], [2, 2]]


def test_sweep_takes_keys_of_policies() -> None:
    """A policy's own numbers are swept as the world's are."""
    found = sweep(SCENARIO, {"policies.none.max_attempts": [1, 4]}, "none", replications=1, progress=False)
    assert found.runs["attempts"].is_monotonic_increasing
    assert found.runs["attempts"].nunique() == 2


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("workers.cont = [1]", r"26: sweep: where workers.cont = 1: workers.cont: unknown key .*'count'"),
        ("workers.count = [2, 0]", "where workers.count = 0: workers.count: must be at least 1"),
        ("workers.count = 3", "workers.count: must be a list of values, not 3"),
        ("workers.count = []", "workers.count has no values"),
        ("workers.count = [1, 1]", "workers.count: 1 is there twice"),
        ("workers.lease = [30]", "workers.lease: 30 has no unit"),
        ("seed = [1, 2]", "seed cannot be swept: it is the same in all cells"),
        ('policies = ["none"]', "policies cannot be swept"),
        ("policies.nonne.max_attempts = [1]", r"no policy is called 'nonne' .*'none'"),
        ('combine = "zap"\nworkers.count = [1]', "sweep.combine: must be 'product' or 'zip'"),
        ('combine = "zip"\nworkers.count = [1]\nworkers.slots = [1, 2]', "count has 1, workers.slots has 2"),
        ("", "sweep: is empty"),
    ],
)
def test_sweep_that_makes_no_sense_is_refused_with_the_file(table: str, said: str) -> None:
    """Every cell is checked when the scenario is read, and the first wrong one is told by its values."""
    before, _, _ = TEXT.partition("workers.count")
    with pytest.raises(ConfigError, match=said):
        Scenario.from_text("\n" * 8 + before + table)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"matrix": {}}, "axes|empty"),
        ({"matrix": 3}, "must map dotted keys to lists"),
        ({"matrix": {"workers.count": 3}}, "must be a list of values"),
        ({"replications": 0}, "replications"),
        ({"n_jobs": 0}, "n_jobs"),
        ({"policies": ["obann"]}, "did you mean 'oban'"),
    ],
)
def test_sweep_refuses_what_makes_no_sense(arguments: dict[str, Any], said: str) -> None:
    """Each wrong argument gets one clear sentence, before anything runs."""
    with pytest.raises(ConfigError, match=said):
        sweep(SCENARIO, **arguments)


def test_sweep_without_a_matrix_says_how_to_give_one() -> None:
    """Neither the call nor the scenario has one."""
    with pytest.raises(ConfigError, match="nothing is to be swept; give for example"):
        sweep(SCENARIO.with_(sweep=None))


def test_sweep_of_a_file_is_written_back() -> None:
    """The table is read as nested or as dotted keys, and survives the round trip."""
    assert Scenario.from_text(SCENARIO.to_toml()) == SCENARIO
    quoted = TEXT.replace("workers.count = [1, 2]", '"workers.count" = [1, 2]')
    assert Scenario.from_text(quoted) == SCENARIO


class Stopped(Exception):
    """Stands for the hand on Ctrl-C."""


def test_sweep_goes_on_where_it_was_stopped(
    swept: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was finished before an interruption is not run again, and the result is the same."""
    calls = []

    def counted(*arguments: Any) -> Replication:
        calls.append(arguments[1:4])
        if len(calls) == 10:
            raise Stopped
        return replicate(*arguments)

    monkeypatch.setattr("jobsim.sim.sweep_task.replicate", counted)
    with pytest.raises(Stopped):
        sweep(SCENARIO, replications=3, directory=tmp_path, progress=False)
    kept = len(list(tmp_path.glob("runs/*.json")))
    assert 0 < kept < 10
    again = sweep(SCENARIO, replications=3, directory=tmp_path, progress=False)
    assert len(calls) == 10 + 24 - kept
    pd.testing.assert_frame_equal(again.runs, swept.runs)
    sweep(SCENARIO, replications=3, directory=tmp_path, progress=False)
    assert len(calls) == 10 + 24 - kept
    assert list(tmp_path.glob("runs/.*")) == []


def test_sweep_runs_again_what_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """New cells, replications, policies and another world are run; names and expectations change nothing."""
    ran: list[str] = []

    def noted(*arguments: Any) -> Replication:
        ran.append(arguments[1])
        return replicate(*arguments)

    monkeypatch.setattr("jobsim.sim.sweep_task.replicate", noted)

    def count(scenario: Scenario, matrix: dict[str, Any], *labels: str, replications: int = 1) -> int:
        ran.clear()
        sweep(scenario, matrix, labels, replications, directory=tmp_path, progress=False)
        return len(ran)

    assert count(SCENARIO, {"workers.count": [1, 2]}, "none") == 2
    assert count(SCENARIO, {"workers.count": [1, 2, 3]}, "none") == 1
    assert count(SCENARIO, {"workers.count": [1, 2]}, "none", "oban") == 2
    assert count(SCENARIO, {"workers.count": [1, 2]}, "none", replications=2) == 2
    renamed = SCENARIO.with_(name="other", description="", expect={"jobs": {"above": 1}})
    assert count(renamed, {"workers.count": [1, 2]}, "none") == 0
    assert count(SCENARIO.with_(horizon="21s"), {"workers.count": [1, 2]}, "none") == 2
    monkeypatch.setattr("jobsim.sim.run_files.engine_fingerprint", lambda: "another engine")
    assert count(SCENARIO, {"workers.count": [1, 2]}, "none") == 2


def test_run_file_that_is_damaged_is_run_again(tmp_path: Path) -> None:
    """A torn, foreign or newer file is as good as none."""
    first = sweep(SCENARIO, {"workers.count": [1]}, "none", 1, directory=tmp_path, progress=False)
    [path] = tmp_path.glob("runs/*.json")
    text = path.read_text(encoding="utf-8")
    record = json.loads(text)
    for broken in (text[:30], "[]", json.dumps(record | {"format": 2}), json.dumps(record | {"key": "x"})):
        path.write_text(broken, encoding="utf-8")
        again = sweep(SCENARIO, {"workers.count": [1]}, "none", 1, directory=tmp_path, progress=False)
        pd.testing.assert_frame_equal(again.runs, first.runs)
        assert json.loads(path.read_text(encoding="utf-8")) == record


def test_run_key_tells_worlds_policies_seeds_and_stores_apart() -> None:
    """All that a run's numbers depend on is in its file's name; a policy's label is not."""
    world, other = world_key(SCENARIO), world_key(SCENARIO.with_(horizon="21s"))
    none = policies.none
    keys = [
        run_key(world, none, 1, "memory"),
        run_key(other, none, 1, "memory"),
        run_key(world, policies.oban, 1, "memory"),
        run_key(world, none, 2, "memory"),
        run_key(world, none, 1, "sqlite"),
    ]
    assert len(set(keys)) == len(keys)
    assert run_key(world, RetryPolicy(NoBackoff(), max_attempts=8, name="mine"), 1, "memory") == keys[0]


def test_world_key_knows_what_is_in_the_files_of_a_world(tmp_path: Path) -> None:
    """A recorded trace is part of the world: another content under the same name is another world."""
    path = tmp_path / "arrivals.csv"
    path.write_text("1\n2\n", encoding="utf-8")
    scenario = SCENARIO.with_(**{"jobs.0.arrivals": {"process": "trace", "file": str(path)}})
    assert list(scenario.files()) == [str(path)]
    before = world_key(scenario)
    assert world_key(scenario.with_()) == before
    path.write_text("1\n2\n3\n", encoding="utf-8")
    assert world_key(scenario.with_()) != before
    path.unlink()
    with pytest.raises(ConfigError, match=r"arrivals\.csv: cannot be read: No such file"):
        world_key(scenario)


def test_run_key_refuses_a_policy_that_does_not_say_what_it_is() -> None:
    """A backoff with Python's own repr would be another one in the next process."""

    class Mine(NoBackoff):
        __repr__ = object.__repr__

    with pytest.raises(ConfigError, match="give its class a __repr__"):
        run_key("", RetryPolicy(Mine()), 1, "memory")


def test_run_files_say_where_they_cannot_be_kept(tmp_path: Path) -> None:
    """A directory that cannot be made is refused before anything runs."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ConfigError, match="finished runs cannot be kept in"):
        RunFiles(tmp_path / "file" / "runs").prepare()


def test_sweep_does_not_depend_on_the_processes(swept: Sweep) -> None:
    """Two processes find what one does."""
    two = sweep(SCENARIO, replications=3, n_jobs=2, progress=False)
    pd.testing.assert_frame_equal(two.runs, swept.runs)


@pytest.mark.live
def test_sweep_runs_on_a_cluster(swept: Sweep, tmp_path: Path) -> None:
    """Under joblib's dask backend a cluster's workers find what one process does, and runs are kept."""
    distributed = pytest.importorskip("distributed", reason="dask is an extra")
    with warnings.catch_warnings():
        # Dask and tornado close sockets and loops late on the way out: not this package's.
        warnings.simplefilter("ignore", ResourceWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        with (
            distributed.LocalCluster(
                n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
            ) as cluster,
            distributed.Client(cluster),
            joblib.parallel_config("dask"),
        ):
            found = sweep(SCENARIO, replications=3, directory=tmp_path, progress=False)
    pd.testing.assert_frame_equal(found.runs, swept.runs)
    assert len(list(tmp_path.glob("runs/*.json"))) == 24


def legend(ax: Axes) -> list[str]:
    found = ax.get_legend()
    return [] if found is None else [text.get_text() for text in found.get_texts()]


def test_sweep_pictures_return_their_axes(swept: Sweep) -> None:
    """Lines are policies and the values of the other keys; `where` leaves fewer."""
    ax = swept.plot.measure("dead_letter_rate", over="workers.count")
    assert len(ax.lines) >= 4
    assert legend(ax)[:2] == ["none (duration 2s)", "full_jitter (duration 2s)"]
    fixed = swept.plot.measure("latency_p95_s", where={KEYS[1]: "8s"})
    assert legend(fixed) == ["none", "full_jitter"]
    over = swept.plot.measure("attempts_per_job", over=KEYS[1], where={"workers.count": 1, "policy": "none"})
    assert over.get_xticks().tolist() == [2.0, 8.0]
    assert legend(over) == []


@pytest.mark.parametrize(("lengths", "scale"), [(["1s", "10s"], "linear"), (["100ms", "10s"], "log")])
def test_sweep_pictures_spread_values_that_are_far_apart(lengths: list[str], scale: str) -> None:
    """From a factor of 20 on the axis is logarithmic; ticks stand where the values are, and nowhere else."""
    found = sweep(SCENARIO, {"workers.lease": lengths}, replications=2, progress=False)
    ax = found.plot.measure("attempts_per_job")
    assert ax.get_xscale() == scale
    assert [tick.get_text() for tick in ax.get_xticklabels()] == lengths
    assert len(ax.xaxis.get_minorticklocs()) == 0
    begins = {float(np.asarray(line.get_xdata())[0]) for line in ax.lines if line.get_linestyle() != "None"}
    assert len(begins) == 2, "bars of two policies stand beside each other"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"name": "jbs"}, "did you mean 'jobs'"),
        ({"name": "jobs", "over": "workers.cont"}, "did you mean 'workers.count'"),
        ({"name": "jobs", "where": {"workers.count": 3}}, "workers.count is never 3; its values are: 1, 2"),
    ],
)
def test_sweep_picture_of_what_is_not_there_is_refused(
    swept: Sweep, arguments: dict[str, Any], said: str
) -> None:
    """Unknown measures, keys and values are named."""
    with pytest.raises(ConfigError, match=said):
        swept.plot.measure(**arguments)


def test_sweep_card_and_report_tell_it_all(swept: Sweep, tmp_path: Path) -> None:
    """Facts, the table with intervals, the picture, and the scenario to repeat it with, escaped."""
    assert repr(swept).startswith("Sweep('small', keys=['workers.count'")
    card = swept._repr_html_()
    assert "<b>cells</b> 4" in card
    assert str(swept.table().iloc[0]["dead letters, %"]) in card
    page = swept.report(tmp_path).read_text(encoding="utf-8")
    assert "A &amp; B." in page
    assert "[sweep]" in page
    assert (tmp_path / "overview.png").read_bytes().startswith(b"\x89PNG")


def test_sweep_knows_its_cells(swept: Sweep) -> None:
    """A cell is found by all its values, and by nothing less."""
    assert swept.at({"workers.count": 2, KEYS[1]: "2s"}).workers.count == 2
    with pytest.raises(ConfigError, match="give a value for each of"):
        swept.at({"workers.count": 2})
