"""Calls to dependencies: what an attempt does that makes one, and what the dependency makes of it.

A dependency is worked out, not acted out: nothing of it waits in simulated time. What has been sent is
seen to in the order of its arrival, by whoever comes for a reply next. So calls whose callers have given up
or died are worked on like all others.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from heapq import heappop, heappush
from itertools import count
from typing import Any, Final, Protocol, assert_never

from jobsim.analysis.calls import FAILED, GOOD, NEVER, REFUSED, CallLog
from jobsim.core.job import Lease
from jobsim.core.outcome import SUCCEEDED, Failed, Outcome
from jobsim.core.streams import Purpose, Streams
from jobsim.core.time import MAX_DURATION, Duration, Instant
from jobsim.models.contention import Row, Version
from jobsim.models.dependency import Dependency, Server
from jobsim.models.failures_base import Condition, Fault, Narrowing, Slowing
from jobsim.models.station import NarrowedStation, Station
from jobsim.runtime.machine import Machine
from jobsim.runtime.sim import SimRuntime
from jobsim.sim.conditions import begun, drawn
from jobsim.sim.draws import Draw

Clock = Callable[[], Instant]

_WAYS: Final = tuple(Draw(f"{Purpose.NETWORK}:{way}") for way in range(4))
_VISITS: Final = (Draw(f"{Purpose.CALL}:read"), Draw(f"{Purpose.CALL}:write"))


class Partner(Protocol):
    """A dependency during one run; `drawn` is what is drawn for each attempt that calls it."""

    drawn: tuple[Draw, ...]

    def attempt(
        self, machine: SimRuntime | Machine, lease: Lease, own: tuple[int, int], numbers: Sequence[float]
    ) -> Awaitable[Outcome]:
        """Play an attempt on `machine`: the first part of what is its `own`, a call, the second part.

        `own` is in microseconds. `numbers` has one for each of `drawn`.
        """
        ...

    def calls(self, ended: Instant) -> CallLog:
        """Return the calls that have arrived until the run `ended`."""
        ...


def partners(dependencies: Iterable[Dependency], streams: Streams, now: Clock) -> dict[str, Partner]:
    """Return all `dependencies` by name, as they are when the run of `streams` begins, which is `now`."""
    return {dependency.name: _partner(dependency, streams, now) for dependency in dependencies}


def _partner(dependency: Dependency, streams: Streams, now: Clock) -> Partner:
    match dependency:
        case Server(name=name, failures=failures):
            return ServerAtWork(dependency, begun(failures, streams, f"{Purpose.CALL}:{name}"), now)
        case Row():
            return RowAtWork(dependency, now)
        case _:
            assert_never(dependency)


def _station(capacity: int | None, conditions: Sequence[Condition]) -> Station:
    openings: list[Any] = [each.opened for each in conditions if isinstance(each, Narrowing)]
    if capacity is None or not openings:
        return Station(capacity)
    return NarrowedStation(capacity, openings)


class _Call:
    """A call on its way; when its `reply` comes, its `outcome` and `number` are known once it has arrived."""

    __slots__ = ("lease", "number", "numbers", "outcome", "reply", "sent")

    def __init__(self, lease: Lease, sent: int, numbers: Sequence[float]) -> None:
        self.lease = lease
        self.sent = sent
        self.numbers = numbers
        self.reply = self.number = NEVER
        self.outcome: Outcome = SUCCEEDED


class ServerAtWork:
    """A server during one run, in which the `conditions` of its failures rule."""

    def __init__(self, model: Server, conditions: Sequence[Condition], now: Clock) -> None:
        strikes = drawn(model.failures, f"{Purpose.CALL}:{Purpose.FAILURE}")
        self.drawn = (*_WAYS[:2], Draw(Purpose.CALL), Draw(f"{Purpose.CALL}:overload"), *strikes)
        self._log = CallLog()
        self._model = model
        self._now, self._began = now, now()
        self._station = _station(model.capacity, conditions)
        self._under_way: list[tuple[int, int, _Call]] = []  # a heap, by arrival
        self._serials = count()
        self._patience = MAX_DURATION if model.timeout is None else model.timeout
        self._timed_out = Failed(model.timeout_error)
        self._full = Fault(model.full_error, Duration(0))
        self._verdicts = [(place, each.verdict) for place, each in enumerate(conditions, 4)]
        self._slowdowns = [each.slowdown for each in conditions if isinstance(each, Slowing)]

    async def attempt(
        self, machine: SimRuntime | Machine, lease: Lease, own: tuple[int, int], numbers: Sequence[float]
    ) -> Outcome:
        """Play an attempt: work, call, and work on if the reply is good."""
        before, after = own
        if before:
            await machine.sleep(Duration(before))
        outcome = await self._reply(machine, _Call(lease, self._now() - self._began, numbers))
        if after and outcome is SUCCEEDED:
            await machine.sleep(Duration(after))
        return outcome

    async def _reply(self, machine: SimRuntime | Machine, call: _Call) -> Outcome:
        """Send `call` and return what came of it, once the reply is there or patience at its end."""
        way = self._way(call.numbers[0])
        arrival, deadline = call.sent + way, call.sent + self._patience
        heappush(self._under_way, (arrival, next(self._serials), call))
        if arrival >= deadline:
            return await machine.after(Duration(self._patience), self._timed_out)
        if way:
            await machine.sleep(Duration(way))
        self._see_to(arrival)
        now = self._now() - self._began  # later than the arrival where the machine has stood still
        if call.reply > deadline:
            return await machine.after(Duration(max(0, deadline - now)), self._timed_out)
        outcome = await machine.after(Duration(max(0, call.reply - now)), call.outcome)
        self._log.answer(call.number)
        return outcome

    def _way(self, u: float) -> int:
        return 0 if self._model.network is None else self._model.network.draw(u)

    def calls(self, ended: Instant) -> CallLog:
        """Return the calls that have arrived until the run `ended`."""
        self._see_to(ended - self._began)
        return self._log

    def _see_to(self, until: int) -> None:
        """See to what has arrived `until` a moment, in the order in which it has."""
        under_way = self._under_way
        while under_way and under_way[0][0] <= until:
            at, _, call = heappop(under_way)
            self._receive(at, call)

    def _receive(self, at: int, call: _Call) -> None:
        """Work out what becomes of `call`, which arrives `at` a moment."""
        station, numbers = self._station, call.numbers
        station.watch(at)
        present, start = station.present, station.start(at)
        since, fault = at, self._refusal(at, start, present, numbers)
        if fault is None:
            since, fault = start, self._strike(start, present, numbers)
        if fault is None or fault.takes is None:
            end = station.serve(at, start, self._work(start, present, numbers[2]))
            times, fate = (call.sent, at, start, end), GOOD if fault is None else FAILED
        else:
            if since > at:
                station.serve(at, start, 0)  # until its turn came it was in the line
            end = since + fault.takes
            times, fate = (call.sent, at, NEVER, NEVER), REFUSED
        call.number = self._log.add(call.lease.id, call.lease.attempt, times, present, fate)
        call.reply = end + self._way(numbers[1])
        call.outcome = SUCCEEDED if fault is None else fault.outcome

    def _refusal(self, at: int, start: int, present: int, numbers: Sequence[float]) -> Fault | None:
        """Return the fault of a call that is turned away as it arrives, `at` a moment."""
        limit = self._model.queue_limit
        if limit is not None and start > at and self._station.waiting >= limit:
            return self._full
        fault = self._strike(at, present, numbers)
        return None if fault is None or fault.takes is None else fault

    def _strike(self, at: int, present: int, numbers: Sequence[float]) -> Fault | None:
        """Return the first fault that strikes a call `at` a moment."""
        overload = self._model.overload
        fault = None if overload is None else overload.verdict(present, numbers[3])
        if fault is not None:
            return fault
        for place, verdict in self._verdicts:
            # A plain number tells the offset as well as a `Duration`, which costs as much as to ask for it.
            fault = verdict(at, numbers[place])  # type: ignore[arg-type]
            if fault is not None:
                return fault
        return None

    def _work(self, start: int, present: int, u: float) -> int:
        """Return how long a call is worked on, from `start`."""
        takes: float = self._model.service.draw(u) + self._model.slope * present
        for slowdown in self._slowdowns:
            takes *= slowdown(start)  # type: ignore[arg-type]  # as above
        return round(min(takes, MAX_DURATION))


class RowAtWork:
    """A row during one run. The calls in its log are the writes."""

    def __init__(self, model: Row, now: Clock) -> None:
        self.drawn = _WAYS if model.service is None else (*_WAYS, *_VISITS)
        self._log = CallLog()
        self._way = model.network.draw
        self._takes = None if model.service is None else model.service.draw
        self._now, self._began = now, now()
        self._station = Station(1)
        self._version = Version()
        self._conflict = Failed(model.error)

    async def attempt(
        self, machine: SimRuntime | Machine, lease: Lease, own: tuple[int, int], numbers: Sequence[float]
    ) -> Outcome:
        """Play an attempt: read, work, write."""
        to_read, read_back, to_write, written_back = map(self._way, numbers[:4])
        read = (self._now() - self._began) + to_read
        away = to_read + read_back + sum(own) + to_write
        if self._takes is not None:
            await machine.sleep(Duration(to_read))
            at = self._now() - self._began
            _, read = self._serve(at, self._takes(numbers[4]))
            away += read - at - to_read
        await machine.sleep(Duration(away))
        at = self._now() - self._began
        present = self._station.present
        start, end = (at, at) if self._takes is None else self._serve(at, self._takes(numbers[5]))
        won = self._version.write(read, end)
        times, fate = (at - to_write, at, start, end), GOOD if won else FAILED
        number = self._log.add(lease.id, lease.attempt, times, present, fate)
        outcome = await machine.after(Duration(end - at + written_back), SUCCEEDED if won else self._conflict)
        self._log.answer(number)
        return outcome

    def _serve(self, at: int, takes: int) -> tuple[int, int]:
        """Let a read or a write that arrives `at` a moment have its turn; return its start and its end."""
        self._station.watch(at)
        start = self._station.start(at)
        return start, self._station.serve(at, start, takes)

    def calls(self, ended: Instant) -> CallLog:
        """Return the writes; a client that died before its own has not written."""
        return self._log
