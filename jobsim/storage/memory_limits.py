"""Limits in memory: a line for each lane that one is for, beside the line of all other jobs of the queue."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from heapq import heapify, heappop, heapreplace
from typing import Final

from jobsim.core.guards import Guard, Tally, kept
from jobsim.core.limits import NO_LIMIT, Gate, Lane, Limit, Scope
from jobsim.core.time import Instant
from jobsim.storage.memory_rows import Line, Row

Lines = Mapping[str, Line]
"""The line of each queue."""


class Limits:
    """The limits in force, the turns of their rates, and the jobs that wait in their lanes.

    `holding` are those that can hold a claim back, `guard` what asks how attempts end, if any does.
    """

    def __init__(self) -> None:
        self.in_force: Final[dict[Scope, Limit]] = {}
        self.holding: Final[dict[Scope, Limit]] = {}
        self.guard: Guard | None = None
        self._turns: dict[Scope, Instant] = {}
        self._lanes: dict[str, dict[Lane, Line]] = {}

    def set(self, limits: Mapping[Scope, Limit]) -> None:
        """Put `limits` in force, and empty all lanes: who waits must be added to a `line` anew."""
        tallies = self.tallies()
        for scope, limit in limits.items():
            old = self.in_force.pop(scope, NO_LIMIT)
            self.holding.pop(scope, None)
            if old.rate != limit.rate:
                self._turns.pop(scope, None)
            stays = kept(tallies.pop(scope, Tally()), old, limit)
            if stays != Tally():
                tallies[scope] = stays
            if limit:
                self.in_force[scope] = limit
            if limit.holds:
                self.holding[scope] = limit
        self.guard = Guard(self.in_force, tallies) or None
        self._lanes.clear()

    def tallies(self) -> dict[Scope, Tally]:
        """Return how budgets and breakers stand."""
        return {} if self.guard is None else dict(self.guard.tallies)

    def line(self) -> Line:
        """Return an empty line for a queue."""
        return MainLine(self) if self.holding else Line()

    def lane(self, row: Row) -> Lane | None:
        """Return the lane of a job; `None` where no limit is for it."""
        lane = Lane(row.queue, row.kind, row.limit_key)
        return lane if any(scope in self.holding for scope in lane.scopes) else None

    def line_of(self, lane: Lane) -> Line:
        """Return the line of those who wait in `lane`."""
        return self._lanes.setdefault(lane.queue, {}).setdefault(lane, Line())

    def take(
        self, lines: Lines, queues: Sequence[str], limit: int, running: Collection[Row], now: Instant
    ) -> list[Row]:
        """Take the jobs to be claimed out of their lines, while others are `running`."""
        gate, taken = self._gate(running), list[Row]()
        heads = [
            (head, lane, line)
            for lane, line in self._all(lines, queues)
            if (head := line.first(now)) is not None
        ]
        heapify(heads)  # no two heads are alike, so nothing else is compared
        while heads and len(taken) < limit:
            _, lane, line = heads[0]
            if lane is not None and not gate.enter(lane, now):
                heappop(heads)
                continue
            taken.append(line.ready[0][3])
            head = line.behind_first(now)
            if head is None:
                heappop(heads)
            else:
                heapreplace(heads, (head, lane, line))
        self._turns |= gate.moved
        return taken

    def next_due(self, lines: Lines, queues: Sequence[str], running: Collection[Row]) -> Instant | None:
        """Return when the next job can be claimed; `None` where others must end before."""
        gate, times = self._gate(running), list[Instant]()
        for lane, line in self._all(lines, queues):
            due = line.due()
            opens = due if lane is None else gate.opens(lane)
            if due is not None and opens is not None:
                times.append(max(due, opens))
        return min(times, default=None)

    def _all(self, lines: Lines, queues: Sequence[str]) -> Iterator[tuple[Lane | None, Line]]:
        """Yield every line of `queues` with its lane, and drop the lanes where nobody waits."""
        for queue in dict.fromkeys(queues):
            if queue in lines:
                yield None, lines[queue]
            lanes = self._lanes.get(queue, {})
            for lane, line in list(lanes.items()):
                if line.due() is None:
                    del lanes[lane]
                else:
                    yield lane, line

    def _gate(self, running: Collection[Row]) -> Gate:
        lanes = [lane for row in running if (lane := self.lane(row)) is not None]
        circuits = {} if self.guard is None else self.guard.circuits
        return Gate(self.holding, Counter(lanes), self._turns, circuits)


class MainLine(Line):
    """The line of a queue where limits are in force: those whom one is for go to their lanes."""

    __slots__ = ("_limits",)

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        self._limits = limits

    def add(self, row: Row, now: Instant) -> None:
        """Add a waiting job."""
        lane = self._limits.lane(row)
        if lane is None:
            super().add(row, now)
        else:
            self._limits.line_of(lane).add(row, now)
