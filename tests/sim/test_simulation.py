"""One run: reproducible, told in tables that agree with each other, and clear about bad input."""

import math
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

from jobsim import policies
from jobsim.analysis.measures import MEASURES
from jobsim.core.errors import ConfigError
from jobsim.sim import Scenario, SimResult, simulate

SCENARIO = Scenario.from_text(
    """
    name = "small"
    horizon = "60s"
    drain = "10min"
    seed = 11
    compare = ["none", "ours"]

    [workers]
    count = 2
    slots = 2

    [[jobs]]
    kind = "charge"
    arrivals = { process = "poisson", rate = "2/s" }
    service = { dist = "exponential", mean = "300ms" }
    failures = [{ model = "outage", start = "20s", duration = "10s", recovery = "5s" }]

    [policies.ours]
    backoff = { kind = "fixed", base = "2s" }
    max_attempts = 3
    """
)


@pytest.fixture(scope="module")
def result() -> SimResult:
    return simulate(SCENARIO)


def test_simulate_repeats_itself(result: SimResult) -> None:
    """Equal scenario, policy and seed give equal events; another seed gives others."""
    assert simulate(SCENARIO, "full_jitter", seed=11).log.digest() == result.log.digest()
    assert simulate(SCENARIO, seed=12).log.digest() != result.log.digest()


def test_simulate_knows_the_scenarios_own_policies() -> None:
    """A name is that of a policy of the scenario before it is that of a preset."""
    run = simulate(SCENARIO, "ours")
    assert run.runs["policy"].tolist() == ["ours"]
    assert run.attempts["attempt"].max() == 3
    assert set(run.attempts["retry_delay_s"].dropna()) == {2.0}


def test_simulate_takes_a_policy_itself(result: SimResult) -> None:
    """A policy object is used as it is."""
    assert simulate(SCENARIO, policies.full_jitter).log.digest() == result.log.digest()


def test_results_tables_agree(result: SimResult) -> None:
    """Jobs, attempts, events and measures are views of one log."""
    jobs, attempts, events, runs = result.jobs, result.attempts, result.events, result.runs.iloc[0]
    assert len(jobs) == runs["jobs"] == (events["event"] == "enqueue").sum() > 60
    assert len(attempts) == runs["attempts"] == (events["event"] == "claim").sum() == jobs["attempts"].sum()
    assert (jobs["state"] == "succeeded").sum() == runs["succeeded"]
    p95 = np.quantile(jobs["latency_s"].fillna(math.inf), 0.95, method="inverted_cdf")
    assert p95 == pytest.approx(runs["latency_p95_s"])
    assert jobs["latency_s"].mean() == pytest.approx(runs["latency_mean_s"])


def test_results_times_count_from_the_beginning(result: SimResult) -> None:
    """Jobs arrive within the horizon, counted from the start of the run."""
    assert 0 <= result.jobs["created_s"].min() < 5
    assert result.jobs["created_s"].max() <= 60
    failed = result.attempts[result.attempts["outcome"] == "failed"]
    assert len(failed) > 0
    assert failed["started_s"].between(20, 35).all()


def test_summary_explains_every_measure(result: SimResult) -> None:
    """Each measure has its value, its unit and its meaning."""
    found: Any = result.summary()
    assert list(found.index) == list(MEASURES)
    assert list(found.columns) == ["value", "unit", "meaning"]
    assert found.loc["jobs", "value"] == len(result.jobs)
    assert 0 < found.loc["utilisation", "value"] < 1
    assert not math.isnan(float(found.loc["recovery_s", "value"]))


@pytest.mark.parametrize("name", ["load", "backlog", "latency"])
def test_pictures_of_a_run_return_their_axes(result: SimResult, name: str) -> None:
    """On axes that are given nothing is registered; without, a new figure of pyplot is used."""
    ax = Figure().subplots()
    draw = getattr(result.plot, name)
    assert draw(ax) is ax
    assert plt.get_fignums() == []
    plt.close(draw().figure)


def test_card_says_that_one_run_proves_nothing(result: SimResult) -> None:
    """The notebook card names scenario, policy and seed, and warns."""
    assert repr(result) == "SimResult('small', policy='full_jitter', seed=11)"
    text = result._repr_html_()
    for word in ("small", "full_jitter", "11", "may be chance"):
        assert word in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"policy": "full_jiter"}, r"no policy is called 'full_jiter' \(did you mean 'full_jitter'\?\)"),
        ({"policy": "our"}, r"did you mean 'ours'"),
        ({"policy": 3}, "no policy is called 3"),
        ({"seed": 1.5}, "seed: must be a whole number"),
        ({"storage": "postgress"}, "postgress"),
        ({"scenario": "scenarios/x.toml"}, "Scenario.from_toml"),
    ],
)
def test_simulate_refuses_what_it_does_not_know(arguments: dict[str, Any], message: str) -> None:
    """Each wrong argument gets one clear sentence."""
    with pytest.raises(ConfigError, match=message):
        simulate(**{"scenario": SCENARIO} | arguments)


def test_quantiles_of_a_run_have_bounds(result: SimResult) -> None:
    """They are the measures of the run, between ordered latencies, and infinite where too few succeed."""
    found = result.quantiles([50, 95])
    row = result.runs.iloc[0]
    assert found["latency_s"].tolist() == [row["latency_p50_s"], row["latency_p95_s"]]
    assert (found["low"] < found["latency_s"]).all()
    assert (found["latency_s"] < found["high"]).all()
    assert simulate(SCENARIO, "none").quantiles([99.9])["high"].tolist() == [math.inf]
    assert result.quantiles(iter([50, 95])).equals(found)
    with pytest.raises(ConfigError, match="between 0 and 100"):
        result.quantiles([950])
