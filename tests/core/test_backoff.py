import math
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import jobsim
from jobsim.core.backoff import (
    Backoff,
    Decorrelated,
    Exponential,
    Fixed,
    Linear,
    NoBackoff,
    Polynomial,
)
from jobsim.core.errors import ConfigError
from jobsim.core.streams import Stream, Streams
from jobsim.core.time import MAX_DURATION, SECOND, Duration, duration
from tests.core.values import Drawn, backoffs

attempts = st.integers(1, 50) | st.integers(1, 2**31)
NAMES = {name: getattr(jobsim, name) for name in jobsim.__all__ if name[0].isupper()}


@pytest.mark.parametrize(
    ("backoff", "seconds"),
    [
        (NoBackoff(), [0, 0, 0, 0]),
        (Fixed("30s"), [30, 30, 30, 30]),
        (Linear("1s"), [1, 2, 3, 4]),
        (Linear("10s", step="5s", cap="20s"), [10, 15, 20, 20]),
        (Linear("10s", step=0), [10, 10, 10, 10]),
        (Exponential("1s"), [1, 2, 4, 8]),
        (Exponential("1s", factor=3, cap="5s"), [1, 3, 5, 5]),
        (Exponential("1s", first=1, plus="15s"), [17, 19, 23, 31]),
        (Exponential("1s", factor=1.5), [1, 1.5, 2.25, 3.375]),
        (Exponential("1s", factor=1), [1, 1, 1, 1]),
        (Polynomial(), [1, 4, 9, 16]),
        (Polynomial(power=4, first=0, plus="15s"), [15, 16, 31, 96]),
        (Polynomial(power=0.5), [1, math.sqrt(2), math.sqrt(3), 2]),
        (Polynomial(power=0, first=0), [1, 1, 1, 1]),
    ],
    ids=repr,
)
def test_backoff_follows_its_formula(backoff: Backoff, seconds: list[float]) -> None:
    """The delays before the first four retries, without jitter."""
    delays = [backoff.delay(attempt, Duration(0), Drawn(0.5)) for attempt in (1, 2, 3, 4)]
    assert delays == [round(s * SECOND) for s in seconds]


def test_backoff_applies_jitter_after_the_cap_and_the_cap_after_jitter() -> None:
    """Full jitter spreads the capped delay; what is added on top of the cap is cut off again."""
    assert Exponential("1s", cap="4s", jitter="full").delay(9, Duration(0), Drawn(0.5)) == 2 * SECOND
    added = Exponential("1s", cap="4s", jitter=jobsim.Added("100ms"))
    assert added.delay(2, Duration(0), Drawn(0.5)) == duration("2.05s")
    assert added.delay(9, Duration(0), Drawn(0.5)) == 4 * SECOND


def test_decorrelated_draws_between_base_and_three_times_the_previous_delay() -> None:
    """The first draw counts from the base, and the cap cuts what lies above."""
    backoff = Decorrelated("1s", cap="10s")
    assert backoff.delay(1, Duration(0), Drawn(0.5)) == 2 * SECOND
    assert backoff.delay(2, duration("2s"), Drawn(0.0)) == 1 * SECOND
    assert backoff.delay(3, duration("2s"), Drawn(0.5)) == 3.5 * SECOND
    assert backoff.delay(4, duration("9s"), Drawn(0.9)) == 10 * SECOND


@given(st.integers(0, 2**64 - 1))
def test_decorrelated_stays_within_its_bounds_along_a_whole_job(state: int) -> None:
    """Every delay lies between the base and the smaller of the cap and three times the one before."""
    backoff, random, previous = Decorrelated("1s", cap="30s"), Stream(state), Duration(0)
    for attempt in range(1, 30):
        delay = backoff.delay(attempt, previous, random)
        assert SECOND <= delay <= min(30 * SECOND, 3 * max(SECOND, previous))
        previous = delay


@pytest.mark.parametrize(
    ("backoff", "mean"),
    [
        (Exponential("1s", jitter="full"), 2),
        (Exponential("1s", jitter="equal"), 3),
        (Exponential("1s", jitter="stretched"), 6),
        (Decorrelated("1s", cap=None), 3.5),
    ],
    ids=repr,
)
def test_backoff_mean_is_the_closed_form(backoff: Backoff, mean: float) -> None:
    """Of delays d: d/2 for full jitter, 3d/4 for equal, 3d/2 for stretched; b(2 * 1.5^k - 1) decorrelated.

    Retry 3 (d = 4 s), but retry 2 of the decorrelated one, from its first.
    """
    streams, total, runs = Streams(1), 0, 20_000
    for job in range(runs):
        first = backoff.delay(1, Duration(0), streams.stream("jitter", job, 1))
        attempt = 2 if isinstance(backoff, Decorrelated) else 3
        total += backoff.delay(attempt, first, streams.stream("jitter", job, 2))
    assert total / runs / SECOND == pytest.approx(mean, rel=0.02)


