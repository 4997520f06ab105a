"""Numbers with as many digits as they deserve."""

import math

import pytest

from jobsim.analysis.statistics import Interval
from jobsim.analysis.wording import heading, in_text, listed, with_unit


@pytest.mark.parametrize(
    ("name", "interval", "text"),
    [
        ("latency_p50_s", Interval(12.3456, 12.3, 12.4, 9), "12.35 [12.30, 12.40]"),
        ("latency_p50_s", Interval(511.8021, 511.755, 511.849, 9), "511.8 [511.8, 511.8]"),
        ("attempts", Interval(12345.6, 12000, 12691.2, 9), "12,346 [12,000, 12,691]"),
        ("dead_letter_rate", Interval(0.0031, 0.0025, 0.0037, 9), "0.310 [0.250, 0.370]"),
        ("dead_letter_rate", Interval(0, 0, 0.0003, 9), "0.000 [0.000, 0.030]"),
        ("jobs", Interval(500, 500, 500, 9), "500 [500, 500]"),
        ("latency_p50_s", Interval(1.23456, math.nan, math.nan, 1), "1.23 (1 run)"),
        ("latency_p50_s", Interval(math.nan, math.nan, math.nan, 0), "–"),
    ],
)
def test_text_shows_the_digits_that_the_interval_allows(name: str, interval: Interval, text: str) -> None:
    """Two digits of the half width, four of the mean at most; shares in per cent; no interval, no bounds."""
    assert in_text(name, interval) == text


def test_text_never_shows_a_negative_zero() -> None:
    """A difference that rounds to nothing has no sign."""
    assert in_text("latency_p50_s", Interval(-0.001, -0.5, 0.5, 4)) == "0.00 [-0.50, 0.50]"


def test_unit_stands_behind_the_value() -> None:
    """In running text the unit follows the value, with or without an interval."""
    assert with_unit("latency_p50_s", Interval(12, 11, 13, 5)) == "12.0 s [11.0, 13.0]"
    assert with_unit("latency_p50_s", Interval(12, math.nan, math.nan, 1)) == "12 s (1 run)"
    assert heading("dead_letter_rate") == "dead letters, %"


@pytest.mark.parametrize(
    ("words", "text"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_list_reads_as_prose(words: list[str], text: str) -> None:
    """The last word follows `and`."""
    assert listed(words) == text
