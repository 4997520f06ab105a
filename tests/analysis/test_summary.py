"""Tables of many runs: what stands in them, and what they refuse."""

import math
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from jobsim.analysis.measures import MEASURES
from jobsim.analysis.statistics import mean_interval
from jobsim.analysis.summary import (
    HEADLINE,
    asked_precision,
    differences,
    differences_in_words,
    imprecise,
    in_words,
    quantiles,
    summary,
    told_apart,
    until_precise,
)
from jobsim.analysis.verdict import verdict, winner
from jobsim.core.errors import ConfigError
from jobsim.sim.expectations import judged

Table = Callable[..., pd.DataFrame]


def test_summary_has_a_table_for_each_measure(table: Table) -> None:
    """One measure's columns are mean, low, high and n, one row a policy, in the runs' order."""
    runs = table({"b": {}, "a": {"latency_p50_s": 3.0}}, 10)
    found = summary(runs)
    assert list(found.index) == ["b", "a"]
    assert list(found.columns.get_level_values("measure").unique()) == list(HEADLINE)
    own = mean_interval(runs.loc[runs["policy"] == "a", "latency_p50_s"])
    assert tuple(found["latency_p50_s"].loc["a"]) == pytest.approx(tuple(own))
    assert found["latency_p50_s"]["n"].dtype == "int64"


def test_summary_of_one_replication_has_no_intervals(table: Table) -> None:
    """The mean is there, the bounds are NaN."""
    found = summary(table({"a": {}, "b": {}}, 1), measures=["latency_p95_s"])["latency_p95_s"]
    assert found["mean"].notna().all()
    assert found[["low", "high"]].isna().to_numpy().all()


def test_summary_bounds_a_share_that_was_never_seen(table: Table) -> None:
    """No dead letter in all runs still leaves an upper bound."""
    found = summary(table({"a": {"dead_letter_rate": 0.0}}, 10), measures=["dead_letter_rate"])
    assert found["dead_letter_rate"].loc["a", "high"] == pytest.approx(3 / 1000, rel=0.03)


@pytest.mark.parametrize("ci", [0, 1, 95, -0.5, float("nan")])
def test_summary_refuses_a_level_that_is_none(table: Table, ci: float) -> None:
    """A confidence level lies between 0 and 1."""
    runs = table({"a": {}, "b": {}}, 3)
    for claim in (summary, verdict, winner):
        with pytest.raises(ConfigError, match="between 0 and 1"):
            claim(runs, ci=ci)
    with pytest.raises(ConfigError, match="between 0 and 1"):
        judged(runs, (), ci)


def test_summary_refuses_an_unknown_measure(table: Table) -> None:
    """The error names the measure that was meant."""
    with pytest.raises(ConfigError, match="did you mean 'latency_p95_s'"):
        summary(table({"a": {}}, 3), measures=["latency_p95"])


def test_differences_are_paired_and_corrected(table: Table) -> None:
    """A shift that all replications share is found, with Holm's p-values above the raw ones."""
    runs = table({"base": {}, "slow": {"latency_p50_s": 1.5}, "same": {}}, 10, spread=0.2)
    found: Any = differences(runs, "base", measures=["latency_p50_s"]).set_index("policy")
    assert found.loc["slow", "significant"]
    assert found.loc["slow", "p_holm"] == pytest.approx(2 * found.loc["slow", "p_value"])
    assert found.loc["slow", "low"] < 0.5 < found.loc["slow", "high"]
    assert found.loc["same", "difference"] == 0
    assert not found.loc["same", "significant"]


def test_differences_cover_all_measures_but_shares_of_runs(table: Table) -> None:
    """Every policy but the baseline has a row for each measure that a t test suits."""
    found = differences(table({"a": {}, "b": {}, "c": {}}, 3), "a")
    assert set(found["measure"]) == set(MEASURES) - {"recovered"}
    assert set(found["policy"]) == {"b", "c"}
    assert len(found) == 2 * (len(MEASURES) - 1)


def test_differences_do_not_depend_on_the_order_of_rows(table: Table) -> None:
    """Pairs are found by replication, not by place."""
    runs = table({"a": {}, "b": {"latency_p50_s": 2.0}}, 6, spread=0.3)
    shuffled = pd.concat([runs[runs["policy"] == "a"], runs[runs["policy"] == "b"].iloc[::-1]])
    pd.testing.assert_frame_equal(differences(shuffled, "a"), differences(runs, "a"))


def test_differences_refuse_an_unknown_baseline(table: Table) -> None:
    """The error names the policy that was meant."""
    with pytest.raises(ConfigError, match="did you mean 'oban'"):
        differences(table({"oban": {}, "none": {}}, 3), "obam")


@pytest.mark.parametrize("replications", [1, 2])
def test_differences_of_few_replications_are_not_significant(table: Table, replications: int) -> None:
    """One or two runs never prove a difference that has no spread."""
    runs = table({"a": {}, "b": {"latency_p50_s": 2.0}}, replications, spread=0.0)
    assert not differences(runs, "a")["significant"].any()


def test_three_jobs_are_no_difference_between_policies(table: Table) -> None:
    """One dead letter in each of three runs may be chance, however alike the three are; twelve are not."""
    for lost, apart in ((1, False), (4, True)):
        runs = table({"a": {}, "b": {}}, 3).assign(jobs=[120, 121, 135] * 2)
        runs["dead_letter_rate"] = (runs["policy"] == "a") * lost / runs["jobs"]
        assert bool(told_apart(runs, "dead_letter_rate")) is apart
        [found] = differences(runs, "b", measures="dead_letter_rate")["significant"]
        assert bool(found) is apart


