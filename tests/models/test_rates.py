"""Rates: written with a unit, read as events a second."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsim.core.errors import ConfigError
from jobsim.models.rates import Rate


@pytest.mark.parametrize(
    ("text", "per_second"),
    [
        ("12/s", 12.0),
        ("40/min", 2 / 3),
        ("900/h", 0.25),
        ("86400/d", 1.0),
        (" 1.5 / s ", 1.5),
        ("1e3/h", 1 / 3.6),
    ],
)
def test_rate_units_are_seconds_minutes_hours_and_days(text: str, per_second: float) -> None:
    """A rate reads as events a second."""
    assert Rate.parse(text) == pytest.approx(per_second)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("12", "'12' has no unit; write for example '12/s'"),
        ("12s", "'12s' is not a rate; write for example '12/s', '40/min' or '900/h'"),
        ("12/sec", "'12/sec' is not a rate"),
        ("/s", "'/s' is not a rate"),
        ("1_0/s", "'1_0/s' is not a rate"),
        ("", "'' is not a rate"),
        ("0/s", "a rate must be a number above zero: '0/s'"),
        ("-3/s", "a rate must be a number above zero: '-3/s'"),
        ("1e7/s", "a rate cannot pass one a microsecond: '1e7/s'"),
    ],
)
def test_rate_refuses_with_a_hint(text: str, message: str) -> None:
    """What is no rate is refused with what to write."""
    with pytest.raises(ConfigError) as caught:
        Rate.parse(text)
    assert message in str(caught.value)


@given(st.floats(min_value=1e-9, max_value=1e6))
def test_rate_text_reads_back_exactly(per_second: float) -> None:
    """Every rate is written so that it reads back to the last bit."""
    assert Rate.parse(str(Rate(per_second))) == per_second


@pytest.mark.parametrize("text", ["12/s", "40/min", "900/h", "1/d"])
def test_rate_text_is_short(text: str) -> None:
    """A rate is written in the unit in which it is shortest."""
    assert str(Rate.parse(text)) == text


def test_rate_may_be_nothing_where_that_makes_sense() -> None:
    """Zero is refused unless it is allowed, and is written so that it reads back; below zero is nothing."""
    assert Rate.parse("0/s", zero=True) == Rate.per_second(0, 0, zero=True) == Rate(0)
    assert str(Rate.parse("0/h", zero=True)) == "0/s"
    with pytest.raises(ConfigError, match=r"^a rate cannot be negative: '-1/s'$"):
        Rate.parse("-1/s", zero=True)
