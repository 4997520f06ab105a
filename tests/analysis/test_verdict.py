"""The verdict claims what is significant, and says so where nothing is."""

import math
import re
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from jobsim.analysis.summary import in_words, until_precise
from jobsim.analysis.verdict import best, verdict, winner

Table = Callable[..., pd.DataFrame]


def test_verdict_names_a_clear_winner(table: Table) -> None:
    """The policy under which significantly more jobs succeed than under any other comes first."""
    said = verdict(table({"poor": {"success_rate": 0.5}, "good": {"success_rate": 0.8}}, 10))
    assert said.startswith("Most jobs succeed with good: 80")
    assert "With poor significantly fewer succeed: 50" in said
    assert "10 replications" in said


def test_verdict_names_ties_and_breaks_them_by_latency(table: Table) -> None:
    """Policies that cannot be told apart are named, the fastest of them, and who lets fewest succeed."""
    poor = {"poor": {"success_rate": 0.5}, "poorer": {"success_rate": 0.4}}
    said = verdict(table({"slow": {"latency_p95_s": 9.0}, "fast": {}, **poor}, 10))
    assert said.startswith("Most jobs succeed with slow and fast: 90")
    assert "not significantly fewer with the others named" in said
    assert "Of these, fast has the shortest p95 latency" in said
    assert "Every other policy lets significantly fewer succeed; fewest with poorer: 40" in said


def test_winner_is_the_fastest_of_those_under_which_most_succeed(table: Table) -> None:
    """A fast policy under which fewer jobs succeed does not win; one alone does."""
    rows = {"slow": {"latency_p95_s": 9.0}, "fast": {}, "poor": {"success_rate": 0.5, "latency_p95_s": 0.1}}
    assert winner(table(rows, 10)) == "fast"
    assert winner(table({"slow": {}}, 3)) == "slow"


def test_verdict_praises_no_speed_that_is_never_reached(table: Table) -> None:
    """Where too few jobs ever succeed there is no p95 to be the shortest."""
    never = {"latency_p95_s": math.inf}
    said = verdict(table({"a": never, "b": never, "poor": {"success_rate": 0.5}}, 10))
    assert "Under none of them do 95 % of all jobs succeed in every run." in said
    one = verdict(table({"a": never, "b": {}}, 10))
    assert "Of these, b has the shortest p95 latency" in one


def test_verdict_claims_nothing_where_nothing_differs(table: Table) -> None:
    """Equal policies have no winner."""
    said = verdict(table({"a": {}, "b": {}, "c": {}}, 10))
    assert said.startswith("No policy lets significantly more jobs succeed than another.")
    assert "do not differ significantly" in said


def test_verdict_of_one_replication_claims_nothing(table: Table) -> None:
    """Without a spread there is no verdict."""
    said = verdict(table({"a": {}, "b": {"success_rate": 0.1}}, 1))
    assert "nothing can be said" in said


def test_verdict_without_jobs_says_so(table: Table) -> None:
    """Where no job ever arrived there is no policy that does better, but still one to begin with."""
    nothing = {"jobs": 0.0, "success_rate": math.nan, "latency_p95_s": math.nan}
    runs = table({"a": nothing, "b": nothing}, 3)
    assert verdict(runs).startswith("No job arrived in any run")
    assert winner(runs) == "a"


def test_verdict_of_one_policy_compares_nothing(table: Table) -> None:
    """A single policy is described only."""
    said = verdict(table({"a": {}}, 5))
    assert said.startswith("Jobs that succeed with a: 90")
    assert "no other policy" in said


@pytest.mark.parametrize("replications", [1, 12])
def test_verdict_of_one_policy_or_run_tells_of_unfinished_jobs_too(table: Table, replications: int) -> None:
    """What was cut off, or is not yet precise, is said although nothing is compared."""
    late = {"unfinished": 5.0, "unfinished_rate": 0.05, "recovered": 0.0}
    runs = table({"a": late}, replications, spread=0.2)
    assert "Still unfinished when the runs ended: a 5" in verdict(runs)
    if replications > 1:
        asked = until_precise(runs, {"attempts_per_job": 0.001})
        assert "Not yet as precise as asked for: attempts per job of a" in verdict(asked)


