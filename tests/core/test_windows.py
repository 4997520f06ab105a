"""What has been counted of late."""

from hypothesis import given
from hypothesis import strategies as st

from jobsim.core.time import SECOND
from jobsim.core.windows import SKEW, SLICES, Window

LENGTH = 10 * SECOND
SLICE = LENGTH // SLICES


@given(gaps=st.lists(st.integers(0, 3 * SECOND), max_size=40), rest=st.integers(0, 12 * SECOND))
def test_window_holds_what_is_younger_than_nine_tenths_and_nothing_older_than_it(
    gaps: list[int], rest: int
) -> None:
    """Whatever the times, the sum lies between those of both lengths."""
    window, now, times = Window(), 1_000 * SECOND, list[int]()
    for gap in gaps:
        now += gap
        window = window.at(now, LENGTH).add(1)
        times.append(now)
    now += rest
    total = window.at(now, LENGTH).total
    assert sum(now - t <= LENGTH - SLICE for t in times) <= total <= sum(now - t < LENGTH for t in times)


def test_window_takes_what_comes_late() -> None:
    """A clock somewhat behind counts into the last slice; one set far back begins anew."""
    window = Window().at(1_000 * SECOND, LENGTH).add(5)
    assert window.at(990 * SECOND, LENGTH) == window
    assert window.at(1_000 * SECOND - LENGTH - SKEW - SLICE, LENGTH).total == 0


def test_window_of_a_microsecond_is_cut_all_the_same() -> None:
    """No slice is shorter than the clock can tell."""
    assert Window().at(7, 1).add(3).at(8, 1).total == 3
    assert Window().at(7, 1).add(3).at(7 + SLICES, 1).total == 0
