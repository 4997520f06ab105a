"""Expectations: read and written, refused where they say nothing, and judged by the whole interval."""

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from jobsim.analysis.statistics import Interval
from jobsim.core.errors import ConfigError
from jobsim.sim import Scenario, compare
from jobsim.sim.expectations import Expectation, Finding, bound, judged, judgements_table

DEMO = Path(__file__).parents[2] / "scenarios" / "payment-api-outage.toml"

WORLD = """
name = "small"
horizon = "30s"
compare = ["none", "oban"]

[workers]
count = 1
slots = 4

[[jobs]]
kind = "a"
arrivals = { process = "poisson", rate = "1/s" }
service = { dist = "constant", value = "10ms" }
failures = [{ model = "independent", probability = 0.5 }]

[expect]
"""


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (
            'dead_letter_rate = { policy = "none", below = "0.1 %" }',
            [Expectation(measure="dead_letter_rate", policy="none", below=0.001)],
        ),
        (
            'latency_p95_s = [{ below = "5m" }, { policy = "oban", above = 1 }]',
            [
                Expectation(measure="latency_p95_s", below=300),
                Expectation(measure="latency_p95_s", policy="oban", above=1),
            ],
        ),
        (
            "attempts_per_job = { above = 1, below = 2.5 }",
            [Expectation(measure="attempts_per_job", above=1, below=2.5)],
        ),
    ],
)
def test_expectations_of_a_file_are_read_and_written_back(written: str, expected: list[Expectation]) -> None:
    """A table or a list of tables by measure; shares and durations may be text in their unit."""
    scenario = Scenario.from_text(WORLD + written)
    assert list(scenario.expect) == expected
    assert Scenario.from_text(scenario.to_toml()) == scenario
    assert scenario.with_(expect=expected) == scenario


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (
            "dead_leter_rate = { below = 1 }",
            r"<scenario>:17: expect.dead_leter_rate: .*mean 'dead_letter_rate'",
        ),
        ("dead_letter_rate = 3", "<scenario>:17: expect.dead_letter_rate: must be a table, not 3"),
        (
            'dead_letter_rate = { below = "5m" }',
            "expect.dead_letter_rate.below: must be a finite number or a share",
        ),
        ("dead_letter_rate = { below = 2 }", "2 is no share between 0 and 1"),
        ('recovery_s = { below = "soon" }', r"expect.recovery_s.below: 'soon' is not a duration"),
        ("jobs = { below = true }", "expect.jobs.below: must be a finite number, not True"),
        ("jobs = { below = inf }", "expect.jobs.below: must be a finite number, not inf"),
        ("dead_letter_rate = {}", "expect.dead_letter_rate: says nothing"),
        ("dead_letter_rate = { blow = 0.1 }", r"expect.dead_letter_rate.blow: unknown key .*'below'"),
        ("jobs = { below = 1, above = 2 }", "expect.jobs: nothing lies above 2 and below 1"),
        ('jobs = { policy = "obn", below = 1 }', r"expect.jobs.policy: of the policies .*mean 'oban'"),
        ("jobs = [{ below = 1 }, { }]", "expect.jobs.1: says nothing"),
    ],
)
def test_expectations_that_make_no_sense_are_refused_by_line(written: str, said: str) -> None:
    """Every wrong expectation is named with file, line and key, before anything runs."""
    with pytest.raises(ConfigError, match=said):
        Scenario.from_text(WORLD + written)


def test_expectation_of_a_policy_that_is_not_compared_may_stay() -> None:
    """Comparing other policies leaves the scenario as it is; the result judges nothing of those left out."""
    scenario = Scenario.from_text(WORLD + 'jobs = { policy = "none", above = 0 }')
    found = compare(scenario, ["oban"], replications=2, progress=False)
    assert len(scenario.expect) == 1
    assert found.scenario.expect == ()
    assert found.expectations() == []


@pytest.mark.parametrize(
    ("interval", "finding"),
    [
        (Interval(1.5, 1.1, 1.9, 9), Finding.KEPT),
        (Interval(1.9, 1.7, 2.1, 9), Finding.OPEN),
        (Interval(2.2, 2.0, 2.4, 9), Finding.BROKEN),
        (Interval(0.5, 0.2, 0.8, 9), Finding.BROKEN),
        (Interval(1.5, math.nan, math.nan, 1), Finding.OPEN),
        (Interval(math.nan, math.nan, math.nan, 0), Finding.OPEN),
        (Interval(math.inf, math.nan, math.nan, 9), Finding.BROKEN),
    ],
)
def test_expectation_is_judged_by_the_whole_interval(interval: Interval, finding: Finding) -> None:
    """Kept and broken need the interval on one side; else, and without an interval, nothing can be told."""
    assert Expectation(measure="attempts_per_job", above=1, below=2).judge(interval) is finding


@given(st.floats(-1e3, 1e3), st.floats(0, 1e3), st.floats(-1e3, 1e3))
def test_expectation_below_is_broken_where_above_is_kept(mean: float, half: float, limit: float) -> None:
    """What is kept of one side is broken of the other, and what cannot be told of one cannot of the other."""
    found = Interval(mean, mean - half, mean + half, 5)
    below = Expectation(measure="attempts", below=limit).judge(found)
    above = Expectation(measure="attempts", above=limit).judge(found)
    assume(limit not in found[:3])  # on its edge an interval is broken of one side and open of the other
    opposite = {Finding.KEPT: Finding.BROKEN, Finding.BROKEN: Finding.KEPT, Finding.OPEN: Finding.OPEN}
    assert above is opposite[below]


@pytest.mark.parametrize(
    ("value", "unit", "number"), [("0.1 %", "%", 0.001), ("0.1%", "%", 0.001), ("90s", "s", 90)]
)
def test_bound_is_a_number_in_the_unit_of_its_measure(value: Any, unit: str, number: float) -> None:
    """Shares become parts of one and durations seconds."""
    assert bound(value, unit) == pytest.approx(number)


def test_judgements_name_policy_measure_and_value() -> None:
    """An expectation of no policy in particular is judged for each, and the table has a row for each."""
    scenario = Scenario.from_text(
        WORLD + "attempts_per_job = { below = 1.5 }\ndead_letter_rate = { below = 0.5 }"
    )
    comparison = compare(scenario, replications=5, progress=False)
    found = comparison.expectations()
    assert [j.finding for j in found] == [Finding.BROKEN] * 2 + [Finding.KEPT] * 2
    assert str(found[0]).startswith("none: attempts_per_job below 1.5: broken; it is ")
    assert str(found[2]).startswith("none: dead_letter_rate below 50 %: kept; it is ")
    table = judgements_table(found)
    assert table["policy"].tolist() == ["none", "oban"] * 2
    assert table["finding"].tolist() == ["broken"] * 2 + ["kept"] * 2
    assert judged(pd.concat([comparison.runs]), scenario.expect) == found


def test_demo_is_as_its_author_expects() -> None:
    """Two runs of each policy that the demo's scenario has expectations of break none of them."""
    scenario = Scenario.from_toml(DEMO)
    named = {one.policy for one in scenario.expect if one.policy is not None}
    found = compare(scenario, sorted(named), replications=2, progress=False).expectations()
    assert len(found) == len(scenario.expect)
    assert [str(one) for one in found if one.finding is Finding.BROKEN] == []
