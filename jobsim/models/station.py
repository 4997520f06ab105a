"""A station: first come, first served, by a number of servers at once.

When a call starts and ends follows from those before it alone, so that both are known when it arrives and
nothing needs to happen in between.
"""

from bisect import bisect_right, insort
from collections import deque
from collections.abc import Callable, Sequence
from heapq import heappop, heappush, heapreplace

from jobsim.core.time import MAX_DURATION


class Station:
    """The state of a station; `servers` is `None` where no call ever waits.

    Calls come in the order of their arrival. All times are microseconds, counted from any moment.
    Source: Kiefer & Wolfowitz, "On the theory of queues with many servers", 1955: the vector of workloads.
    """

    __slots__ = ("_ends", "_free", "_servers", "_starts")

    def __init__(self, servers: int | None) -> None:
        self._servers = servers
        self._free: list[int] = []  # when each server that has worked is free, a heap
        self._ends: list[int] = []  # when the calls that are here end, a heap
        self._starts: deque[int] = deque()  # when the calls that wait start, in order

    def watch(self, at: int) -> None:
        """Let time pass until `at`: calls that end then have left."""
        ends, starts = self._ends, self._starts
        while ends and ends[0] <= at:
            heappop(ends)
        while starts and starts[0] <= at:
            starts.popleft()

    @property
    def present(self) -> int:
        """The calls that wait or are served."""
        return len(self._ends)

    @property
    def waiting(self) -> int:
        """The calls that wait."""
        return len(self._starts)

    def start(self, at: int) -> int:
        """Return when a call that arrives `at` would be served: at once, or when a server is free."""
        free = self._free
        if self._servers is None or len(free) < self._servers:
            return at
        return max(at, free[0])

    def serve(self, at: int, start: int, takes: int) -> int:
        """Let the call that arrived `at` be served from `start`, and return when it ends."""
        end = start + takes
        if self._servers is not None:
            if len(self._free) < self._servers:
                heappush(self._free, end)
            else:
                heapreplace(self._free, end)
        if start > at:
            self._starts.append(start)
        if end > at:
            heappush(self._ends, end)
        return end


class NarrowedStation(Station):
    """A station at times of which only some of the `servers` begin to serve; who is served goes on.

    Each of `openings` says how many do at a moment, and until when that holds; the fewest do.
    """

    __slots__ = ("_busy", "_latest", "_openings", "_whole")

    def __init__(self, servers: int, openings: Sequence[Callable[[int, int], tuple[int, int]]]) -> None:
        super().__init__(None)  # which keeps no servers, only the line
        self._whole = servers
        self._openings = openings
        self._busy: list[int] = []  # when those that are served last begun end, in order
        self._latest = 0

    def start(self, at: int) -> int:
        """Return when a call that arrives `at` would be served: none overtakes another."""
        busy, at = self._busy, max(at, self._latest)
        while True:
            over = bisect_right(busy, at)
            said = [opened(at, self._whole) for opened in self._openings]
            if len(busy) - over < min(servers for servers, _ in said) or at >= MAX_DURATION:
                return at
            until = max(min(until for _, until in said), at + 1)
            at = min(until, busy[over]) if over < len(busy) else until

    def serve(self, at: int, start: int, takes: int) -> int:
        """Let the call that arrived `at` be served from `start`, and return when it ends."""
        end = super().serve(at, start, takes)
        del self._busy[: bisect_right(self._busy, start)]
        insort(self._busy, end)
        self._latest = start
        return end
