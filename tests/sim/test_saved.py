"""Results on disk: the same in another process, whole or refused."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from jobsim.core.backoff import NoBackoff
from jobsim.core.errors import ConfigError
from jobsim.core.policy import RetryPolicy
from jobsim.sim import Comparison, Scenario, Sweep, compare, sweep
from jobsim.sim.expectations import Expectation

pytest.importorskip("pyarrow", reason="pyarrow is an extra")

SCENARIO = Scenario.from_text(
    """
    name = "small"
    horizon = "20s"
    drain = "5min"
    seed = 4
    compare = ["none", "mine"]

    [workers]
    count = 1
    slots = 4

    [[jobs]]
    kind = "charge"
    arrivals = { process = "poisson", rate = "1/s" }
    service = { dist = "exponential", mean = "100ms" }
    failures = [{ model = "outage", start = "5s", duration = "5s" }]

    [policies.mine]
    max_attempts = 7
    backoff = { kind = "fixed", base = "2s" }
    """
)
MATRIX: dict[str, Any] = {
    "workers.count": [1, 2],
    "jobs.charge.service": [{"dist": "constant", "value": "1s"}, {"dist": "exponential", "mean": "1s"}],
}


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return compare(SCENARIO, replications=3, progress=False)


def test_comparison_is_loaded_as_it_was_saved(comparison: Comparison, tmp_path: Path) -> None:
    """Tables, curves, scenario, seed and storage come back, and with them verdict and single runs."""
    assert comparison.save(tmp_path / "new") == tmp_path / "new"
    found = Comparison.load(tmp_path / "new")
    pd.testing.assert_frame_equal(found.runs, comparison.runs)
    assert found.scenario == comparison.scenario
    assert found.facts == comparison.facts
    assert found.verdict() == comparison.verdict()
    for name in ("load", "backlog", "waiting"):
        curves, saved = getattr(comparison.profiles, name), getattr(found.profiles, name)
        assert list(saved) == list(curves)
        assert all((saved[label] == curves[label]).all() for label in curves)
    assert found.result("mine", 2).runs.equals(comparison.result("mine", 2).runs)


def test_comparison_is_loaded_in_another_process(comparison: Comparison, tmp_path: Path) -> None:
    """Nothing but the files is needed."""
    comparison.save(tmp_path)
    code = f"from jobsim import Comparison; print(Comparison.load({str(tmp_path)!r}).verdict())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == comparison.verdict()


def test_saved_result_carries_what_its_numbers_rest_on(comparison: Comparison, tmp_path: Path) -> None:
    """Version, engine, seed, storage, replications, warm-up, and the scenario with its hash."""
    comparison.save(tmp_path)
    about = json.loads((tmp_path / "about.json").read_text(encoding="utf-8"))
    assert about["format"] == 1
    assert (about["kind"], about["seed"], about["storage"]) == ("Comparison", 4, "memory")
    assert (about["replications"], about["warm_up_s"]) == (3, 0.0)
    assert about["jobsim"]
    assert len(about["engine"]) == 32
    assert len(about["scenario_sha256"]) == 64
    assert Scenario.from_text(about["scenario_toml"]) == SCENARIO


def test_sweep_is_loaded_as_it_was_saved(tmp_path: Path) -> None:
    """Keys of any type come back with their matrix."""
    swept = sweep(SCENARIO, MATRIX, replications=2, progress=False)
    swept.save(tmp_path)
    found = Sweep.load(tmp_path)
    pd.testing.assert_frame_equal(found.runs, swept.runs)
    assert found.matrix == swept.matrix
    assert found.facts == swept.facts
    assert found.at(swept.matrix.cells(swept.scenario)[3].values).workers.count == 2


def rewritten(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda home: rewritten(home / "about.json", format=2), "in format 2; this version reads 1 at most"),
        (lambda home: rewritten(home / "about.json", format="x"), "it names no format"),
        (lambda home: rewritten(home / "about.json", kind="Sweep"), "is a Sweep, no Comparison"),
        (
            lambda home: rewritten(home / "about.json", scenario_toml="name = 1"),
            "not the one that was run",
        ),
        (lambda home: (home / "about.json").write_text("{", encoding="utf-8"), "cannot be read as a result"),
        (
            lambda home: (home / "about.json").unlink(),
            r"there is no such file; .*save\(directory",
        ),
        (lambda home: (home / "runs.parquet").unlink(), "runs.parquet: cannot be read as a result: No such"),
        (lambda home: (home / "curves.parquet").write_bytes(b"PAR1"), "curves.parquet: .* is not the file"),
    ],
)
def test_saved_result_that_is_not_whole_is_refused(
    comparison: Comparison, tmp_path: Path, harm: Callable[[Path], object], said: str
) -> None:
    """A newer, foreign, changed or torn result is one sentence, which names the file."""
    comparison.save(tmp_path)
    harm(tmp_path)
    with pytest.raises(ConfigError, match=said):
        Comparison.load(tmp_path)


def test_saved_result_of_fewer_measures_is_read(comparison: Comparison, tmp_path: Path) -> None:
    """A measure that the version which saved it did not have is unknown."""
    older = Comparison(comparison.scenario, 4, "memory", [], comparison.profiles)
    older.runs = comparison.runs.drop(columns=["utilisation", "attempts"])
    older.save(tmp_path)
    found = Comparison.load(tmp_path)
    assert found.runs["utilisation"].isna().all()
    assert found.runs["attempts"].isna().all()
    assert found.summary().shape[0] == 2


def test_result_of_some_policies_is_loaded_though_others_are_expected_of(tmp_path: Path) -> None:
    """What a scenario expects of a policy that was not compared does not keep its result from being read."""
    expected = [Expectation(measure="dead_letter_rate", policy=name, below=0.5) for name in ("none", "oban")]
    world = SCENARIO.with_(policies=["none", "oban"], expect=expected)
    saved = compare(world, ["none"], 2, n_jobs=1, progress=False)
    loaded = Comparison.load(saved.save(tmp_path))
    assert loaded.scenario == saved.scenario
    assert [one.policy for one in loaded.scenario.expect] == ["none"]


def test_saving_a_policy_of_ones_own_is_refused(tmp_path: Path) -> None:
    """No code is ever saved; the policy is named."""

    class Mine(NoBackoff):
        pass

    found = compare(SCENARIO, {"odd": RetryPolicy(Mine())}, replications=1, progress=False)
    with pytest.raises(ConfigError, match=r"the result cannot be saved, for its scenario cannot: .*Mine"):
        found.save(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_saving_without_pyarrow_says_what_to_install(
    comparison: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The extra is named."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"needs pyarrow .*run: pip install pyarrow"):
        comparison.save(tmp_path)


def test_saving_where_nothing_can_be_written_is_refused(comparison: Comparison, tmp_path: Path) -> None:
    """The directory is named."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ConfigError, match="the result cannot be written to"):
        comparison.save(tmp_path / "file" / "below")
