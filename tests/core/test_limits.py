from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsim.core.errors import ConfigError
from jobsim.core.limits import NO_LIMIT, By, Gate, Lane, Limit, Rate, Scope
from jobsim.core.time import SECOND, Instant, duration
from tests.core.values import NOW

MAIL = Scope(By.KIND, "mail")
QUEUE = Scope(By.QUEUE, "default")
ONE = Limit(running=1)
LANE = Lane("default", "mail", "a")
LANES = [Lane(queue, kind, key) for queue in ("default", "b") for kind in ("mail", "x") for key in ("a", "")]

counts = st.none() | st.integers(1, 4)
rates = st.builds(Rate, st.integers(1, 50), st.integers(1, 100).map(lambda us: f"{us}us"), st.integers(1, 5))
limits = st.builds(Limit, running=counts, running_per_key=counts, rate=st.none() | rates)
in_force = st.dictionaries(
    st.sampled_from([scope for lane in LANES for scope in lane.scopes]), limits, max_size=4
)
lanes = st.sampled_from(LANES)
running = st.dictionaries(lanes, st.integers(0, 5))


def started(rate: Rate, times: Sequence[int]) -> list[int]:
    """Return those of `times` at which an attempt may start, a gate for each, as each claim makes one."""
    turns: dict[Scope, Instant] = {}
    starts = []
    for time in times:
        gate = Gate({MAIL: Limit(rate=rate)}, {}, turns)
        if gate.enter(LANE, Instant(time)):
            starts.append(time)
        turns |= gate.moved
    return starts


@given(rates, st.lists(st.integers(0, 30), max_size=150))
def test_rate_bounds_the_starts_of_any_window(rate: Rate, pauses: list[int]) -> None:
    """In no window as long as `per` begin more than `starts + burst`."""
    times = [sum(pauses[:n]) for n in range(1, len(pauses) + 1)]
    starts, per = started(rate, times), duration(rate.per)
    for first in starts:
        assert sum(first <= start < first + per for start in starts) <= rate.starts + (rate.burst or 0)


def test_rate_lets_as_many_begin_as_it_says() -> None:
    """Who tries all the time starts at every interval, from the first moment on."""
    assert started(Rate(5, "100us", 1), range(201)) == list(range(0, 201, 20))


def test_rate_lets_a_burst_begin_after_a_pause() -> None:
    """After a pause of any length `burst` start together, then each at its turn."""
    times = [0] * 5 + list(range(1, 51)) + [9_000] * 5
    assert started(Rate(5, "100us", 3), times) == [0, 0, 0, 20, 40, 9_000, 9_000, 9_000]


@pytest.mark.parametrize(("rate", "burst"), [(Rate(100, "1m"), 1), (Rate(500, "1s"), 50), (Rate(1, "1h"), 1)])
def test_rate_lets_a_tenth_of_a_second_come_together(rate: Rate, burst: int) -> None:
    """Where no burst is given, workers that look ten times a second reach the rate."""
    assert rate.burst == burst


def test_rate_is_its_numbers() -> None:
    """Rates that say the same are the same, however they are written."""
    assert Rate(100, per="1m") == Rate(100, per=duration("60s"), burst=1)


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (lambda: Rate(0, "1s"), "starts"),
        (lambda: Rate(True, "1s"), "starts"),
        (lambda: Rate(1, "0s"), "per"),
        (lambda: Rate(1, "1s", 0), "burst"),
        (lambda: Limit(running=0), "running"),
        (lambda: Limit(running_per_key=-1), "running_per_key"),
        (lambda: Limit(running=1.5), "running"),  # type: ignore[arg-type]  # that is what is tested
        (lambda: Limit(rate=5), "rate"),  # type: ignore[arg-type]  # as above
    ],
)
def test_numbers_that_limit_nothing_sensible_are_refused(wrong: object, word: str) -> None:
    """The error names the number that is wrong."""
    with pytest.raises(ConfigError, match=f"^{word}: "):
        wrong()  # type: ignore[operator]


