"""Arrivals whose rate changes."""

import math
from collections.abc import Callable
from itertools import islice, pairwise, takewhile
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad

from jobsim.core.errors import ConfigError
from jobsim.core.streams import Streams
from jobsim.core.time import SECOND
from jobsim.models import Diurnal, Mmpp, OnOff, Piecewise, Ramp, Spike

Process = Diurnal | Ramp | Spike | Piecewise | Mmpp | OnOff

DAY = Diurnal(rate="10/s", amplitude=0.8, period="5m", peak="1m")
RAMP = Ramp(rate="2/s", to="30/s", start="30s", duration="2m")
SPIKE = Spike(rate="5/s", to="50/s", start="1m", duration="20s")
STEPS = Piecewise(rates=[("0s", "10/s"), ("1m", "0/s"), ("2m", "25/s")])
LINES = Piecewise(rates=[("10s", "0/s"), ("1m", "20/s"), ("2m", "0/s")], between="lines")
VARYING: list[tuple[Process, Callable[[float], float]]] = [
    (DAY, lambda t: 10 * (1 + 0.8 * math.cos(2 * math.pi * (t - 60) / 300))),
    (RAMP, lambda t: float(np.interp(t, [30, 150], [2, 30]))),
    (SPIKE, lambda t: 50 if 60 <= t < 80 else 5),
    (STEPS, lambda t: 10 if t < 60 else 0 if t < 120 else 25),
    (LINES, lambda t: float(np.interp(t, [10, 60, 120], [0, 20, 0]))),
]
ALL = [*(process for process, _ in VARYING), Mmpp(rates=("2/s", "0/s"), sojourns=("5s", "5s"))]


def seconds(process: Process, until: float, seed: int = 1) -> list[float]:
    """Return the arrivals before `until`."""
    times = process.times(Streams(seed).numbers_in_order("arrival"))
    return [at / SECOND for at in takewhile(lambda at: at < until * SECOND, times)]


def shown(value: object) -> str:
    """Return the name of a case: the process, and not its rate."""
    return "" if callable(value) else f"{type(value).__name__}-{value}"


@pytest.mark.parametrize(("process", "rate"), VARYING, ids=shown)
def test_rescaled_by_their_rate_arrivals_are_poisson(
    process: Process, rate: Callable[[float], float]
) -> None:
    """Over the integral of the rate the gaps are exponential with mean 1, by a Kolmogorov-Smirnov test.

    Source: Daley & Vere-Jones, "An Introduction to the Theory of Point Processes" 1, 2003, theorem 7.4.I.
    """
    grid = np.linspace(0, 300, 300_001)
    integral = np.concatenate([[0], np.cumsum([rate(t) for t in grid[:-1]]) * (grid[1] - grid[0])])
    arrivals = np.array(seconds(process, 300))
    gaps = np.diff(np.interp(arrivals, grid, integral), prepend=0)
    assert len(gaps) > 700
    assert stats.kstest(gaps, "expon").pvalue > 0.01


@pytest.mark.parametrize(("process", "rate"), VARYING, ids=shown)
def test_as_many_arrive_as_the_rate_says(process: Process, rate: Callable[[float], float]) -> None:
    """Within each half minute the mean number of arrivals of 40 runs is the integral of the rate."""
    runs = [np.histogram(seconds(process, 300, seed), 10, (0, 300))[0] for seed in range(40)]
    for place, counts in enumerate(np.transpose(runs)):
        expected = quad(rate, 30 * place, 30 * place + 30, limit=200, points=[60, 80, 120, 150])[0]
        assert counts.mean() == pytest.approx(expected, abs=4 * math.sqrt(expected / 40) + 1e-3)


def test_rates_hold_before_the_first_and_after_the_last() -> None:
    """A ramp stays where it ends, a step where it begins, and a rate of 0 brings nobody any more."""
    assert len(seconds(RAMP, 1_150)) - len(seconds(RAMP, 150)) == pytest.approx(30_000, rel=0.03)
    late = Piecewise(rates=[("100s", "10/s"), ("200s", "0/s")])
    assert len(seconds(late, 1e9)) == pytest.approx(2_000, rel=0.1)


def test_varying_a_little_is_close_to_not_varying() -> None:
    """A diurnal process without amplitude, and steps of one height, are Poisson processes of that rate."""
    for flat in (Diurnal(rate="10/s", amplitude=0), Piecewise(rates=[("0s", "10/s"), ("9s", "10/s")])):
        gaps = np.diff(seconds(flat, 200))
        assert stats.kstest(gaps, "expon", args=(0, 0.1)).pvalue > 0.01