def test_verdict_tells_of_unfinished_jobs_and_cut_recoveries(table: Table) -> None:
    """A policy is not praised for jobs that it had not given up yet when the runs ended."""
    runs = table({"a": {}, "b": {"unfinished": 5.0, "unfinished_rate": 0.05, "recovered": 0.0}}, 5)
    said = verdict(runs)
    assert "Still unfinished when the runs ended: b 5" in said
    assert "Not recovered: b in 5 of 5 runs;" in said


def test_verdict_judges_where_no_job_ever_succeeded(table: Table) -> None:
    """Policies under which nothing succeeds have no latencies, and that is no error."""
    runs = table({"a": {"success_rate": 0.0}, "b": {"success_rate": 0.0}}, 5)
    runs["latency_p95_s"] = float("nan")
    assert "No policy lets significantly more jobs succeed" in verdict(runs)


def test_best_is_highest_for_success_and_lowest_otherwise(table: Table) -> None:
    """Ties follow the best, in the order of their means."""
    runs = table({"a": {"success_rate": 0.5}, "b": {}, "c": {"latency_p95_s": 2.0}}, 10)
    assert best(runs, "success_rate", ["a", "b", "c"]) == ["b", "c"]
    assert best(runs, "latency_p95_s", ["a", "c"]) == ["a"]


def collapsing(runs: pd.DataFrame) -> pd.DataFrame:
    """The same, but that under b the queue collapses in runs 0 to 5, and p95 is never reached there."""
    bad = (runs["policy"] == "b") & (runs["replication"] < 6)
    runs.loc[bad, "success_rate"] *= 0.2
    runs.loc[bad, ["latency_p95_s", "recovered"]] = [math.inf, 0.0]
    return runs


def test_verdict_tells_two_groups_of_runs_apart(table: Table) -> None:
    """Near a threshold some runs collapse and others do not: that is said with its interval, not averaged."""
    said = verdict(collapsing(table({"a": {}, "b": {}}, 20)))
    assert re.search(
        r"Under b a run ends in one of two ways, and the mean is like neither: succeeded 18\S* ±\S+ % "
        r"in 6 of 20 runs \(12 to 54 %\), (89|90)\S* ±\S+ % in the others\.",
        said,
    )
    assert "Under a " not in said
    assert "Not recovered: b in 6 of 20 runs (12 to 54 %);" in said


def test_verdict_of_one_policy_tells_its_groups_too(table: Table) -> None:
    """There is nothing to compare with, but there are two ways to end."""
    said = verdict(collapsing(table({"b": {}}, 20)))
    assert "Under b a run ends in one of two ways" in said
    assert re.match(
        r"Jobs that succeed with b: 18\S* ±\S+ % \(6 runs\) or (89|90)\S* ±\S+ % \(14 runs\) of all jobs",
        said,
    )
    assert re.search(r"p95 latency: \S+ ±\S+ s \(14 runs\) or never \(6 runs\)\.", said)


def test_words_show_groups_in_place_of_a_mean(table: Table) -> None:
    """A cell names both groups, or that something was never reached in some runs."""
    found: Any = in_words(collapsing(table({"a": {}, "b": {}}, 20)))
    assert re.fullmatch(
        r"18\S+ ±\S+ \(6 runs\) or (89|90)\S+ ±\S+ \(14 runs\)", found.loc["b", "succeeded, %"]
    )
    assert re.fullmatch(r"\S+ ±\S+ \(14 runs\) or never \(6 runs\)", found.loc["b", "p95 latency, s"])
    assert re.fullmatch(r"\S+ ±\S+ \(14 runs\) or ≥ \S+ ±\S+ \(6 runs\)", found.loc["b", "recovery, s"])
    assert not found.loc["a"].str.contains(" or ").any()


def test_groups_that_show_in_one_measure_are_told_by_others(table: Table) -> None:
    """Two runs of twenty are too few to show by success alone; the backlog shows them, and both are told."""
    runs = table({"a": {}, "b": {}}, 20, spread=0.03)
    good = (runs["policy"] == "b") & (runs["replication"] < 2)
    runs.loc[good, "backlog_mean"] = [0.01, 0.010001]
    runs.loc[(runs["policy"] == "b") & ~good, "success_rate"] *= 0.5
    found: Any = in_words(runs, measures=["success_rate", "latency_p50_s"])
    assert re.fullmatch(r"\S+ ±\S+ \(18 runs\) or \S+ ±\S+ \(2 runs\)", found.loc["b", "succeeded, %"])
    assert " or " not in found.loc["b", "p50 latency, s"]
