"""Tuning: the space as people write it, the constraint by its limit, the winner on runs it never saw."""

import sys
import warnings
from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsim import policies
from jobsim.core.backoff import Exponential, Fixed
from jobsim.core.errors import ConfigError
from jobsim.core.policy import RetryPolicy
from jobsim.core.time import Duration, duration
from jobsim.sim import Scenario, Tuned, tune
from jobsim.sim.space import Choice, Goal, Length, Real, Whole, check_space, space, varied

optuna = pytest.importorskip("optuna", reason="optuna is an extra")

TEXT = """
name = "small"
horizon = "30s"
drain = "1h"

[workers]
count = 1
slots = 8

[[jobs]]
kind = "charge"
arrivals = { process = "poisson", rate = "3/s" }
service = { dist = "constant", value = "10ms" }
failures = [{ model = "outage", start = "5s", duration = "10s" }]

"""
SCENARIO = Scenario.from_text(TEXT)
SPACE: dict[str, Any] = {
    "max_attempts": (1, 8),
    "backoff.base": ("1s", "8s"),
    "backoff.jitter": ["none", "full"],
}
START = RetryPolicy(Exponential(base="1s", cap="1m", jitter="full"), max_attempts=3, name="start")


@pytest.fixture(scope="module")
def tuned() -> Tuned:
    return tune(
        SCENARIO,
        SPACE,
        "attempts_per_job",
        {"dead_letter_rate": {"below": "2 %"}},
        policy=START,
        trials=15,
        replications=3,
        progress=False,
    )


def test_tune_finds_a_policy_that_outlives_the_outage_cheaply(tuned: Tuned) -> None:
    """Least attempts with few dead letters: waits are long and there are several of them."""
    found = tuned.policy
    assert isinstance(found.backoff, Exponential)
    assert 2 <= found.limit <= 8
    assert found.backoff.base >= duration("2s")
    assert (
        eval(
            repr(found),
            vars(sys.modules["jobsim"]) | {"RetryPolicy": RetryPolicy, "Exponential": Exponential},
        )
        == found
    )


def test_tune_keeps_the_constraint_by_its_limit_on_fresh_runs(tuned: Tuned) -> None:
    """The whole interval of what is reported lies below the bound, on seeds that no trial had."""
    assert tuned.confirmed
    assert tuned.comparison is not None
    found = tuned.comparison.summary()["dead_letter_rate"].loc["tuned"]
    assert found["high"] < 0.02
    assert tuned.comparison.replications == 6
    assert tuned.comparison.seed != SCENARIO.seed


def test_tune_prefers_no_policy_that_breaks_the_constraint(tuned: Tuned) -> None:
    """One attempt costs least, and is tried or not; it is never the answer."""
    trials = tuned.trials
    assert len(trials) <= 15
    assert set(trials.columns) >= {*SPACE, "objective", "low", "high", "kept", "policy"}
    best = trials[trials["kept"]]["objective"].min()
    [own] = trials[trials["policy"] == repr(tuned.policy)]["objective"]
    assert own == best
    assert not trials[trials["max_attempts"] == "1"]["kept"].any()


def test_tune_gives_the_same_answer_again(tuned: Tuned) -> None:
    """Equal seeds, equal search."""
    again = tune(
        SCENARIO,
        SPACE,
        "attempts_per_job",
        {"dead_letter_rate": {"below": 0.02}},
        policy=START,
        trials=15,
        replications=3,
        progress=False,
    )
    assert again.trials.equals(tuned.trials)
    assert again.policy == tuned.policy


def test_tune_tells_what_it_found(tuned: Tuned) -> None:
    """The verdict and the card have both policies' numbers with their intervals."""
    assert tuned.verdict().startswith(f"Of {len(tuned.trials)} policies tried, ")
    assert "keep dead_letter_rate below 2 %" in tuned.verdict()
    assert "start has attempts per job" in tuned.verdict()


def test_tune_has_a_card_of_the_best_it_tried(tuned: Tuned) -> None:
    """Rows are the best trials, with their values, their objective with its interval, and the constraint."""
    assert repr(tuned).startswith("Tuned('attempts_per_job', trials=")
    card = tuned._repr_html_()
    best = tuned.trials[tuned.trials["kept"]].sort_values("objective").iloc[0]
    assert "A policy tuned" in card
    assert "attempts per job</th><th>constraint" in card
    assert f'<tr><th scope="row">{best.name}</th><td>{best["max_attempts"]}</td>' in card
    assert card.count("<tr>") <= 11
    assert f"{best['objective']:.2f}"[:4] in card


def test_tune_does_not_pass_on_what_an_import_warns_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a notebook without widgets optuna's progress bar would warn."""

    def warns(name: str) -> object:
        warnings.warn("IProgress not found", UserWarning, stacklevel=1)
        return import_module(name)

    monkeypatch.setattr("jobsim.sim.tuning.import_module", warns)
    tune(SCENARIO, SPACE, policy=START, trials=1, replications=1, progress=False)


def test_tune_says_that_nothing_keeps_the_constraint() -> None:
    """Then there is no policy: asking for it raises, and the nearest one tried is named."""
    found = tune(SCENARIO, {"max_attempts": [1, 2]}, policy=START, trials=3, replications=2, progress=False)
    assert found.comparison is None
    with pytest.raises(
        ConfigError, match=r"None of 2 policies keeps .* for certain; nearest came RetryPolicy"
    ):
        _ = found.policy


