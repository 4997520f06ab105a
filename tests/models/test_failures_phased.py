"""Failures that come in bursts."""

import math
from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np
import pytest
from scipy import stats

from jobsim.core.errors import ConfigError
from jobsim.core.streams import Streams
from jobsim.core.time import SECOND, Duration
from jobsim.models import (
    Alternating,
    Condition,
    Constant,
    Distribution,
    ExponentialService,
    Fault,
    GilbertElliott,
    Lognormal,
    Narrowing,
    Slowing,
    Weibull,
)
from jobsim.models.failures_phased import disagreements

REPAIRS = Alternating(up=Weibull(mean="100s", shape=0.7), down=Lognormal(mean="20s", cv=1.5))
BURSTS = GilbertElliott(good="100s", bad="20s", failure_good=0.1, failure_bad=0.9)
SLOTS = GilbertElliott(good="100s", bad="20s", slot="1s")


def begun(model: Alternating | GilbertElliott, seed: int = 1) -> Condition:
    """Return the condition of the run with `seed`."""
    return model.begin(Streams(seed).numbers_in_order("course"))


def down(condition: Condition, second: float, u: float = 0.5) -> bool:
    """Return whether an attempt fails that starts then."""
    return condition.verdict(Duration(round(second * SECOND)), u) is not None


def spells(condition: Condition, until: int, step: Duration) -> dict[bool, list[float]]:
    """Return how long (s) the phases lasted that ended by `until`, up and down, to the nearest step."""
    states = np.array([condition.verdict(Duration(at), 0.5) is not None for at in range(0, until, step)])
    changes = np.flatnonzero(np.diff(states)) + 1
    lengths = np.diff(changes) * (step / SECOND)
    return {phase: lengths[states[changes[:-1]] == phase].tolist() for phase in (False, True)}


def test_alternating_phases_last_as_their_distributions_say() -> None:
    """The lengths of 1,000 outages, and of the times between, pass a Kolmogorov-Smirnov test (seed fixed)."""
    repairs = Alternating(up=Weibull(mean="2s", shape=0.7), down=Lognormal(mean="1s", cv=1))
    found = spells(begun(repairs, 5), 3_000 * SECOND, Duration(1_000))
    up, variance = stats.weibull_min(0.7, scale=2 / math.gamma(1 + 1 / 0.7)), math.log(2)
    away = stats.lognorm(math.sqrt(variance), scale=math.exp(-variance / 2))
    assert len(found[True]) > 900
    assert stats.kstest(found[False], up.cdf).pvalue > 0.01
    assert stats.kstest(found[True], away.cdf).pvalue > 0.01


@pytest.mark.parametrize("model", [REPAIRS, BURSTS, SLOTS], ids=["alternating", "gilbert", "slots"])
@pytest.mark.parametrize("second", [0, 7, 500])
def test_every_moment_finds_the_same_share_down(model: Alternating | GilbertElliott, second: int) -> None:
    """A run is stationary from its start: down with probability mean(down) / (mean(up) + mean(down))."""
    found = [down(begun(model, seed), second) for seed in range(1_500)]
    assert np.mean(found) == pytest.approx(20 / 120, abs=4 * math.sqrt(1 / 6 * 5 / 6 / 1_500))


@pytest.mark.parametrize(
    ("up", "mean_s"),
    [
        (Constant(value="10s"), 5.0),
        (ExponentialService(mean="10s"), 10.0),
        (Weibull(mean="10s", cv=1.5), 10 * (1 + 1.5**2) / 2),
        (Lognormal(mean="10s", cv=0.5), 10 * (1 + 0.5**2) / 2),
    ],
    ids=repr,
)
def test_what_is_left_of_the_first_phase_is_the_residual_life(up: Distribution, mean_s: float) -> None:
    """The first phase is found after a part of it: what is left has the mean ``m (1 + cv^2) / 2``.

    Source: Cox, "Renewal Theory", 1962, chapter 5.
    """
    model = Alternating(up=up, down=Constant(value="1us"))  # type: ignore[arg-type]
    numbers = (Streams(seed).numbers_in_order("course") for seed in range(2_000))
    left = [model._phases(map(number, count()))._ends[0] / SECOND for number in numbers]
    assert np.mean(left) == pytest.approx(mean_s, abs=4 * float(np.std(left)) / math.sqrt(2_000))


@pytest.mark.parametrize(("begins", "first"), [("up", False), ("down", True)])
def test_a_run_may_begin_with_a_whole_phase(begins: Any, first: bool) -> None:
    """Where it is said how the run begins, the first phase lasts from there as any other of its kind."""
    model = Alternating(up=Constant(value="5s"), down=Constant(value="5s"), begins=begins)
    states = [down(begun(model), second) for second in (0, 4.999999, 5, 9.999999, 10)]
    assert states == [first, first, not first, not first, first]


def test_course_does_not_depend_on_who_looks() -> None:
    """The same moments are down whether one looks at all of them or few, forwards or backwards."""
    one, other = begun(REPAIRS), begun(REPAIRS)
    forwards = [down(one, second) for second in range(0, 5_000, 5)]
    assert [down(other, second) for second in reversed(range(0, 5_000, 5))] == forwards[::-1]
    assert [down(begun(REPAIRS), second) for second in range(0, 5_000, 500)] == forwards[::100]
    assert forwards != [down(begun(REPAIRS, 2), second) for second in range(0, 5_000, 5)]


