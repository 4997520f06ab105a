"""Limits in a scenario, and what is in force in a run of it."""

import pytest

from jobsim import budgets
from jobsim.core.backoff import Fixed
from jobsim.core.breaker import Breaker
from jobsim.core.budget import Budget
from jobsim.core.errors import ConfigError
from jobsim.core.limits import By, Limit, Rate, Scope
from jobsim.core.policy import RetryPolicy
from jobsim.core.time import SECOND
from jobsim.core.transitions import Kind
from jobsim.sim.limit_tables import LimitTable, limits_of
from jobsim.sim.scenario import Scenario
from jobsim.sim.world import Run, run_world

TEXT = """\
name = "limited"
horizon = "60s"
compare = ["thrifty"]

[workers]
count = 2
slots = 4

[[jobs]]
kind = "charge"
arrivals = { process = "deterministic", every = "100ms" }
service = { dist = "constant", value = "50ms" }
failures = [{ model = "outage", start = "10s", duration = "20s" }]

[policies.thrifty]
backoff = { kind = "fixed", base = "1s" }
budget = { capacity = 5, first_try = 0.1, per_second = 0, when_empty = "dead_letter" }
breaker = "polly"
"""
LIMITS = """
[[limits]]
queue = "default"
running = 3
rate = "100/1s"
burst = 7
breaker = { threshold = 0.9, window = "2s" }

[[limits]]
kind = "charge"
running_per_key = 2
budget = "grpc"
"""


def test_limits_of_a_file_are_those_of_live_queues() -> None:
    """Every field is read, and written back; presets go by their names."""
    scenario = Scenario.from_text(TEXT + LIMITS)
    assert {table.scope: table.limit for table in scenario.limits} == {
        Scope(By.QUEUE, "default"): Limit(
            running=3, rate=Rate(100, "1s", 7), breaker=Breaker(threshold=0.9, window="2s")
        ),
        Scope(By.KIND, "charge"): Limit(running_per_key=2, budget=budgets.grpc),
    }
    policy = scenario.policies["thrifty"]
    assert policy.budget == Budget(capacity=5, first_try=0.1, per_second=0, when_empty="dead_letter")
    assert policy.breaker == budgets.polly
    written = scenario.to_toml()
    assert 'breaker = "polly"' in written
    assert Scenario.from_text(written) == scenario


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('budget = "grpc"', 'budget = "grcp"', "limits.1.budget: budget: no budget is called 'grcp'"),
        ('budget = "grpc"', "budget = { capcity = 3 }", "capcity: unknown key (did you mean 'capacity'?)"),
        ('budget = "grpc"', "budget = { ttl = 3 }", "ttl: 3 has no unit"),
        ('budget = "grpc"', "budget = 3", "must be a table, or one of aws_sdk"),
        ('window = "2s"', 'stops = "all"', "limits.0.breaker: stops: 'all' is none of"),
        ('"100/1s"', '"fast"', "limits.0.rate: 'fast' is no rate"),
        ('rate = "100/1s"\n', "", "burst goes with rate"),
        ('queue = "default"', 'queue = "default"\nkind = "charge"', "give one of kind and queue"),
        ("budget = { capacity", "budget = { capcity", "policies.thrifty.budget.capcity: unknown key"),
        (
            'breaker = "polly"',
            'breaker = "poly"',
            "policies.thrifty.breaker: must be a table, or one of polly",
        ),
    ],
)
def test_what_is_wrong_with_a_limit_is_told_by_its_key(old: str, new: str, said: str) -> None:
    """The line is named, and what could be meant."""
    text = (TEXT + LIMITS).replace(old, new)
    assert text != TEXT + LIMITS
    with pytest.raises(ConfigError) as error:
        Scenario.from_text(text)
    assert said in str(error.value)


def test_a_limit_that_limits_nothing_is_refused() -> None:
    """It would be a mistake, as it has no effect."""
    with pytest.raises(ConfigError, match="limits nothing"):
        LimitTable(kind="charge")


def test_a_policy_brings_its_budget_for_each_kind() -> None:
    """What is said of a kind itself goes before it."""
    policy = RetryPolicy(Fixed("1s"), budget=budgets.grpc, breaker=budgets.polly)
    table = LimitTable(kind="charge", running=2, budget="aws_sdk")
    assert limits_of([table], ["charge", "mail"], policy) == {
        Scope(By.KIND, "charge"): Limit(running=2, budget=budgets.aws_sdk, breaker=budgets.polly),
        Scope(By.KIND, "mail"): Limit(budget=budgets.grpc, breaker=budgets.polly),
    }
    assert limits_of([], ["charge"], RetryPolicy()) == {}


def run(storage: str, policy: RetryPolicy) -> Run:
    """Run the scenario once."""
    return run_world(Scenario.from_text(TEXT), policy, 1, storage)


@pytest.mark.parametrize("storage", ["memory", "sqlite"])
def test_a_budget_is_kept_in_a_simulation(storage: str) -> None:
    """Retries of a total outage are what the bucket held, and a tenth of the first tries."""
    budget = Budget(capacity=5, first_try=0.1, per_second=0, when_empty="dead_letter")
    log = run(storage, RetryPolicy(Fixed("0.3s"), max_attempts=3, budget=budget)).log
    retries = sum(event.kind is Kind.RETRY for event in log)
    assert retries == pytest.approx(5 + 200 / 10, abs=1)
    assert {event.why.reason for event in log if event.kind is Kind.DEAD_LETTER} == {"budget", "exhausted"}


@pytest.mark.parametrize("storage", ["memory", "sqlite"])
def test_an_open_breaker_saves_attempts_and_jobs(storage: str) -> None:
    """Jobs wait through the outage, but for those that open the breaker and those that probe."""
    policy = RetryPolicy(Fixed("1s"), max_attempts=8)
    breaker = Breaker(threshold=0.5, window="2s", min_calls=5, open_for="3s")
    plain, broken = (
        run(storage, p) for p in (policy, RetryPolicy(Fixed("1s"), max_attempts=8, breaker=breaker))
    )
    failures = [sum(event.why.outcome == "failed" for event in each.log) for each in (plain, broken)]
    dead = [sum(event.kind is Kind.DEAD_LETTER for event in each.log) for each in (plain, broken)]
    assert failures[0] > 1_000
    assert failures[1] < 40
    assert dead[0] > dead[1] == 0
    last = max(e.at for e in broken.log if e.why.outcome == "failed") - broken.began
    assert last < 31 * SECOND


def test_both_stores_keep_budgets_and_breakers_alike() -> None:
    """The same run on either has the same log."""
    guards = {"budget": Budget(capacity=5, per_second=0.5), "breaker": Breaker(min_calls=5, open_for="3s")}
    policy = RetryPolicy(Fixed("1s"), max_attempts=4, **guards)  # type: ignore[arg-type]  # a dict has one type
    one, other = run("memory", policy), run("sqlite", policy)
    assert one.log.digest() == other.log.digest()
