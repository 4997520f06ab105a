"""Policies in a scenario file."""

import pytest

from jobsim.core.backoff import (
    Backoff,
    Decorrelated,
    Exponential,
    Fixed,
    Linear,
    NoBackoff,
    Polynomial,
)
from jobsim.core.jitter import Added, Equal, Full, Proportional, Stretched
from jobsim.core.policy import RetryPolicy
from jobsim.policies import PRESETS
from jobsim.sim.policy_tables import BACKOFFS, DEFAULT_COMPARE, JITTERS, policy_table, read_policies
from jobsim.sim.scenario import Scenario

BASE = """\
name = "base"
horizon = "1h"
workers = { count = 1, slots = 1 }
[[jobs]]
kind = "charge"
arrivals = { process = "poisson", rate = "1/s" }
service = { dist = "constant", value = "1s" }
"""


def read(toml: str) -> dict[str, RetryPolicy]:
    """Return the policies of a scenario whose top is `toml`'s first line and whose end is the rest."""
    top, _, tables = toml.partition("\n")
    return Scenario.from_text(f"{top}\n{BASE}{tables}").policies


@pytest.mark.parametrize(
    ("written", "backoff"),
    [
        ('"none"', NoBackoff()),
        ('{ kind = "none" }', NoBackoff()),
        ('{ kind = "fixed", base = "30s" }', Fixed("30s")),
        ('{ kind = "fixed", base = "30s", cap = "1m", jitter = "full" }', Fixed("30s", "1m", "full")),
        ('{ kind = "linear", base = "1s", step = "500ms" }', Linear("1s", "500ms")),
        ('{ kind = "exponential", base = "1s", cap = "30s" }', Exponential("1s", cap="30s")),
        (
            '{ kind = "exponential", factor = 1.5, first = 1, plus = "15s" }',
            Exponential(factor=1.5, first=1, plus="15s"),
        ),
        ('{ kind = "polynomial", power = 4, first = 0 }', Polynomial(power=4, first=0)),
        ('{ kind = "decorrelated", base = "2s", cap = "1m" }', Decorrelated("2s", "1m")),
        ('{ kind = "decorrelated", cap = "none" }', Decorrelated(cap=None)),
        ('{ kind = "fixed", jitter = { kind = "full", step = "1s" } }', Fixed(jitter=Full("1s"))),
        ('{ kind = "fixed", jitter = "equal" }', Fixed(jitter=Equal())),
        ('{ kind = "fixed", jitter = "stretched" }', Fixed(jitter=Stretched())),
        ('{ kind = "fixed", jitter = "none" }', Fixed()),
        ('{ kind = "fixed", jitter = { kind = "proportional", up = 0.1 } }', Fixed(jitter=Proportional(0.1))),
        (
            '{ kind = "fixed", jitter = { kind = "proportional", up = 0.1, down = 0, step = "1s" } }',
            Fixed(jitter=Proportional(0.1, 0, "1s")),
        ),
        (
            '{ kind = "fixed", jitter = { kind = "added", upto = "10s", step = "1s", grows = "range" } }',
            Fixed(jitter=Added("10s", "1s", "range")),
        ),
    ],
)
def test_policy_table_says_every_backoff_and_jitter(written: str, backoff: Backoff) -> None:
    """Each kind of backoff and jitter, with each of its options, can be written."""
    policies = read(f'compare = ["mine"]\n[policies.mine]\nbackoff = {written}\n')
    assert policies == {"mine": RetryPolicy(backoff)}


def test_policy_table_covers_every_class() -> None:
    """The kinds of a file are all the classes there are, by name."""
    assert {cls.__name__ for cls in BACKOFFS.values()} == {
        "NoBackoff",
        "Fixed",
        "Linear",
        "Exponential",
        "Polynomial",
        "Decorrelated",
    }
    assert {cls.__name__ for cls in JITTERS.values()} == {
        "NoJitter",
        "Full",
        "Equal",
        "Stretched",
        "Proportional",
        "Added",
    }


def test_policy_table_says_every_stop_rule() -> None:
    """Limits on attempts and age and the lists of errors can be written."""
    policies = read(
        'compare = ["mine", "endless"]\n'
        '[policies.mine]\nmax_attempts = 12\nmax_age = "30m"\nretry_on = "OSError"\n'
        'dead_letter_on = ["ValueError", "stripe.CardError"]\n'
        '[policies.endless]\nmax_attempts = "none"\n'
    )
    assert policies == {
        "mine": RetryPolicy(
            max_attempts=12,
            max_age="30m",
            retry_on="OSError",
            dead_letter_on=["ValueError", "stripe.CardError"],
        ),
        "endless": RetryPolicy(max_attempts=None),
    }


@pytest.mark.parametrize("name", PRESETS)
def test_policy_table_of_every_preset_reads_back(name: str) -> None:
    """Each preset, written out as a table, reads back as itself."""
    policies, problems = read_policies(["copy"], {"copy": policy_table(PRESETS[name])})
    assert problems == []
    assert policies == {"copy": PRESETS[name]}


def test_compare_chooses_presets_and_own_tables_in_order() -> None:
    """The list decides which policies are compared, in which order."""
    policies = read('compare = ["oban", "mine", "none"]\n[policies.mine]\n[policies.unused]\n')
    assert list(policies) == ["oban", "mine", "none"]
    assert policies["oban"] is not policies["none"]
    assert policies["mine"] == RetryPolicy()


def test_compare_defaults_to_presets_and_own_tables() -> None:
    """Without a list, the default presets are compared, then the file's own policies."""
    assert list(read("\n[policies.mine]\nmax_attempts = 3\n")) == [*DEFAULT_COMPARE, "mine"]


def test_own_table_goes_before_the_preset_of_its_name() -> None:
    """A file may redefine a preset, and that survives writing."""
    text = f'compare = ["oban"]\n{BASE}[policies.oban]\nmax_attempts = 3\n'
    scenario = Scenario.from_text(text)
    assert scenario.policies == {"oban": RetryPolicy(max_attempts=3)}
    assert Scenario.from_text(scenario.to_toml()) == scenario