def test_tune_raises_what_is_better_high() -> None:
    """A measure that is better high is made high."""
    found = tune(
        SCENARIO,
        {"max_attempts": [1, 8]},
        "success_rate",
        {},
        policy=replace(START, backoff=Fixed("5s")),
        trials=4,
        replications=2,
        progress=False,
    )
    assert found.policy.max_attempts == 8


def test_tune_of_a_file_is_read_and_written_back() -> None:
    """What the table [tune] says is searched, and survives the round trip."""
    table = """[tune]
        policy = "fixed"
        objective = "latency_p95_s"
        constraint = { dead_letter_rate = { below = "50 %" } }
        space.backoff.base = { from = "1s", to = "20s" }
        space.max_attempts = [4]
        """
    scenario = Scenario.from_text(TEXT + table)
    assert scenario.tune is not None
    assert scenario.tune.space == {
        "backoff.base": Length(Duration(1_000_000), Duration(20_000_000)),
        "max_attempts": Choice((4,)),
    }
    assert Scenario.from_text(scenario.to_toml()) == scenario
    found = tune(scenario, trials=4, replications=2, progress=False)
    assert (found.goal, found.start) == (scenario.tune, policies.fixed)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("space = {}", "tune.space: is empty"),
        ("space.max_attempts = { from = 3 }", "max_attempts: a range is"),
        ("space.max_attempts = 3", "max_attempts: must be a range or a list"),
        ("space.max_attempts = { from = 5, to = 2 }", "from the lower value to the higher"),
        ("space.max_attempts = { from = 0, to = 2 }", "max_attempts: must be a whole number, at least 1"),
        ('space.backoff.bas = { from = "1s", to = "2s" }', "did you mean 'base'"),
        ("space.backoff.base = { from = 1, to = 2 }", "backoff.base: 1 has no unit"),
        ('space.backoff.base = { from = "0s", to = "2s" }', "begins above zero"),
        ('space.backoff.jitter = ["fll"]', "fll"),
        ("space.max_atempts = { from = 1, to = 2 }", "did you mean 'max_attempts'"),
        ('objective = "jbs"', "did you mean 'jobs'"),
        ('objective = "jobs"', "neither better where it is low nor"),
        ('constraint = { jobs = { policy = "none", below = 1 } }', "leave out policy"),
        ('policy = "obn"', "did you mean 'oban'"),
    ],
)
def test_tune_that_makes_no_sense_is_refused_with_the_file(written: str, said: str) -> None:
    """Every mistake in the table is told when the scenario is read."""
    with pytest.raises(ConfigError, match=said):
        Scenario.from_text(f"{TEXT}[tune]\n{written}\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"trials": 0}, "trials: must be a whole number"),
        ({"replications": 0}, "replications"),
        ({"policy": "obn"}, "did you mean 'oban'"),
        ({"space": {"backoff": ("1s", "2s")}}, "backoff"),
        ({"space": {"retries": (1, 2)}}, "retries"),
        ({"objective": "jbs"}, "did you mean 'jobs'"),
    ],
)
def test_tune_refuses_what_makes_no_sense(arguments: dict[str, Any], said: str) -> None:
    """Each wrong argument gets one clear sentence, before anything runs."""
    with pytest.raises(ConfigError, match=said):
        tune(SCENARIO, **arguments)


def test_tune_without_optuna_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is named."""
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigError, match=r"tune needs optuna .*run: pip install optuna"):
        tune(SCENARIO, progress=False)


def test_space_tells_ranges_by_what_they_hold() -> None:
    """Whole numbers, numbers, durations and lists."""
    found = space(
        {"max_attempts": (1, 9), "backoff": {"factor": (1.5, 3), "cap": ("1m", "1h")}, "retry_on": ["A"]}
    )
    assert found == {
        "max_attempts": Whole(1, 9),
        "backoff.factor": Real(1.5, 3.0),
        "backoff.cap": Length(duration("1m"), duration("1h")),
        "retry_on": Choice(("A",)),
    }


def test_varied_changes_the_parts_of_a_policy_together() -> None:
    """Base and cap may pass each other's old values."""
    found = varied(START, {"max_attempts": 7, "backoff.base": "2m", "backoff.cap": "10m"})
    assert found == RetryPolicy(Exponential(base="2m", cap="10m", jitter="full"), max_attempts=7)
    check_space(START, space({"backoff.base": ("1s", "5m"), "backoff.cap": ("5m", "1h")}))


@given(st.floats(1.0, 3600.0))
def test_length_is_readable_and_in_its_range(seconds: float) -> None:
    """Two digits of seconds, never outside."""
    one = Length(duration("1s"), duration("1h"))
    found = one.at(seconds)
    assert one.low <= found <= one.high
    assert found.seconds == pytest.approx(seconds, rel=0.051)


def test_goal_searches_a_wide_space_by_default() -> None:
    """Without a word, least attempts at less than one dead letter in a thousand."""
    goal = Goal()
    assert (goal.objective, str(goal.constraint[0])) == ("attempts_per_job", "dead_letter_rate below 0.1 %")
    assert set(goal.space) == {"max_attempts", "backoff.base", "backoff.cap", "backoff.jitter"}
    assert not goal.upwards
