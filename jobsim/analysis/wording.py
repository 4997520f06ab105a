"""Numbers as people write them: as many digits as the uncertainty allows, and the unit."""

import math
from typing import Final

from jobsim.analysis.measures import MEASURES, Measure
from jobsim.analysis.statistics import Interval

_DIGITS: Final = 2
"""Significant digits of an interval's half width that are shown."""
_MOST_DIGITS: Final = 4
_MOST_DECIMALS: Final = 5


def in_text(name: str, interval: Interval, *, lower_bound: bool = False, signed: bool = False) -> str:
    """Return the value of measure `name` and its interval in its unit, which is left to the heading.

    `lower_bound` marks a mean over runs that ended too early; `signed` writes a plus, for differences.
    """
    scale = 100 if MEASURES[name].unit == "%" else 1
    mean, low, high = (scale * x for x in interval[:3])
    if math.isnan(mean):
        return "–"
    sign = "≥ " if lower_bound else "+" if signed and mean > 0 else ""
    if math.isnan(low):
        return f"{sign}{_plain(mean)} ({interval.n} run)"
    places = _decimals((high - low) / 2, mean)
    return f"{sign}{_fixed(mean, places)} [{_fixed(low, places)}, {_fixed(high, places)}]"


def with_unit(name: str, interval: Interval, *, lower_bound: bool = False) -> str:
    """Return the same with the unit behind the value, for running text."""
    text = in_text(name, interval, lower_bound=lower_bound)
    unit = MEASURES[name].unit
    value, space, rest = text.partition(" [") if " [" in text else text.partition(" (")
    return f"{value} {unit}{space}{rest}" if unit else text


def heading(name: str) -> str:
    """Return what heads a column of measure `name`, with its unit."""
    measure: Measure = MEASURES[name]
    return f"{measure.label}, {measure.unit}" if measure.unit else measure.label


def listed(words: list[str]) -> str:
    """Return words as ``a, b and c``."""
    return " and ".join(part for part in (", ".join(words[:-1]), words[-1]) if part) if words else ""


def _decimals(half_width: float, mean: float) -> int:
    """Return the decimals that show `_DIGITS` digits of the half width, `_MOST_DIGITS` of the mean at most.

    Of an exact mean, those that show three digits; none of a whole number.
    """
    if half_width == 0 and float(mean).is_integer():
        return 0
    wanted = _DIGITS - 1 - _magnitude(half_width) if half_width else 2 - _magnitude(mean)
    most = _MOST_DIGITS - 1 - _magnitude(mean) if mean else wanted
    return max(0, min(wanted, most, _MOST_DECIMALS))


def _magnitude(value: float) -> int:
    return math.floor(math.log10(abs(value)))


def _plain(value: float) -> str:
    return _fixed(value, _decimals(0.0, value))


def _fixed(value: float, places: int) -> str:
    text = f"{value:,.{places}f}"
    return text.removeprefix("-") if float(text.replace(",", "")) == 0 else text