@given(backoffs(), attempts, st.integers(0, MAX_DURATION).map(Duration), st.integers(0, 2**64 - 1))
def test_backoff_never_passes_its_cap(backoff: Backoff, attempt: int, previous: Duration, state: int) -> None:
    """Whatever the jitter and the attempt: a Duration from 0 to the cap, or a hundred years without one."""
    delay = backoff.delay(attempt, previous, Stream(state))
    cap = getattr(backoff, "cap", None)
    assert type(delay) is Duration
    assert 0 <= delay <= (MAX_DURATION if cap is None else cap)


@pytest.mark.parametrize("attempt", [33, 64, 1_024, 10_000, 2**31])
@pytest.mark.parametrize(
    "backoff",
    [
        Exponential("1s", cap="30s"),
        Exponential("1us", factor=100.0, cap="30s"),
        Polynomial(power=400, cap="30s"),
        Linear("1s", cap="30s"),
    ],
    ids=repr,
)
def test_backoff_reaches_its_cap_at_any_attempt(backoff: Backoff, attempt: int) -> None:
    """Growth is clamped: no attempt number overflows."""
    assert backoff.delay(attempt, Duration(0), Drawn(0.5)) == 30 * SECOND


def test_backoff_without_base_does_not_grow() -> None:
    """Nothing times any power is nothing; only the constant on top is left."""
    assert Exponential(0, plus="2s").delay(10_000, Duration(0), Drawn(0.5)) == 2 * SECOND


@given(backoffs())
def test_backoff_repr_evaluates_back(backoff: Backoff) -> None:
    """The repr is source, with the names of `jobsim`, that gives an equal value."""
    assert eval(repr(backoff), dict(NAMES)) == backoff


@given(backoffs())
def test_backoff_survives_pickling(backoff: Backoff) -> None:
    """A policy travels to another process as it is."""
    copy = pickle.loads(pickle.dumps(backoff))
    assert copy == backoff
    assert hash(copy) == hash(backoff)


def test_backoff_repr_leaves_out_what_is_as_by_default() -> None:
    """It reads as a person would write it."""
    assert (
        repr(Exponential(base=1, cap=30, jitter="full")) == "Exponential(base='1s', cap='30s', jitter='full')"
    )
    assert repr(Decorrelated("2s", cap=None)) == "Decorrelated(base='2s', cap=None)"
    assert repr(Linear("1s", jitter=jobsim.Added(0.1))) == "Linear(base='1s', jitter=Added('100ms'))"
    assert repr(NoBackoff()) == "NoBackoff()"


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: Fixed("5"), "Fixed.base: '5' has no unit"),
        (lambda: Fixed("-5s"), "Fixed.base: a duration cannot be negative"),
        (lambda: Fixed("10s", cap="5s"), r"Fixed: the cap \(5s\) is below the base \(10s\)"),
        (lambda: Linear("10s", cap="5s"), r"Linear: the cap \(5s\) is below the base \(10s\)"),
        (lambda: Decorrelated("10s", cap="5s"), r"Decorrelated: the cap \(5s\) is below the base"),
        (lambda: Exponential("1s", factor=0.5), "Exponential.factor: must be a finite number, at least 1"),
        (lambda: Exponential("1s", factor=math.nan), "Exponential.factor: must be a finite number"),
        (lambda: Exponential("1s", factor=math.inf), "Exponential.factor: must be a finite number"),
        (lambda: Exponential("1s", first=-1), "Exponential.first: must be a whole number, at least 0"),
        (lambda: Exponential("1s", first=True), "Exponential.first: must be a whole number"),
        (lambda: Exponential("1s", jitter="ful"), "did you mean 'full'"),
        (lambda: Polynomial(power=-1), "Polynomial.power: must be a finite number, at least 0"),
        (lambda: Polynomial(first=True), "Polynomial.first: must be a whole number"),
    ],
)
def test_backoff_refuses_bad_values_by_name(make: Any, complaint: str) -> None:
    """The error names class and field, and shows what was written."""
    with pytest.raises(ConfigError, match=complaint):
        make()