def test_alternating_fails_some_and_slows_all_while_it_is_down() -> None:
    """Probability and factor hold in the down phase alone; without a factor nothing is slowed."""
    brown = Alternating(
        up=Constant(value="5s"),
        down=Constant(value="5s"),
        begins="down",
        probability=0.25,
        factor=4.0,
        takes="2s",
        retry_after="9s",
    )
    condition = begun(brown)
    assert isinstance(condition, Slowing)
    assert [condition.slowdown(Duration(at * SECOND)) for at in (1, 6, 11)] == [4.0, 1.0, 4.0]
    assert [down(condition, 1, u) for u in (0.24, 0.25)] == [True, False]
    assert not down(condition, 6, 0.0)
    assert condition.verdict(Duration(0), 0.0) == Fault(brown.error, brown.takes, brown.retry_after)
    assert not isinstance(begun(REPAIRS), Slowing)


def test_alternating_narrows_while_it_is_down() -> None:
    """Of a dependency the share is left in the down phase, until it ends, and all of it in the other."""
    brown = Alternating(
        up=Constant(value="5s"), down=Constant(value="5s"), begins="down", probability=0.0, capacity=0.25
    )
    condition = begun(brown)
    assert isinstance(condition, Narrowing)
    opened = [condition.opened(Duration(at * SECOND), 8) for at in (1, 5, 12)]
    assert opened == [(2, 5 * SECOND), (8, 10 * SECOND), (2, 15 * SECOND)]


def test_gilbert_elliott_fails_in_both_states() -> None:
    """Each state has its own probability, and over time their mean by its share holds."""
    condition = begun(BURSTS, 3)
    number = Streams(4).numbers("u")
    failed = [down(condition, second, number(second)) for second in range(200_000)]
    assert np.mean(failed) == pytest.approx((100 * 0.1 + 20 * 0.9) / 120, rel=0.05)
    assert [down(condition, 7, u) for u in (0.0, 0.95)] == [True, False]


def test_slots_change_the_state_at_their_ends_alone() -> None:
    """Within a slot the state stays, and its length in slots is geometric."""
    condition = begun(GilbertElliott(good="4s", bad="2s", slot="1s"), 2)
    states = [down(condition, quarter / 4) for quarter in range(40_000)]
    slots = np.array(states).reshape(-1, 4)
    assert (slots == slots[:, :1]).all()
    changed = slots[1:, 0] != slots[:-1, 0]
    assert changed[~slots[:-1, 0]].mean() == pytest.approx(1 / 4, abs=0.02)
    assert changed[slots[:-1, 0]].mean() == pytest.approx(1 / 2, abs=0.03)


@pytest.mark.parametrize("gap", [1, 10, 100])
def test_five_attempts_in_a_burst_fail_together(gap: int) -> None:
    """The chance that five attempts fail, `gap` slots apart, is the product along the Markov chain.

    Source: Gilbert, "Capacity of a burst-noise channel", 1960.
    """
    model = GilbertElliott(good="1000s", bad="100s", failure_good=0.01, failure_bad=0.99, slot="1s")
    chain = np.linalg.matrix_power(np.array([[0.999, 0.001], [0.01, 0.99]]), gap)
    failing = np.diag([0.01, 0.99])
    expected = float(np.array([10 / 11, 1 / 11]) @ np.linalg.matrix_power(failing @ chain, 5) @ [1, 1])
    condition, number, jobs = begun(model, 8), Streams(9).numbers("u"), 20_000
    dead = [
        all(down(condition, job * 800 + n * gap, number(job, n)) for n in range(5)) for job in range(jobs)
    ]
    assert np.mean(dead) == pytest.approx(expected, abs=4 * math.sqrt(expected / jobs))


def test_models_that_share_a_name_agree_on_the_course() -> None:
    """Errors may differ where a name is shared, what decides on the course may not."""
    named = {"name": "api", "up": Constant(value="5s"), "down": Constant(value="5s")}
    one, alike = Alternating(**named), Alternating(**named, error="OSError", probability=0.5)  # type: ignore[arg-type]
    other, own = Alternating(**named, begins="down"), Alternating(**named | {"name": None})  # type: ignore[arg-type]
    assert list(disagreements([((0,), one), ((1,), alike), ((2,), own)])) == []
    [(path, name, _)] = disagreements(
        [((0,), one), ((1,), GilbertElliott(good="1s", bad="1s")), ((2,), other)]
    )
    assert (path, name) == ((2, "alternating", "name"), "api")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Alternating(up=Constant(value="0s"), down=Constant(value="1s")),
            "Alternating: up and down must be longer than zero on average",
        ),
        (
            lambda: Alternating(up={"dist": "weibull", "shape": 0.7}, down=Constant(value="1s")),  # type: ignore[arg-type]
            "Alternating.up.mean is missing",
        ),
        (
            lambda: GilbertElliott(good="9s", bad="1s", slot="2s"),
            "GilbertElliott: a slot (2s) cannot be longer than a state lasts on average",
        ),
        (
            lambda: GilbertElliott(good="9s", bad="1s", slot="0s"),
            "GilbertElliott.slot: must be longer than zero, at least a microsecond: '0s'",
        ),
    ],
)
def test_phased_failures_refuse_nonsense(make: Callable[[], Any], message: str) -> None:
    """What makes no course is refused with the rule that it breaks."""
    with pytest.raises(ConfigError) as caught:
        make()
    assert str(caught.value) == message