MMPPS: list[tuple[Process, tuple[float, ...]]] = [
    (Mmpp(rates=("2/s", "20/s"), sojourns=("30s", "10s")), (2, 20, 30, 10)),
    (OnOff(rate="20/s", on="5s", off="15s"), (20, 0, 5, 15)),
]


@pytest.mark.parametrize(("process", "numbers"), MMPPS, ids=["mmpp", "on_off"])
def test_modulated_counts_have_their_mean_and_dispersion(
    process: Process, numbers: tuple[float, ...]
) -> None:
    """Mean and variance of the arrivals within 50 s are those of an MMPP-2 that is stationary.

    ``Var N(t) = mean + 2 p1 p2 (r1 - r2)^2 (t - (1 - e^(-s t)) / s) / s`` with ``s = s1 + s2``.
    Source: Fischer & Meier-Hellstern, "The MMPP cookbook", 1993, section 2.
    """
    rate_1, rate_2, mean_1, mean_2 = numbers
    share, change, t = mean_1 / (mean_1 + mean_2), 1 / mean_1 + 1 / mean_2, 50.0
    mean = t * (rate_1 * share + rate_2 * (1 - share))
    spread = 2 * share * (1 - share) * (rate_1 - rate_2) ** 2 / change
    variance = mean + spread * (t - (1 - math.exp(-change * t)) / change)
    counts = [len(seconds(process, t, seed)) for seed in range(600)]
    assert np.mean(counts) == pytest.approx(mean, abs=4 * math.sqrt(variance / 600))
    assert np.var(counts) == pytest.approx(variance, rel=0.25)


def test_modulated_arrivals_begin_as_they_go_on() -> None:
    """The first second finds a burst as often as any other does."""
    process = OnOff(rate="50/s", on="10s", off="30s")
    begun = [bool(seconds(process, 0.5, seed)) for seed in range(800)]
    assert np.mean(begun) == pytest.approx(0.26, abs=0.06)


@pytest.mark.parametrize("process", ALL, ids=shown)
def test_varying_times_never_go_back_and_repeat(process: Process) -> None:
    """Offsets are whole microseconds in order, and the same numbers give the same offsets."""
    times = list(islice(process.times(Streams(2).numbers_in_order("arrival")), 300))
    assert all(a <= b for a, b in pairwise(times))
    assert times == list(islice(process.times(lambda n: Streams(2).random("arrival", n)), 300))


@pytest.mark.parametrize("process", ALL, ids=shown)
def test_varying_arrivals_use_each_number_in_turn(process: Process) -> None:
    """Numbers are asked for one after the other, so that they can be drawn in blocks."""
    asked: list[int] = []
    number = Streams(2).numbers_in_order("arrival")

    def noted(n: int) -> float:
        asked.append(n)
        return number(n)

    list(islice(process.times(noted), 50))
    assert asked == list(range(len(asked)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Diurnal(rate="1/s", amplitude=1.1), "Diurnal.amplitude: must be at most 1, not 1.1"),
        (lambda: Ramp(rate="1/s", to=-1, duration="1s"), "Ramp.to: a rate cannot be negative: -1"),
        (
            lambda: Ramp(rate="1/s", to="2", duration="1s"),
            "Ramp.to: '2' has no unit; write for example '2/s'",
        ),
        (
            lambda: Piecewise(rates=[("1s", "1/s"), ("1s", "2/s")]),
            "Piecewise.rates: the offsets must rise: 1s does not come after 1s",
        ),
        (lambda: Piecewise(rates=[]), "Piecewise.rates: must have at least one entry"),
        (
            lambda: Piecewise(rates=[("1s", "1/s")], between="curves"),  # type: ignore[arg-type]
            "Piecewise.between: must be 'steps' or 'lines', not 'curves'",
        ),
        (lambda: Mmpp(rates=["1/s"], sojourns=["1s", "1s"]), "Mmpp.rates.1 is missing"),
        (
            lambda: Mmpp(rates=["1/s", "2/s"], sojourns=["1s", "0s"]),
            "Mmpp.sojourns.1: must be longer than zero, at least a microsecond: '0s'",
        ),
        (
            lambda: OnOff(rate="0/s", on="1s", off="1s"),
            "OnOff.rate: a rate must be a number above zero: '0/s'",
        ),
    ],
)
def test_varying_arrivals_refuse_nonsense(make: Callable[[], Any], message: str) -> None:
    """What makes no process is refused with the rule that it breaks."""
    with pytest.raises(ConfigError) as caught:
        make()
    assert str(caught.value) == message
