"""When jobs arrive."""

from itertools import islice, pairwise

import pytest

from jobsim.core.errors import ConfigError
from jobsim.core.streams import Streams
from jobsim.core.time import MAX_DURATION, SECOND, Duration
from jobsim.models import Deterministic, Listed, Poisson


def uniform(n: int) -> float:
    """Return the n-th number of one stream."""
    return Streams(7).random("arrival", n)


def test_poisson_gaps_average_one_over_the_rate() -> None:
    """The gaps' mean over an even grid of uniform numbers is one over the rate."""
    size = 10_000
    last = list(islice(Poisson(rate="12/s").times(lambda n: (n + 0.5) / size), size))[-1]
    assert last.seconds == pytest.approx(size / 12, rel=1e-3)


def test_poisson_gaps_are_exponential() -> None:
    """The median gap is ln 2 times the mean one."""
    first = next(Poisson(rate="1/s").times(lambda _: 0.5))
    assert first == Duration(693_147)


def test_poisson_times_never_decrease() -> None:
    """Arrivals come in the order of time."""
    times = list(islice(Poisson(rate="900/h").times(uniform), 500))
    assert all(a <= b for a, b in pairwise(times))


def test_poisson_times_depend_on_the_numbers_alone() -> None:
    """The same uniform numbers give the same arrivals."""
    poisson = Poisson(rate="40/min")
    assert list(islice(poisson.times(uniform), 50)) == list(islice(poisson.times(uniform), 50))


def test_poisson_rate_scales_the_same_arrivals() -> None:
    """Twice the rate brings the same pattern in half the time."""
    slow = islice(Poisson(rate="1/s").times(uniform), 50)
    fast = islice(Poisson(rate="2/s").times(uniform), 50)
    assert all(abs(a - 2 * b) <= 1 for a, b in zip(slow, fast, strict=True))


def test_poisson_times_end_where_durations_end() -> None:
    """A rate of once in a thousand years yields nothing that a Duration cannot hold."""
    assert list(Poisson(rate=1 / (1000 * 365 * 86_400)).times(lambda _: 0.9)) == []


def test_deterministic_times_keep_the_beat() -> None:
    """The first arrival is at the start, and the gaps are equal."""
    times = Deterministic(every="250ms", start="1s").times(uniform)
    assert list(islice(times, 3)) == [Duration(1_000_000), Duration(1_250_000), Duration(1_500_000)]


def test_deterministic_times_stop_after_the_given_number() -> None:
    """A batch has as many jobs as it says."""
    assert len(list(Deterministic(every="1s", jobs=4).times(uniform))) == 4


def test_listed_times_are_sorted() -> None:
    """Listed offsets may be written in any order."""
    times = list(Listed(times=["2s", "1s", 1.5]).times(uniform))
    assert times == [SECOND, SECOND * 3 // 2, SECOND * 2]
    assert all(isinstance(time, Duration) for time in times)


def test_listed_times_may_reach_the_longest_duration() -> None:
    """An offset may be as long as any duration."""
    assert list(Listed(times=[MAX_DURATION]).times(uniform)) == [MAX_DURATION]


@pytest.mark.parametrize(
    "rate", ["12", "12/fortnight", "0/s", "-1/s", "nan/s", "1e999/s", "2e6/s", 0, 10**400, True, None]
)
def test_poisson_refuses_what_is_no_rate(rate: str | float) -> None:
    """A rate is a positive number with a unit, at most one a microsecond."""
    with pytest.raises(ConfigError, match=r"^Poisson\.rate: "):
        Poisson(rate=rate)


@pytest.mark.parametrize("every", ["0s", "0.1us", "-1s", "5", float("nan"), float("inf")])
def test_deterministic_refuses_an_impossible_gap(every: str | float) -> None:
    """The gap is at least a microsecond."""
    with pytest.raises(ConfigError, match=r"^Deterministic\.every: "):
        Deterministic(every=every)


def test_listed_refuses_no_times() -> None:
    """A list of arrivals has at least one."""
    with pytest.raises(ConfigError, match=r"^Listed\.times: must have at least one entry$"):
        Listed(times=[])
