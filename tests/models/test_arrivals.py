"""When jobs arrive."""

from itertools import islice, pairwise
from pathlib import Path

import pytest

from jobsim.core.errors import ConfigError
from jobsim.core.streams import Streams
from jobsim.core.time import MAX_DURATION, SECOND, Duration
from jobsim.models import Arrivals, Batches, Deterministic, Listed, Poisson, Recorded


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


def test_batches_bring_their_jobs_at_the_times_of_another_process() -> None:
    """At each time of the other process as many jobs arrive as the batch has."""
    times = Batches(of=Deterministic(every="1s", jobs=3), size=2).times(uniform)
    assert list(times) == [0, 0, SECOND, SECOND, 2 * SECOND, 2 * SECOND]


def test_batches_of_one_are_the_process_itself() -> None:
    """A batch of one job changes nothing but which numbers are used."""
    assert list(Batches(of=Listed(times=["1s", "4s"]), mean_size=1.0).times(uniform)) == [SECOND, 4 * SECOND]


def test_batch_sizes_are_geometric() -> None:
    """Sizes are at least one, have the given mean, and each further job is as likely as the one before."""
    mean = 4.0
    batches = Batches(of=Deterministic(every="1s", jobs=20_000), mean_size=mean)
    sizes: dict[int, int] = {}
    for at in batches.times(Streams(3).numbers_in_order("arrival")):
        sizes[at] = sizes.get(at, 0) + 1
    assert len(sizes) == 20_000
    assert sum(sizes.values()) / 20_000 == pytest.approx(mean, rel=0.03)
    for least in (1, 2, 4):
        more = sum(size > least for size in sizes.values()) / sum(size >= least for size in sizes.values())
        assert more == pytest.approx(1 - 1 / mean, rel=0.03)


@pytest.mark.parametrize("sizes", [{}, {"size": 2, "mean_size": 2.0}])
def test_batches_have_one_kind_of_size(sizes: dict[str, float]) -> None:
    """A batch is given by its size or by the mean of its sizes."""
    with pytest.raises(ConfigError, match=r"^Batches: give either size or mean_size$"):
        Batches(of=Poisson(rate="1/s"), **sizes)  # type: ignore[arg-type]


def test_batches_hold_no_batches() -> None:
    """What arrives in batches is a process of single jobs."""
    with pytest.raises(ConfigError, match=r"^Batches\.of\.process: 'batches' is not one of poisson, "):
        Batches(of={"process": "batches"}, size=2)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["1.5\n0\n\n 2e3 \n", "\ufeffsubmitted\n2000\n0\n1.5"])
def test_recorded_arrivals_are_the_seconds_of_a_file(text: str, tmp_path: Path) -> None:
    """Lines are seconds since the start, in any order; there may be a heading, and lines left empty."""
    path = tmp_path / "arrivals.csv"
    path.write_text(text, encoding="utf-8")
    assert list(Recorded(file=path).times(uniform)) == [0, 3 * SECOND // 2, 2_000 * SECOND]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\n2\nthree\n", ":3: 'three' is not a number of seconds from the start"),
        ("at\n1,2\n", ":2: '1,2' is not a number of seconds from the start"),
        ("-1\n", ":1: '-1' is not a number of seconds from the start"),
        ("1\nnan\n", ":2: 'nan' is not a number of seconds from the start"),
        (None, ": cannot be read: No such file or directory"),
    ],
)
def test_recorded_arrivals_are_refused_with_the_line(text: str | None, message: str, tmp_path: Path) -> None:
    """What is no number of seconds is told with file and line, before anything runs."""
    path = tmp_path / "arrivals.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        Recorded(file=path)
    assert str(caught.value) == f"Recorded: {path}{message}"


@pytest.mark.parametrize("file", ["", 5, None])
def test_recorded_arrivals_need_a_path(file: Path) -> None:
    """Anything but a path is refused."""
    with pytest.raises(ConfigError, match=r"^Recorded\.file: must be the path of a file, not "):
        Recorded(file=file)


@pytest.mark.parametrize(
    "arrivals", [Batches(of=Poisson(rate="1/s"), size=3), Batches(of=Poisson(rate="1/s"), mean_size=3.0)]
)
def test_arrivals_use_each_number_in_turn(arrivals: Arrivals) -> None:
    """Numbers are asked for one after the other, so that they can be drawn in blocks."""
    asked: list[int] = []

    def noted(n: int) -> float:
        asked.append(n)
        return uniform(n)

    list(islice(arrivals.times(noted), 50))
    assert asked == list(range(len(asked)))
