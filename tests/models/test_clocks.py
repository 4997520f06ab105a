"""How wrong clocks are."""

from hypothesis import given
from hypothesis import strategies as st

from jobsim.core.streams import Streams
from jobsim.core.time import SECOND, Duration, duration
from jobsim.models import Clocks, ClockSteps

moments = st.integers(0, 10**12).map(Duration)


def test_clock_is_off_by_no_more_than_said() -> None:
    """Offsets and drifts of many machines fill the bounds either way, evenly."""
    clocks = Clocks(offset="10s", drift=1e-3)
    streams = Streams(3)
    made = [clocks.begin(streams.numbers(f"clock:{number}")) for number in range(400)]
    for found, bound in (([c.offset for c in made], 10 * SECOND), ([c.drift for c in made], 1e-3)):
        assert -bound <= min(found) < -0.97 * bound
        assert 0.97 * bound < max(found) <= bound
        assert abs(sum(found) / len(found)) < 0.1 * bound


def test_clock_that_is_right_shows_the_time() -> None:
    """Without offset, drift and steps there is nothing to tell it from the world's."""
    clock = Clocks().begin(lambda _: 0.9)
    for moment in (0, 1, 10**12):
        assert clock.shows(Duration(moment)) == clock.elapsed(Duration(moment)) == moment


def test_clock_adds_offset_drift_and_steps() -> None:
    """What it shows is the sum of all; what it measures knows of the drift alone."""
    numbers = [0.75, 1.0, 0.5, 1.0, 0.5, 0.0, 1 - 1e-9, 0.5]
    clocks = Clocks(offset="8s", drift=0.01, steps=ClockSteps(every="100s", size="30s"))
    clock = clocks.begin(numbers.__getitem__)
    first = duration("69.3147s")  # ln 2 of 100 s
    for at, ahead in ((0, 4), (69 * SECOND, 4), (70 * SECOND, 34), (139 * SECOND, 4), (69 * SECOND, 4)):
        assert clock.shows(Duration(at)) == round(at * 1.01) + ahead * SECOND
    assert clock.elapsed(first) == round(first * 1.01)


@given(asked=st.lists(moments, min_size=1, max_size=5))
def test_clock_shows_the_same_whatever_was_asked_before(asked: list[Duration]) -> None:
    """It is a function of the true time alone."""
    clocks = Clocks(offset="1h", drift=1e-4, steps=ClockSteps(every="12h", size="1h"))
    numbers = Streams(5).numbers("clock")
    one, other = clocks.begin(numbers), clocks.begin(numbers)
    told = {at: one.shows(at) for at in asked}
    assert {at: other.shows(at) for at in reversed(asked)} == told