def test_limit_is_true_if_it_limits_anything() -> None:
    """An empty one is how a limit is removed."""
    assert not NO_LIMIT
    assert all([Limit(running=1), Limit(running_per_key=1), Limit(rate=Rate(1, "1s"))])


def test_gate_without_limits_is_open() -> None:
    """Nothing holds back those that no limit is for."""
    gate = Gate({Scope(By.KIND, "default"): Limit(running=1)}, {LANE: 99}, {})
    assert gate.room(LANE, NOW) is None
    assert gate.enter(LANE, NOW)
    assert gate.moved == {}
    opens = gate.opens(LANE)
    assert opens is not None
    assert opens < 0


@given(in_force, running, st.lists(lanes, max_size=30))
def test_gate_never_lets_more_run_than_it_may(
    limits: dict[Scope, Limit], running: dict[Lane, int], wish: list[Lane]
) -> None:
    """Whoever enters, no scope and no key of one has more running than its limit, or than ran before."""
    gate, entered = Gate(limits, running, {}), Counter(running)
    for lane in wish:
        entered[lane] += gate.enter(lane, NOW)
    for scope, limit in limits.items():
        for key in (None, "a", ""):
            most = limit.running if key is None else limit.running_per_key
            before = _held(Counter(running), scope, key)
            assert most is None or _held(entered, scope, key) <= max(most, before)


def _held(running: Counter[Lane], scope: Scope, key: str | None) -> int:
    return sum(n for lane, n in running.items() if scope in lane.scopes and key in (None, lane.key))


@given(in_force, running, lanes, st.dictionaries(st.sampled_from([MAIL, QUEUE]), st.integers(-90, 90)))
def test_gate_has_room_for_those_whom_it_lets_enter(
    limits: dict[Scope, Limit], running: dict[Lane, int], lane: Lane, ahead: dict[Scope, int]
) -> None:
    """As many of a lane enter at a moment as there is said to be room for, and then no other."""
    gate = Gate(limits, running, {scope: Instant(NOW + us) for scope, us in ahead.items()})
    room = gate.room(lane, NOW)
    entered = [gate.enter(lane, NOW) for _ in range(60)]
    assert entered.count(True) == (60 if room is None else min(room, 60))
    assert entered == sorted(entered, reverse=True)


@given(in_force, running, lanes, st.dictionaries(st.sampled_from([MAIL, QUEUE]), st.integers(-90, 90)))
def test_gate_opens_when_it_says(
    limits: dict[Scope, Limit], running: dict[Lane, int], lane: Lane, ahead: dict[Scope, int]
) -> None:
    """There is no room the moment before, and room from then on; or none however long one waits."""
    gate = Gate(limits, running, {scope: Instant(NOW + us) for scope, us in ahead.items()})
    opens = gate.opens(lane)
    if opens is None:
        assert gate.room(lane, Instant(NOW + 10**9 * SECOND)) == 0
    else:
        assert gate.room(lane, opens) != 0
        assert opens < 0 or gate.room(lane, Instant(opens - 1)) == 0


def test_gate_tells_the_turns_that_it_moved() -> None:
    """The scopes that somebody entered by, and no others; a turn that passed long ago is none to catch up."""
    rate = Limit(rate=Rate(1, "10s"))
    gate = Gate({MAIL: rate, QUEUE: ONE, Scope(By.KIND, "x"): rate}, {}, {MAIL: Instant(0)})
    assert gate.enter(LANE, NOW)
    assert not gate.enter(LANE, NOW)
    assert gate.moved == {MAIL: NOW + 10 * SECOND}


def test_rate_outlives_a_clock_that_was_set_back() -> None:
    """A turn further ahead than any claim of late can have moved it holds nobody back; a nearer one does."""
    limits, hour = {MAIL: Limit(rate=Rate(1, "1h"))}, 3_600 * SECOND
    assert Gate(limits, {}, {MAIL: Instant(NOW + 365 * 24 * hour)}).enter(LANE, NOW)
    assert not Gate(limits, {}, {MAIL: Instant(NOW + hour + 60 * SECOND)}).enter(LANE, NOW)
    assert not Gate(limits, {}, {MAIL: Instant(NOW + 1)}).enter(LANE, NOW)
