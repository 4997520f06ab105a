"""Where troubles come from: a script, chance, a window of time."""

from jobsim.core.streams import Streams
from jobsim.core.time import SECOND, Duration, Instant
from jobsim.storage.troubles import NO_TROUBLES, Chance, Latency, Mishap, Script, Together, Trouble, Windows

BUSY = Trouble(Mishap.BUSY, Duration(SECOND))


def test_chance_strikes_as_often_as_it_says() -> None:
    """A share of calls is struck, decided by number alone; other calls are not counted."""
    numbers = Streams(7).numbers("trouble")
    plain, picky = Chance(0.2, BUSY, numbers), Chance(0.2, BUSY, numbers, ["extend"])
    struck = [plain("claim") is BUSY for _ in range(2_000)]
    assert struck == [numbers(n) < 0.2 for n in range(1, 2_001)]
    assert 340 < sum(struck) < 460
    assert [picky(name) is BUSY for _ in range(2_000) for name in ("claim", "extend")][1::2] == struck
    assert not any(Chance(0.0, BUSY, numbers)("claim") for _ in range(100))


def test_windows_strike_within_their_time() -> None:
    """From its beginning until just before its end, every call is struck."""
    clock = [Instant(0)]
    windows = Windows([(Instant(10), Instant(20)), (Instant(40), Instant(41))], BUSY, lambda: clock[0])
    found = []
    for moment in range(50):
        clock[0] = Instant(moment)
        if windows("get"):
            found.append(moment)
    assert found == [*range(10, 20), 40]


def test_latency_draws_a_time_for_every_call() -> None:
    """The n-th call takes what the n-th number says."""
    latency = Latency(lambda u: Duration(round(u * 100)), lambda n: n / 10)
    assert [latency("get").takes for _ in range(3)] == [10, 20, 30]


def test_troubles_together_are_asked_for_every_call() -> None:
    """The first mishap counts, times add up, and no source misses a call for another's sake."""
    first, second = Script({1: BUSY}), Script({1: Mishap.FULL, 2: Trouble(Mishap.FULL, Duration(5))})
    slow = Latency(lambda _: Duration(7), lambda _: 0.0)
    both = Together(first, second, slow)
    assert both("get") == Trouble(Mishap.BUSY, Duration(SECOND + 7))
    assert both("get") == Trouble(Mishap.FULL, Duration(12))
    assert both("get") == Trouble(None, Duration(7))
    assert NO_TROUBLES("get") is None