def test_difference_of_shares_that_no_run_has_seen_is_bounded(table: Table) -> None:
    """Where no job of any run fared differently, three in as many as there were may all the same."""
    runs = table({"a": {}, "b": {}}, 10).assign(jobs=100, dead_letter_rate=0.0)
    [found] = differences(runs, "a", measures="dead_letter_rate").to_dict("records")
    assert (found["difference"], found["significant"]) == (0, False)
    assert (found["low"], found["high"]) == (pytest.approx(-3 / 1000, rel=0.03), -found["low"])


def test_told_apart_corrects_over_all_pairs(table: Table) -> None:
    """Only pairs with a real difference are told apart."""
    runs = table({"a": {}, "b": {}, "c": {"latency_p50_s": 2.0}}, 10, spread=0.1)
    assert told_apart(runs, "latency_p50_s") == {frozenset("ac"), frozenset("bc")}


def test_words_carry_unit_interval_and_bounds(table: Table) -> None:
    """Headings name the unit; cells hold mean and interval; a cut recovery is a lower bound."""
    runs = table({"a": {}, "b": {"recovered": 0.0}}, 8)
    found: Any = in_words(runs)
    assert list(found.columns)[:2] == ["succeeded, %", "dead letters, %"]
    assert found.loc["b", "recovery, s"].startswith("≥ ")
    assert not found.loc["a", "recovery, s"].startswith("≥ ")
    assert found.map(lambda cell: "±" in cell or "[" in cell).to_numpy().all()


def test_words_of_differences_mark_what_is_not_significant(table: Table) -> None:
    """A difference that may be chance carries n.s., one that is proved does not."""
    runs = table({"a": {}, "b": {"latency_p50_s": 2.0}}, 8)
    found: Any = differences_in_words(runs, "a")
    assert found.loc["b", "p50 latency, s"].startswith("+")
    assert not found.loc["b", "p50 latency, s"].endswith("n.s.")
    assert found.loc["b", "p95 latency, s"].endswith("n.s.")


def test_runs_that_were_looked_at_have_wider_intervals(table: Table) -> None:
    """Until a precision is reached one looks again and again; every interval and test allows for it."""
    runs = table({"a": {}, "b": {"latency_p50_s": 1.01}}, 20)
    peeked = until_precise(runs, {"latency_p50_s": 0.05})
    fixed, sequential = (summary(r)["latency_p50_s"] for r in (runs, peeked))
    assert ((sequential["high"] - sequential["low"]) > 1.5 * (fixed["high"] - fixed["low"])).all()
    p_fixed, p_sequential = (
        differences(r, "a", measures="latency_p50_s")["p_value"].item() for r in (runs, peeked)
    )
    assert p_fixed < p_sequential < 0.05
    once, often = (quantiles(r, "latency_p50_s", [50]) for r in (runs, peeked))
    assert (often["low"] < once["low"]).all()
    assert (once["high"] < often["high"]).all()
    assert asked_precision(runs) == {}


def test_precision_is_relative_to_the_mean(table: Table) -> None:
    """What is not yet precise enough is named; a mean of zero or of never is not waited for."""
    runs = table({"a": {"dead_letter_rate": 0.0, "latency_p99_s": math.inf}, "b": {}}, 20, spread=0.05)
    about = summary(until_precise(runs, {"attempts_per_job": 0.5}))["attempts_per_job"].loc["b"]
    half = (about.high - about.low) / 2 / about["mean"]
    wanted = {"attempts_per_job": half / 2, "dead_letter_rate": 0.9, "latency_p99_s": 0.9}
    assert imprecise(until_precise(runs, wanted)) == ["attempts per job of a", "attempts per job of b"]
    assert imprecise(until_precise(runs, {"attempts_per_job": 2 * half})) == []
    assert imprecise(runs) == []


def test_precision_of_runs_that_do_not_differ_is_not_waited_for(table: Table) -> None:
    """Without retries there is one attempt a job in every run; a hundred more would tell nothing else."""
    runs = table({"a": {"attempts_per_job": 1.0}, "b": {}}, 10).assign(attempts_per_job=1.0)
    assert imprecise(until_precise(runs, {"attempts_per_job": 0.05})) == []


@pytest.mark.parametrize("percent", [0, 100, 250, float("nan")])
def test_quantiles_refuse_a_percentage_that_is_none(table: Table, percent: float) -> None:
    """There is no 250th percentile, nor bounds of the first and the last."""
    with pytest.raises(ConfigError, match="between 0 and 100"):
        quantiles(table({"a": {}}, 21), "latency_p50_s", [50, percent])


def test_quantiles_are_of_runs(table: Table) -> None:
    """Half of the runs are at or below the median; its bounds are values of runs."""
    runs = table({"a": {}, "b": {}}, 21, spread=0.2)
    found = quantiles(runs, "latency_p50_s", [50])
    own = runs.loc[runs["policy"] == "a", "latency_p50_s"]
    assert found["latency_p50_s"].iloc[0] == own.median()
    assert own.isin(found[["low", "high"]].iloc[0]).sum() == 2
    assert found["policy"].tolist() == ["a", "b"]
