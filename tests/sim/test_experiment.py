"""Comparing: common random numbers, the same answer on any number of processes, clear refusals."""

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from jobsim import policies
from jobsim.core.errors import ConfigError
from jobsim.sim import Comparison, Scenario, compare, simulate

SCENARIO = Scenario.from_text(
    """
    name = "small"
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
    service = { dist = "exponential", mean = "200ms" }
    failures = [
        { model = "independent", probability = 0.1 },
        { model = "outage", start = "20s", duration = "10s" },
    ]
    """
)


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return compare(SCENARIO, replications=4, seed=7, progress=False)


def test_compare_runs_every_policy_as_often(comparison: Comparison) -> None:
    """There is one row for each policy and replication, in order."""
    runs = comparison.runs
    assert runs["policy"].tolist() == ["none"] * 4 + ["full_jitter"] * 4
    assert runs["replication"].tolist() == [0, 1, 2, 3] * 2


def test_compare_uses_common_random_numbers(comparison: Comparison) -> None:
    """A replication has the same seed, and so the same arrivals, under every policy."""
    runs = comparison.runs
    assert runs.groupby("replication")["seed"].nunique().tolist() == [1] * 4
    assert runs["seed"].nunique() == 4
    assert runs.groupby("replication")["jobs"].nunique().tolist() == [1] * 4
    created = comparison.jobs.groupby("policy")["created_s"].apply(list)
    assert created["none"] == created["full_jitter"]


def test_compare_row_can_be_simulated_again(comparison: Comparison) -> None:
    """The seed of a row is that of the run, however it is read from the table."""
    row = comparison.runs.iloc[5]
    again = simulate(SCENARIO, "full_jitter", seed=int(row["seed"])).runs.iloc[0]
    for name in ("jobs", "attempts", "latency_p95_s", "dead_letters"):
        assert again[name] == row[name]


def test_compare_does_not_depend_on_the_processes(comparison: Comparison) -> None:
    """One process and two give the same tables and curves."""
    parallel = compare(SCENARIO, replications=4, seed=7, n_jobs=2, progress=False)
    pd.testing.assert_frame_equal(parallel.runs, comparison.runs)
    for label in comparison.policies:
        assert (parallel.profiles.load[label] == comparison.profiles.load[label]).all()
        assert (parallel.profiles.waiting[label] == comparison.profiles.waiting[label]).all()


def test_compare_adds_replications_without_changing_the_others(comparison: Comparison) -> None:
    """The first replications of a longer comparison are those of the shorter one."""
    few = compare(SCENARIO, replications=2, seed=7, progress=False)
    kept = comparison.runs[comparison.runs["replication"] < 2].reset_index(drop=True)
    pd.testing.assert_frame_equal(few.runs, kept)


def test_compare_adds_policies_without_changing_the_others(comparison: Comparison) -> None:
    """A policy's runs do not depend on which others are compared."""
    both = compare(SCENARIO, ["aws_sdk", policies.none], replications=4, seed=7, progress=False)
    kept = comparison.runs[comparison.runs["policy"] == "none"].reset_index(drop=True)
    pd.testing.assert_frame_equal(both.runs[both.runs["policy"] == "none"].reset_index(drop=True), kept)


def test_compare_takes_labels_of_ones_own() -> None:
    """A mapping names its policies, presets by name among them."""
    given = {"three": replace(policies.none, max_attempts=3), "eight": "none"}
    found = compare(SCENARIO, given, replications=2, progress=False)
    assert list(found.policies) == ["three", "eight"]
    assert found.attempts.groupby("policy")["attempt"].max().to_dict() == {"three": 3, "eight": 8}


@pytest.mark.parametrize("one", ["none", policies.none])
def test_compare_takes_a_single_policy(one: Any) -> None:
    """One policy, or one name, is a comparison of one."""
    assert list(compare(SCENARIO, one, replications=1, progress=False).policies) == ["none"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"policies": ["obann"]}, r"no policy is called 'obann' \(did you mean 'oban'\?\)"),
        ({"policies": ["oban", "oban"]}, "two policies are called 'oban'"),
        ({"policies": [policies.oban, replace(policies.oban, max_attempts=3)]}, "two policies are called"),
        ({"policies": []}, "policies: none is given"),
        ({"policies": 3}, "policies: must be policies or their names"),
        ({"replications": 0}, "replications: must be a whole number, at least 1; not 0"),
        ({"replications": -2}, "replications"),
        ({"replications": 2.0}, "replications"),
        ({"replications": True}, "replications"),
        ({"n_jobs": 0}, "n_jobs: must be a whole number of processes"),
        ({"n_jobs": "all"}, "n_jobs"),
        ({"seed": "seven"}, "seed: must be a whole number"),
        ({"storage": "memori"}, "memori"),
        ({"replications": 10, "precision": 5}, "precision: the half width of success_rate relative to its"),
        ({"replications": 10, "precision": {"latency": 0.1}}, "no measure is called 'latency'"),
        ({"replications": 9, "precision": 0.1}, "first looked at after 10 or more; not 9"),
        ({"policies": [policies.oban.backoff]}, r"is a backoff; .*RetryPolicy\(Exponential\("),
        (
            {"replications": 20, "precision": 0.1, "max_replications": 30.5},
            "max_replications: must be a whole",
        ),
        ({"replications": 20, "precision": 0.1, "max_replications": 10}, r"at least replications \(20\)"),
    ],
)
def test_compare_refuses_what_makes_no_sense(arguments: dict[str, Any], message: str) -> None:
    """Each wrong argument gets one clear sentence, before anything is shown."""
    with pytest.raises(ConfigError, match=message):
        compare(SCENARIO, **{"replications": 1} | arguments)


def test_compare_shows_progress_only_when_asked_or_on_a_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    """Without a terminal there is no bar unless it is asked for, and it never goes to standard output."""
    compare(SCENARIO, replications=1)
    assert capfd.readouterr() == ("", "")
    compare(SCENARIO, replications=1, progress=True)
    shown = capfd.readouterr()
    assert shown.out == ""
    assert "2/2" in shown.err


def test_compare_runs_until_it_is_precise() -> None:
    """Replications are added until the intervals, which allow for the looks in between, are narrow enough."""
    wanted = {"attempts_per_job": 0.1}
    found = compare(SCENARIO, "full_jitter", replications=10, precision=wanted, seed=7, progress=False)
    [(mean, low, high, n)] = found.summary(measures=wanted).to_numpy()
    assert 10 < n < 200
    assert (high - low) / 2 <= 0.1 * mean
    assert found.imprecise == []
    assert found.facts["precision"] == "attempts_per_job 10 %"
    fixed = compare(SCENARIO, "full_jitter", replications=int(n), seed=7, progress=False)
    pd.testing.assert_frame_equal(fixed.runs, found.runs)
    assert "precision" not in fixed.facts


def test_compare_says_where_it_stopped_before_it_was_precise() -> None:
    """At the most replications allowed it ends, and the verdict names what is not precise."""
    wanted = {"latency_p95_s": 0.001}
    found = compare(SCENARIO, replications=10, precision=wanted, max_replications=12, progress=False)
    assert found.replications == 12
    assert "Not yet as precise as asked for: p95 latency of full_jitter" in found.verdict()
    assert "tests that allow for looks in between" in found.verdict()
