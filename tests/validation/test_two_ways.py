"""A service near its threshold, simulated by the engine as shipped, ends in one of two ways; that is said."""

from pathlib import Path

import pytest

from jobsim.sim import Scenario, compare

SCENARIOS = Path(__file__).parents[2] / "scenarios"


@pytest.mark.soak
def test_collapse_in_some_runs_is_told_and_not_averaged() -> None:
    """Brooker's spike: without backoff most runs never recover, some do; with it all do."""
    scenario = Scenario.from_toml(SCENARIOS / "metastable-spike.toml")
    found = compare(scenario, replications=16, n_jobs=1, progress=False)
    assert "Under at_once a run ends in one of two ways" in found.verdict()
    assert "Under patient" not in found.verdict()
    cell = str(found.table().loc["at_once", "succeeded, %"])
    assert "(14 runs) or " in cell
    assert cell.endswith("(2 runs)")
