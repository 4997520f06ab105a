"""Numbers with as many digits as they deserve."""

import math

import pytest

from jobsim.analysis.statistics import Interval
from jobsim.analysis.wording import heading, in_text, listed, time_span, time_text, with_unit


@pytest.mark.parametrize(
    ("name", "interval", "text"),
    [
        ("latency_p50_s", Interval(12.345, 12.295, 12.395, 9), "12.35 ±0.05"),
        ("latency_p50_s", Interval(12.3456, 12.3, 12.4, 9), "12.35 [12.30, 12.40]"),
        ("latency_p50_s", Interval(511.802, 511.755, 511.849, 9), "511.80 ±0.05"),
        ("attempts", Interval(12345.6, 12000, 12691.2, 9), "12,346 ±346"),
        ("dead_letter_rate", Interval(0.0031, 0.0025, 0.0037, 9), "0.310 ±0.060"),
        ("dead_letter_rate", Interval(0, 0, 0.0003, 9), "0.000 [0.000, 0.030]"),
        ("jobs", Interval(500, 500, 500, 9), "500 ±0"),
        ("latency_p50_s", Interval(1.23456, math.nan, math.nan, 1), "1.23 (1 run)"),
        ("latency_p50_s", Interval(math.nan, math.nan, math.nan, 0), "–"),
        ("latency_p50_s", Interval(math.inf, math.nan, math.nan, 9), "never"),
    ],
)
def test_text_shows_the_digits_that_the_interval_allows(name: str, interval: Interval, text: str) -> None:
    """Two digits of the half width where four of the mean give room, one always; shares in per cent."""
    assert in_text(name, interval) == text


def test_text_never_shows_a_negative_zero() -> None:
    """A difference that rounds to nothing has no sign."""
    assert in_text("latency_p50_s", Interval(-0.001, -0.5, 0.5, 4)) == "0.00 [-0.50, 0.50]"


def test_text_of_an_infinite_difference_has_its_sign() -> None:
    """A policy whose latency is never reached is later than any other by more than any number."""
    assert in_text("latency_p50_s", Interval(math.inf, math.nan, math.nan, 9), signed=True) == "+∞"
    assert in_text("latency_p50_s", Interval(-math.inf, math.nan, math.nan, 9), signed=True) == "-∞"


def test_unit_stands_behind_the_value() -> None:
    """In running text the unit follows the value, with or without an interval."""
    assert with_unit("latency_p50_s", Interval(12, 11, 13, 5)) == "12.0 ±1.0 s"
    assert with_unit("dead_letter_rate", Interval(0, 0, 0.03, 5)) == "0.0 % [0.0, 3.0]"
    assert with_unit("latency_p50_s", Interval(math.inf, math.nan, math.nan, 5)) == "never"
    assert with_unit("latency_p50_s", Interval(12, math.nan, math.nan, 1)) == "12 s (1 run)"
    assert heading("dead_letter_rate") == "dead letters, %"


@pytest.mark.parametrize(
    ("words", "text"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_list_reads_as_prose(words: list[str], text: str) -> None:
    """The last word follows `and`."""
    assert listed(words) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.05, "50 ms"), (1, "1 s"), (90, "1.5 min"), (7200, "2 h"), (864_000, "10 d")]
)
def test_time_is_shown_in_its_natural_unit(seconds: float, text: str) -> None:
    """The largest unit that leaves a number of at least one."""
    assert time_text(seconds) == text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0, 0, "0 s"),
        (540, 540, "9 min"),
        (10.2, 101.9, "10 s-1.7 min"),
        (1190, 1621, "20-27 min"),
        (0.25, 0.75, "250-750 ms"),
        (86_400 * 20.1, 86_400 * 20.2, "20 d"),
        (math.inf, math.inf, "never"),
    ],
)
def test_span_names_a_unit_once(low: float, high: float, text: str) -> None:
    """Two units stand only where they differ; two times that read the same are one."""
    assert time_span(low, high) == text
