"""The verdict claims what is significant, and says so where nothing is."""

import math
from collections.abc import Callable

import pandas as pd

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
    assert "Under none of them do 95 % of all jobs succeed." in said
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


def test_verdict_of_one_policy_compares_nothing(table: Table) -> None:
    """A single policy is described only."""
    said = verdict(table({"a": {}}, 5))
    assert said.startswith("a: 90")
    assert "no other policy" in said


def test_verdict_tells_of_unfinished_jobs_and_cut_recoveries(table: Table) -> None:
    """A policy is not praised for jobs that it had not given up yet when the runs ended."""
    runs = table({"a": {}, "b": {"unfinished": 5.0, "unfinished_rate": 0.05, "recovered": 0.0}}, 5)
    said = verdict(runs)
    assert "Still unfinished when the runs ended: b 5" in said
    assert "Not recovered in every run: b;" in said


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
