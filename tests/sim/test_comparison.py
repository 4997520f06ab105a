"""What a comparison offers: tables, a verdict, pictures, a card and a report."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.figure import Figure

from jobsim.core.errors import ConfigError
from jobsim.sim import Comparison, Scenario, compare

SCENARIO = Scenario.from_text(
    """
    name = "A & B"
    description = "A short outage."
    horizon = "60s"
    drain = "10min"
    compare = ["none", "full_jitter"]

    [workers]
    count = 1
    slots = 4

    [[jobs]]
    kind = "charge"
    arrivals = { process = "poisson", rate = "1/s" }
    service = { dist = "constant", value = "100ms" }
    failures = [{ model = "outage", start = "20s", duration = "10s" }]
    """
)


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return compare(SCENARIO, replications=5, progress=False)


def test_comparison_finds_that_no_backoff_loses_jobs(comparison: Comparison) -> None:
    """In an outage longer than eight immediate attempts, backing off lets significantly more succeed."""
    assert comparison.verdict().startswith("Most jobs succeed with full_jitter")
    assert comparison.winner() is comparison.policies["full_jitter"]
    [row] = comparison.differences("none", measures=["success_rate"]).to_dict("records")
    assert row["policy"] == "full_jitter"
    assert row["significant"]
    assert 0 < row["low"] < row["difference"] < row["high"]


def test_comparison_takes_a_policy_as_baseline(comparison: Comparison) -> None:
    """A policy stands for its label."""
    by_label = comparison.differences("none")
    by_policy = comparison.differences(comparison.policies["none"])
    pd.testing.assert_frame_equal(by_policy, by_label)


def test_comparison_tables_are_those_of_replication_zero(comparison: Comparison) -> None:
    """Jobs, attempts and events are told by policy, and agree with the first rows of `runs`."""
    first = comparison.runs[comparison.runs["replication"] == 0].set_index("policy")
    for table in (comparison.jobs, comparison.attempts, comparison.events):
        assert table.columns[0] == "policy"
        assert list(table["policy"].unique()) == ["none", "full_jitter"]
    assert comparison.jobs.groupby("policy").size().to_dict() == first["jobs"].to_dict()
    assert comparison.attempts.groupby("policy").size().to_dict() == first["attempts"].to_dict()


def test_comparison_gives_any_run_in_full(comparison: Comparison) -> None:
    """A run is simulated again and has the measures of its row."""
    row: Any = comparison.runs.set_index(["policy", "replication"]).loc[("none", 3)]
    found = comparison.result("none", 3).runs.iloc[0]
    assert found["attempts"] == row["attempts"]
    assert found["seed"] == row["seed"]


@pytest.mark.parametrize(("policy", "replication"), [("nonne", 0), ("none", 5), ("none", -1)])
def test_comparison_refuses_a_run_that_was_not(comparison: Comparison, policy: str, replication: int) -> None:
    """Unknown policies and replications are named."""
    with pytest.raises(ConfigError, match=r"did you mean 'none'|there are 5, from 0"):
        comparison.result(policy, replication)


@pytest.mark.parametrize("name", ["load", "goodput", "backlog", "latency", "herd", "dead_letters"])
def test_comparison_pictures_return_their_axes(comparison: Comparison, name: str) -> None:
    """On axes that are given nothing is registered; without, a new figure of pyplot is used."""
    ax = Figure().subplots()
    draw = getattr(comparison.plot, name)
    assert draw(ax) is ax
    assert plt.get_fignums() == []
    own = draw()
    assert plt.get_fignums() == [own.figure.number]
    plt.close(own.figure)


def test_comparison_draws_any_measure(comparison: Comparison) -> None:
    """By its name; the error names the measure that was meant."""
    ax = Figure().subplots()
    assert comparison.plot.measure("oldest_job_s", ax) is ax
    with pytest.raises(ConfigError, match="did you mean 'oldest_job_s'"):
        comparison.plot.measure("oldest_job", ax)
    assert plt.get_fignums() == []


def test_comparison_overview_is_not_left_with_pyplot(comparison: Comparison) -> None:
    """The figure belongs to the caller, so that a notebook shows it once."""
    figure = comparison.plot.overview()
    assert plt.get_fignums() == []
    assert len(figure.axes) == 4


def test_comparison_card_is_short_and_complete(comparison: Comparison) -> None:
    """Scenario, seed, replications, storage, verdict and the table with intervals, escaped."""
    assert repr(comparison).startswith("Comparison('A & B', policies=[")
    text = comparison._repr_html_()
    for word in (
        "A &amp; B",
        "<b>seed</b> 1",
        "<b>replications</b> 5",
        "<b>storage</b> memory",
        "full_jitter",
    ):
        assert word in text
    assert str(comparison.table().loc["none", "dead letters, %"]) in text
    assert "Most jobs succeed with" in text


def test_comparison_report_lets_it_be_repeated(comparison: Comparison, tmp_path: Path) -> None:
    """The report holds the scenario as a file would have it."""
    path = comparison.report(tmp_path)
    assert path == tmp_path / "report.html"
    assert "rate = &#34;1/s&#34;" in path.read_text(encoding="utf-8")
    assert Scenario.from_text(comparison.source) == comparison.scenario


def test_replications_import_nothing_heavy() -> None:
    """A process that only runs replications imports neither pandas nor matplotlib nor scipy."""
    code = (
        "import sys, jobsim.sim.replication; "
        "print([m for m in ('pandas', 'matplotlib', 'scipy', 'jinja2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_functions_are_not_hidden_by_modules() -> None:
    """`compare` and `simulate` stay functions, whatever modules were imported before."""
    code = (
        "import jobsim.sim.experiment, jobsim.sim.simulation; from jobsim.sim import compare, simulate; "
        "print(callable(compare), callable(simulate))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True True"
