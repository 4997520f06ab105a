"""Equal risk: the least attempts that reach it, honestly reported, and in closed form where there is one."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsim.analysis.wording import with_unit
from jobsim.core.backoff import Exponential
from jobsim.core.errors import ConfigError
from jobsim.core.policy import RetryPolicy
from jobsim.sim import EqualRisk, Scenario, equal_risk
from jobsim.sim.calibration import _Search, fresh_seed

JOBS, RUNS, MEAN_S, OUTAGE_S = 250, 4, 30.0, 300.0
RISK = 0.01


def remaining_outage() -> Scenario:
    """Return a world in which the outage left to a job when it comes is exponential with mean `MEAN_S`.

    The jobs come at the quantiles of that distribution before its end, so that only jitter is random.
    """
    times = [f"{OUTAGE_S + MEAN_S * math.log((i + 0.5) / JOBS):.6f}s" for i in range(JOBS)]
    return Scenario(
        name="remaining outage",
        horizon="301s",
        workers={"count": 1, "slots": 100},  # type: ignore[arg-type]
        jobs=[  # type: ignore[arg-type]
            {
                "kind": "a",
                "arrivals": {"process": "list", "times": times},
                "service": {"dist": "constant", "value": "1ms"},
                "failures": [{"model": "outage", "start": "0s", "duration": f"{OUTAGE_S}s"}],
            }
        ],
    )


def lost_in_closed_form(jitter: str, attempts: int) -> float:
    """Return the share of jobs whose delays of 1, 2, 4 .. 60 s all end within the outage.

    Delays are independent, so it is the product of their Laplace transforms at 1 / mean.
    Source: the memoryless remaining time; see Ross, Introduction to Probability Models, section 5.2.
    """
    share = 1.0
    for retry in range(1, attempts):
        x = min(60.0, 2.0 ** (retry - 1)) / MEAN_S
        match jitter:
            case "none":
                share *= math.exp(-x)
            case "full":
                share *= -math.expm1(-x) / x
            case "equal":
                share *= math.exp(-x / 2) * -math.expm1(-x / 2) / (x / 2)
    return share


@pytest.fixture(scope="module")
def found() -> EqualRisk:
    policies = {
        jitter: RetryPolicy(Exponential(base="1s", cap="60s", jitter=jitter))
        for jitter in ("none", "equal", "full")
    }
    return equal_risk(remaining_outage(), policies, RISK, RUNS, progress=False)


def test_equal_risk_finds_the_least_attempts_of_the_closed_form(found: EqualRisk) -> None:
    """One attempt fewer would lose more than the risk, within the sampling error of the jitter."""
    error = 3 * math.sqrt(RISK * (1 - RISK) / (JOBS * RUNS))
    for jitter, policy in found.policies.items():
        slack = 0.001 if jitter == "none" else error
        assert lost_in_closed_form(jitter, policy.limit) <= RISK + slack
        assert lost_in_closed_form(jitter, policy.limit - 1) > RISK - slack
    assert found.policies["none"].max_attempts == 9
    assert found.unreached == ()


def test_equal_risk_reports_runs_that_the_search_has_not_seen(found: EqualRisk) -> None:
    """The comparison has fresh seeds, and its intervals cover the closed form."""
    assert found.comparison.seed == fresh_seed(1) != 1
    for jitter, policy in found.policies.items():
        truth = lost_in_closed_form(jitter, policy.limit)
        achieved = found.achieved(jitter, ci=0.999)
        assert achieved.low - 1 / JOBS <= truth <= achieved.high + 1 / JOBS
    table = found.table()
    assert table["reached"].all()
    assert table.loc["none", "max_attempts"] == 9
    assert (table["low"] <= table["risk"]).all()


def test_equal_risk_is_told(found: EqualRisk) -> None:
    """The verdict and the card name the attempts that each policy takes, and the risk."""
    assert found.verdict().startswith("At most 1 % of all jobs lost takes 9 attempts with none, ")
    assert repr(found).startswith("EqualRisk(0.01, attempts={'none': 9, ")
    card = found._repr_html_()
    assert "at a risk of 1 %" in card
    for label, policy in found.policies.items():
        lost = with_unit("dead_letter_rate", found.achieved(label))
        assert f'<tr><th scope="row">{label}</th><td>{policy.max_attempts}</td><td>{lost}</td>' in card
    assert found.trials.groupby("policy")["max_attempts"].first().tolist() == [1, 1, 1]


POISON = Scenario.from_text(
    """
    name = "poison"
    horizon = "10s"
    compare = ["none", "fixed"]
    workers = { count = 1, slots = 4 }

    [[jobs]]
    kind = "good"
    arrivals = { process = "deterministic", every = "100ms", jobs = 90 }
    service = { dist = "constant", value = "1ms" }

    [[jobs]]
    kind = "bad"
    arrivals = { process = "deterministic", every = "1s", jobs = 10 }
    service = { dist = "constant", value = "1ms" }
    failures = [{ model = "permanent" }]
    """
)


def test_equal_risk_says_which_policy_cannot_reach_it() -> None:
    """Where no number of attempts saves enough jobs, that is said with what was lost at most attempts."""
    found = equal_risk(POISON, risk="5 %", replications=2, most=6, progress=False)
    assert found.unreached == ("none", "fixed")
    assert found.table()["max_attempts"].tolist() == [6, 6]
    assert found.table()["risk"].tolist() == [pytest.approx(0.1)] * 2
    said = found.verdict()
    assert said.startswith("No policy loses at most 5 % of all jobs. none cannot reach it: 10")
    assert "lost or unfinished with 6 attempts" in said


def test_equal_risk_counts_jobs_left_unfinished_as_lost() -> None:
    """A policy that goes on until the run ends has saved nothing by not giving up."""
    found = equal_risk(
        POISON.with_(drain="1s"), ["fixed"], risk="5 %", replications=2, most=4, progress=False
    )
    assert found.unreached == ("fixed",)


def test_equal_risk_takes_one_attempt_where_that_is_enough() -> None:
    """The search begins with one."""
    found = equal_risk(POISON, ["none"], risk=0.2, replications=2, progress=False)
    assert found.policies["none"].max_attempts == 1
    assert len(found.trials) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"risk": 0}, "risk: must lie between 0 and 1"),
        ({"risk": 1.5}, "risk: 1.5 is no share"),
        ({"risk": "small"}, "risk: must be a finite number or a share such as '0.1 %'"),
        ({"most": 0}, "most: must be a whole number of attempts"),
        ({"policies": ["nonne"]}, "did you mean 'none'"),
        ({"replications": 0}, "replications"),
    ],
)
def test_equal_risk_refuses_what_makes_no_sense(arguments: dict[str, Any], said: str) -> None:
    """Each wrong argument gets one clear sentence, before anything runs."""
    with pytest.raises(ConfigError, match=said):
        equal_risk(POISON, **{"progress": False} | arguments)


@given(st.integers(1, 300), st.integers(1, 200))
def test_search_finds_the_least_number_that_is_enough(least: int, most: int) -> None:
    """Whatever the least number is, it is found in about twice its logarithm; or `most` is not enough."""
    search, steps = _Search(most), 0
    while not search.done:
        search.learn(reached=search.next >= least)
        steps += 1
    assert search.reached == (least <= most)
    assert search.found == min(least, most)
    assert steps <= 2 * math.log2(most) + 3
