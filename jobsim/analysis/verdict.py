"""What a comparison shows, in a few sentences that claim no more than its intervals allow."""

import numpy as np
import pandas as pd

from jobsim.analysis.measure import Better
from jobsim.analysis.measures import MEASURES
from jobsim.analysis.splits import share, split, split_in_words, split_sentences
from jobsim.analysis.summary import (
    asked_precision,
    censored,
    check_ci,
    imprecise,
    interval,
    policies,
    told_apart,
)
from jobsim.analysis.wording import listed, with_unit


def verdict(runs: pd.DataFrame, ci: float = 0.95) -> str:
    """Return what a table of runs allows to say about its policies.

    Policies are judged by the share of jobs that succeed, not by dead letters: a policy that has not
    given up yet has none. Those that cannot be told apart are then judged by their p95 latency.
    """
    check_ci(ci)
    labels, replications = policies(runs), runs["replication"].nunique()
    if not runs["jobs"].any():
        return "No job arrived in any run, so there is nothing to compare: look at arrivals and horizon."
    if replications < 2:
        said = (
            "One run of each policy shows no spread, so nothing can be said about which is better; "
            "use more replications."
        )
        return " ".join([said, *_unfinished(runs, labels, ci)])
    if len(labels) < 2:
        said = (
            f"Jobs that succeed with {labels[0]}: {_fate(runs, labels[0], ci)}. "
            "There is no other policy to compare it with."
        )
        return " ".join([said, *_reservations(runs, labels, ci)])
    leaders = best(runs, "success_rate", labels, ci)
    sentences = [_most_succeed(runs, leaders, ci)]
    if len(leaders) > 1:
        sentences.append(_fastest(runs, leaders, ci))
    if len(leaders) < len(labels):
        sentences.append(_others(runs, [label for label in labels if label not in leaders], ci))
    sentences += _reservations(runs, labels, ci)
    tests = "tests that allow for looks in between" if asked_precision(runs) else "paired t tests"
    sentences.append(
        f"({replications} replications under common random numbers, {tests}, "
        f"Holm over all pairs, {100 * ci:g} % confidence.)"
    )
    return " ".join(sentences)


def best(runs: pd.DataFrame, measure: str, among: list[str], ci: float = 0.95) -> list[str]:
    """Return the policy of the best mean among some, then those not told apart from it, best first.

    Where a measure has no better direction, the lowest is taken.
    """
    means = runs.groupby("policy")[measure].mean().loc[among]
    # A mean that is not known comes last: no job of that policy arrived in any run.
    order = list(
        means.sort_values(ascending=MEASURES[measure].better is not Better.HIGHER, kind="stable").index
    )
    apart = told_apart(runs, measure, ci)
    return [label for label in order if frozenset((order[0], label)) not in apart]


def winner(runs: pd.DataFrame, ci: float = 0.95) -> str:
    """Return the policy that the verdict prefers: the fastest of those under which most jobs succeed."""
    check_ci(ci)
    leaders = best(runs, "success_rate", policies(runs), ci)
    return best(runs, "latency_p95_s", leaders, ci)[0]


def _most_succeed(runs: pd.DataFrame, leaders: list[str], ci: float) -> str:
    first = leaders[0]
    if len(leaders) == 1:
        return f"Most jobs succeed with {first}: {_fate(runs, first, ci)}."
    if len(leaders) == len(policies(runs)):
        return (
            "No policy lets significantly more jobs succeed than another. "
            f"Highest mean: {first}: {_fate(runs, first, ci)}."
        )
    rate = _told(runs, first, "success_rate", ci)
    return (
        f"Most jobs succeed with {listed(leaders)}: {rate} of all jobs with {first}, "
        "and not significantly fewer with the others named."
    )


def _told(runs: pd.DataFrame, policy: str, measure: str, ci: float) -> str:
    """Return a measure with its unit and interval; where the runs fall into two groups, that of each."""
    if groups := split(runs, policy, measure, ci):
        return split_in_words(measure, groups, ci, with_unit)
    return with_unit(measure, interval(runs, policy, measure, ci))


def _fate(runs: pd.DataFrame, policy: str, ci: float) -> str:
    success, dead, latency = (
        _told(runs, policy, name, ci) for name in ("success_rate", "dead_letter_rate", "latency_p95_s")
    )
    return f"{success} of all jobs, with {dead} dead letters; p95 latency: {latency}"


def _fastest(runs: pd.DataFrame, leaders: list[str], ci: float) -> str:
    quick = best(runs, "latency_p95_s", leaders, ci)
    if np.isinf(interval(runs, quick[0], "latency_p95_s", ci).mean):
        return "Under none of them do 95 % of all jobs succeed in every run."
    if len(quick) == len(leaders):
        return "Their p95 latencies do not differ significantly from the shortest either."
    latency = _told(runs, quick[0], "latency_p95_s", ci)
    ties = f"; not significantly slower: {listed(quick[1:])}" if quick[1:] else ", significantly"
    return f"Of these, {quick[0]} has the shortest p95 latency: {latency}{ties}."


def _others(runs: pd.DataFrame, others: list[str], ci: float) -> str:
    last = min(others, key=lambda label: interval(runs, label, "success_rate", ci).mean)
    rate = _told(runs, last, "success_rate", ci)
    if len(others) == 1:
        return f"With {last} significantly fewer succeed: {rate}."
    return f"Every other policy lets significantly fewer succeed; fewest with {last}: {rate}."


def _reservations(runs: pd.DataFrame, labels: list[str], ci: float) -> list[str]:
    """Return what must be known of the runs before their means are believed."""
    late = imprecise(runs, ci)
    precision = [f"Not yet as precise as asked for: {listed(late)}."] if late else []
    return [*split_sentences(runs, ci), *_unfinished(runs, labels, ci), *precision]


def _unfinished(runs: pd.DataFrame, labels: list[str], ci: float) -> list[str]:
    """Say whose jobs still waited when the runs ended, since more time would change their numbers."""
    left = [
        f"{label} {with_unit('unfinished_rate', interval(runs, label, 'unfinished_rate', ci))}"
        for label in labels
        if runs.loc[runs["policy"] == label, "unfinished"].any()
    ]
    said = [f"Still unfinished when the runs ended: {listed(left)} of all jobs."] if left else []
    if late := [_lateness(runs, label, ci) for label in labels if censored(runs, label)]:
        said.append(f"Not recovered: {listed(late)}; recovery times are lower bounds there.")
    return said


def _lateness(runs: pd.DataFrame, label: str, ci: float) -> str:
    known = runs.loc[runs["policy"] == label, "recovered"].dropna()
    late = int((known == 0).sum())
    if late == len(known):
        return f"{label} in {late} of {late} runs"
    return f"{label} in {share(late, len(known), ci)}"
