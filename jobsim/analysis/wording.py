"""Numbers as people write them: as many digits as the uncertainty allows, and the unit."""

import math
from typing import Final

from jobsim.analysis.measure import Measure
from jobsim.analysis.measures import MEASURES
from jobsim.analysis.statistics import Interval

_DIGITS: Final = 2
"""Significant digits of an interval's half width that are shown, where the mean allows."""
_MOST_DIGITS: Final = 4
_MOST_DECIMALS: Final = 5
_SECONDS: Final = {"d": 86_400, "h": 3600, "min": 60, "s": 1, "ms": 1e-3}


def in_text(name: str, interval: Interval, *, lower_bound: bool = False, signed: bool = False) -> str:
    """Return the value of measure `name` and its interval in its unit, which is left to the heading.

    Written as ``mean ±half width``, or ``mean [low, high]`` where the mean is not in the middle.
    `lower_bound` marks a mean over runs that ended too early; `signed` writes a plus, for differences.
    """
    scale = 100 if MEASURES[name].unit == "%" else 1
    mean, low, high = (scale * x for x in interval[:3])
    if math.isnan(mean):
        return "–"
    if math.isinf(mean):
        return f"{'+' if mean > 0 else '-'}∞" if signed else "never"
    sign = "≥ " if lower_bound else "+" if signed and mean > 0 else ""
    if math.isnan(low):
        return f"{sign}{_plain(mean)} ({interval.n} run{'s'[: interval.n != 1]})"
    half = (high - low) / 2
    places = _decimals(half, mean)
    if math.isclose(high - mean, half, rel_tol=1e-6, abs_tol=1e-12):
        return f"{sign}{_fixed(mean, places)} ±{_fixed(half, places)}"
    return f"{sign}{_fixed(mean, places)} [{_fixed(low, places)}, {_fixed(high, places)}]"


def with_unit(name: str, interval: Interval, *, lower_bound: bool = False) -> str:
    """Return the same with the unit, for running text."""
    text = in_text(name, interval, lower_bound=lower_bound)
    unit = MEASURES[name].unit if math.isfinite(interval.mean) else ""
    if not unit or "±" in text:
        return f"{text} {unit}".strip()
    value, space, rest = text.partition(" [") if " [" in text else text.partition(" (")
    return f"{value} {unit}{space}{rest}"


def heading(name: str) -> str:
    """Return what heads a column of measure `name`, with its unit."""
    measure: Measure = MEASURES[name]
    return f"{measure.label}, {measure.unit}" if measure.unit else measure.label


def time_text(seconds: float) -> str:
    """Return a length of time in its most natural unit, such as ``10 s`` or ``2.8 h``."""
    return " ".join(_natural(seconds, 3))


def time_span(low_s: float, high_s: float) -> str:
    """Return two lengths of time, two digits each, such as ``20-27 min``; one where they read the same."""
    if math.isinf(high_s):
        return "never"
    (low, small), (high, unit) = _natural(low_s, 2), _natural(high_s, 2)
    if (low, small) == (high, unit):
        return f"{high} {unit}"
    return f"{low}{'' if small == unit else f' {small}'}-{high} {unit}"


def _natural(seconds: float, digits: int) -> tuple[str, str]:
    """Return the number, to so many digits, and the unit."""
    unit = next((unit for unit, least in _SECONDS.items() if seconds >= least), "ms" if seconds else "s")
    return f"{float(f'{seconds / _SECONDS[unit]:.{digits}g}'):g}", unit


def listed(words: list[str]) -> str:
    """Return words as ``a, b and c``."""
    return " and ".join(part for part in (", ".join(words[:-1]), words[-1]) if part) if words else ""


def _decimals(half_width: float, mean: float) -> int:
    """Return the decimals that show `_DIGITS` digits of the half width, `_MOST_DIGITS` of the mean at most.

    One digit of the half width is always shown. Of an exact mean, the decimals are those that show
    three digits; none of a whole number.
    """
    if half_width == 0:
        wanted = 0 if float(mean).is_integer() else 2 - _magnitude(mean)
        return max(0, min(wanted, _MOST_DECIMALS))
    wanted = _DIGITS - 1 - _magnitude(half_width)
    most = _MOST_DIGITS - 1 - _magnitude(mean) if mean else wanted
    return max(0, min(max(min(wanted, most), wanted - _DIGITS + 1), _MOST_DECIMALS))


def _magnitude(value: float) -> int:
    return math.floor(math.log10(abs(value)))


def _plain(value: float) -> str:
    return _fixed(value, _decimals(0.0, value))


def _fixed(value: float, places: int) -> str:
    text = f"{value:,.{places}f}"
    return text.removeprefix("-") if float(text.replace(",", "")) == 0 else text
