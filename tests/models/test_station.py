"""Stations: who is served when."""

from collections.abc import Sequence
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsim.core.time import MAX_DURATION
from jobsim.models.station import NarrowedStation, Station

Call = tuple[int, int]

calls = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 30)), max_size=40).map(
    lambda steps: list(zip(accumulate(gap for gap, _ in steps), (takes for _, takes in steps), strict=True))
)


openings = st.lists(st.tuples(st.integers(1, 15), st.integers(0, 4)), max_size=8).map(
    lambda steps: list(zip(accumulate(gap for gap, _ in steps), (open_ for _, open_ in steps), strict=True))
)
"""When how many servers open, one after the other; a server more than there are is none."""


def opened(steps: Sequence[tuple[int, int]], at: int, capacity: int) -> tuple[int, int]:
    """Return how many of `capacity` servers are open `at` a moment, and until when."""
    number, until = capacity, int(MAX_DURATION)
    for begins, servers in reversed([*steps, (steps[-1][0] + 50, capacity)] if steps else []):
        if begins <= at:
            return min(servers, capacity), until
        until = min(begins, until)
    return number, until


def served(servers: int | None, arrivals: Sequence[Call]) -> list[tuple[int, int]]:
    """Return start and end of each call."""
    return seen(Station(servers), arrivals)


def seen(station: Station, arrivals: Sequence[Call]) -> list[tuple[int, int]]:
    """Return start and end of each call at `station`."""
    found = []
    for at, takes in arrivals:
        station.watch(at)
        start = station.start(at)
        found.append((start, station.serve(at, start, takes)))
    return found


def ticked(
    servers: int, arrivals: Sequence[Call], steps: Sequence[tuple[int, int]] = ()
) -> list[tuple[int, int]]:
    """Return the same, tick by tick: whoever has waited longest takes a server that is open and free."""
    busy: list[int] = []
    found: list[tuple[int, int]] = []
    now = 0
    while len(found) < len(arrivals):
        at, takes = arrivals[len(found)]
        now = max(now, at)
        busy = [end for end in busy if end > now]
        if len(busy) < opened(steps, now, servers)[0]:
            found.append((now, now + takes))
            busy.append(now + takes)
        else:
            now += 1
    return found


@given(st.integers(1, 4), calls)
def test_station_serves_first_come_first_served(servers: int, arrivals: list[Call]) -> None:
    """Start and end foreseen on arrival are those of servers that are watched tick by tick."""
    assert served(servers, arrivals) == ticked(servers, arrivals)


@given(st.integers(1, 4), calls, openings)
def test_narrowed_station_serves_when_a_server_is_open(
    servers: int, arrivals: list[Call], steps: list[tuple[int, int]]
) -> None:
    """What is served goes on while servers close; the next begins when one is open and free."""
    station = NarrowedStation(servers, [lambda at, capacity: opened(steps, at, capacity)])
    assert seen(station, arrivals) == ticked(servers, arrivals, steps)


@given(st.integers(1, 4), calls, openings, st.sets(st.integers(0, 39)))
def test_call_that_only_asks_changes_nothing(
    servers: int, arrivals: list[Call], steps: list[tuple[int, int]], asking: set[int]
) -> None:
    """Callers who are told when their turn would come, and are refused or go away, make no difference."""
    station = NarrowedStation(servers, [lambda at, capacity: opened(steps, at, capacity)])
    staying = [call for number, call in enumerate(arrivals) if number not in asking]
    found = []
    for number, (at, takes) in enumerate(arrivals):
        station.watch(at)
        start = station.start(at)
        if number not in asking:
            found.append((start, station.serve(at, start, takes)))
    assert found == ticked(servers, staying, steps)


@given(st.integers(1, 4), calls)
def test_station_that_is_never_narrowed_is_a_station(servers: int, arrivals: list[Call]) -> None:
    """Where all servers are open, start and end are those of servers that do not close."""
    station = NarrowedStation(servers, [lambda _, capacity: (capacity, MAX_DURATION)])
    assert seen(station, arrivals) == served(servers, arrivals)


def test_the_narrowest_opening_holds() -> None:
    """Of several conditions the one that leaves the fewest servers decides, as long as it lasts."""
    station = NarrowedStation(
        4, [lambda at, _: opened([(0, 2)], at, 4), lambda at, _: opened([(0, 1), (15, 4)], at, 4)]
    )
    assert [start for start, _ in seen(station, [(0, 10)] * 4)] == [0, 10, 15, 20]


def test_station_that_never_opens_serves_nobody() -> None:
    """A condition that shuts all servers for ever leaves callers waiting, and no run hanging."""
    assert NarrowedStation(1, [lambda _at, _: (0, MAX_DURATION)]).start(0) == MAX_DURATION


def test_station_looks_on_where_a_condition_points_back() -> None:
    """A condition that does not say how long it holds is asked again, the next moment."""
    assert NarrowedStation(1, [lambda at, _: (int(at >= 5), 0)]).start(0) == 5


@given(calls)
def test_station_without_bound_serves_at_once(arrivals: list[Call]) -> None:
    """Where there are servers for all, nobody waits."""
    assert served(None, arrivals) == [(at, at + takes) for at, takes in arrivals]


@given(st.integers(1, 4), calls)
def test_station_counts_who_is_there(servers: int, arrivals: list[Call]) -> None:
    """Present are those who came before and have not ended; waiting, those of them who have not begun."""
    station = Station(servers)
    before: list[tuple[int, int]] = []
    for at, takes in arrivals:
        station.watch(at)
        assert station.present == sum(end > at for _, end in before)
        assert station.waiting == sum(start > at for start, _ in before)
        start = station.start(at)
        before.append((start, station.serve(at, start, takes)))


@pytest.mark.parametrize(("servers", "starts"), [(1, [0, 10, 20]), (2, [0, 0, 10]), (3, [0, 0, 0])])
def test_station_has_as_many_servers_as_it_is_told(servers: int, starts: list[int]) -> None:
    """Of three calls at once, those beyond the servers wait for the first that ends."""
    assert [start for start, _ in served(servers, [(0, 10)] * 3)] == starts
