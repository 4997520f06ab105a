"""Stations: who is served when."""

from collections.abc import Sequence
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsim.models.station import Station

Call = tuple[int, int]

calls = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 30)), max_size=40).map(
    lambda steps: list(zip(accumulate(gap for gap, _ in steps), (takes for _, takes in steps), strict=True))
)


def served(servers: int | None, arrivals: Sequence[Call]) -> list[tuple[int, int]]:
    """Return start and end of each call."""
    station, found = Station(servers), []
    for at, takes in arrivals:
        station.watch(at)
        start = station.start(at)
        found.append((start, station.serve(at, start, takes)))
    return found


def ticked(servers: int, arrivals: Sequence[Call]) -> list[tuple[int, int]]:
    """Return the same, tick by tick: whoever has waited longest takes a server that is free."""
    busy: list[int] = []
    found: list[tuple[int, int]] = []
    now = 0
    while len(found) < len(arrivals):
        at, takes = arrivals[len(found)]
        now = max(now, at)
        busy = [end for end in busy if end > now]
        if len(busy) < servers:
            found.append((now, now + takes))
            busy.append(now + takes)
        else:
            now += 1
    return found


@given(st.integers(1, 4), calls)
def test_station_serves_first_come_first_served(servers: int, arrivals: list[Call]) -> None:
    """Start and end foreseen on arrival are those of servers that are watched tick by tick."""
    assert served(servers, arrivals) == ticked(servers, arrivals)


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
