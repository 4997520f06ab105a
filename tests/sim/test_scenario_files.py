"""The scenarios that come with jobsim: each can be run as it is, and is what it says."""

from pathlib import Path

import pytest

from jobsim import Scenario, compare
from jobsim.sim.expectations import Finding

DIRECTORY = Path(__file__).parents[2] / "scenarios"
FILES = sorted(DIRECTORY.glob("*.toml"))
SLOW = {"payment-api-outage.toml"}
"""Run by the demonstration, and by the tests of the README."""


def test_there_are_scenarios_for_most_of_what_befalls_a_queue() -> None:
    """A reader finds one near to what he has."""
    assert len(FILES) >= 10


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.name not in SLOW], ids=lambda path: path.stem
)
def test_scenario_keeps_what_it_expects(path: Path) -> None:
    """A few runs under each policy do not speak against what the file expects of them."""
    scenario = Scenario.from_toml(path)
    assert scenario.expect, "a scenario says what is to be seen in it"
    judged = compare(scenario, replications=3, n_jobs=1, progress=False).expectations()
    broken = [str(one) for one in judged if one.finding is Finding.BROKEN]
    assert not broken


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_scenario_says_how_to_run_it(path: Path) -> None:
    """Its first lines name the schema for editors, its question, and the command."""
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "#:schema ../jobsim/sim/scenario.schema.json"
    assert lines[1].endswith("?")
    assert any(f"scenarios/{path.name}" in line for line in lines[:6])
