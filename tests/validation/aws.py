"""AWS's published model of optimistic contention: its results, and a program of the same model.

Source: Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015; aws-samples/aws-arch-backoff-
simulator at 66cb169. N clients read a row and write it if its version is still the one they read; each of
the four ways takes |N(10, 2)| ms, the row no time. Calls are writes; the time is that of the last response.
"""

import math
from heapq import heappop, heappush
from statistics import NormalDist
from typing import Final, NamedTuple

from jobsim.core.streams import Stream

BASE_MS: Final = 5.0
CAP_MS: Final = 2000.0
NETWORK_MS: Final = NormalDist(10, 2)


class Figure(NamedTuple):
    """What the published program gives for one number of clients and one policy: means and deviations."""

    clients: int
    policy: str
    calls: float
    calls_sd: float
    time_ms: float
    time_sd: float


RUNS: Final = 1000
"""How often the published program was run for each figure."""

TABLE: Final = tuple(
    Figure(*row)
    for row in (
        (1, "none", 1.0, 0.0, 40, 4),
        (1, "exponential", 1.0, 0.0, 40, 4),
        (1, "equal", 1.0, 0.0, 40, 4),
        (1, "full", 1.0, 0.0, 40, 4),
        (1, "decorrelated", 1.0, 0.0, 40, 4),
        (2, "none", 3.0, 0.0, 82, 5),
        (2, "exponential", 3.0, 0.0, 92, 5),
        (2, "equal", 3.0, 0.0, 89, 5),
        (2, "full", 3.0, 0.0, 87, 6),
        (2, "decorrelated", 3.0, 0.0, 92, 6),
        (10, "none", 50.9, 4.1, 380, 34),
        (10, "exponential", 50.9, 3.9, 3477, 1278),
        (10, "equal", 42.4, 2.4, 728, 187),
        (10, "full", 38.9, 2.3, 467, 111),
        (10, "decorrelated", 37.7, 2.3, 438, 87),
        (50, "none", 690.5, 17.4, 1140, 43),
        (50, "exponential", 623.7, 28.7, 36455, 3263),
        (50, "equal", 347.0, 6.0, 4270, 570),
        (50, "full", 332.5, 4.8, 2890, 549),
        (50, "decorrelated", 375.6, 12.6, 2206, 509),
        (100, "none", 2421.3, 30.5, 2026, 43),
        (100, "exponential", 1857.0, 57.1, 63487, 3705),
        (100, "equal", 812.1, 7.7, 6620, 667),
        (100, "full", 795.9, 6.9, 4914, 546),
        (100, "decorrelated", 1002.0, 29.4, 4645, 705),
    )
)


def _delay(policy: str, retry: int, before: float, u: float) -> float:
    """Return the delay before a retry (from 1) in ms, by the delay before it and a uniform number."""
    growth = min(CAP_MS, BASE_MS * 2.0**retry)
    match policy:
        case "none":
            return 0.0
        case "exponential":
            return growth
        case "equal":
            return growth * (1 + u) / 2
        case "full":
            return growth * u
        case _:
            return min(CAP_MS, BASE_MS + u * (3 * before - BASE_MS))


def run(clients: int, policy: str, random: Stream) -> tuple[int, float]:
    """Return the calls and the time (ms) of one run of the model, written anew: no engine, no policies."""
    events: list[tuple[float, int, int]] = []  # when, what (1 read, 0 write), by which client
    seen, retries, before = [0] * clients, [0] * clients, [BASE_MS] * clients
    version, calls, end = 0, 0, 0.0

    def way() -> float:
        return abs(NETWORK_MS.inv_cdf(random.random() or 0.5))

    for client in range(clients):
        heappush(events, (way(), 1, client))
    while events:
        now, is_read, client = heappop(events)
        if is_read:
            seen[client] = version
            heappush(events, (now + way() + way(), 0, client))
            continue
        calls += 1
        answered = now + way()
        if seen[client] == version:
            version += 1
            end = max(end, answered)
            continue
        retries[client] += 1
        before[client] = _delay(policy, retries[client], before[client], random.random())
        heappush(events, (answered + before[client] + way(), 1, client))
    return calls, end


def agree(mean: float, other: float, sd: float, runs: int, other_runs: int, rounded: float = 0.0) -> bool:
    """Return whether two means differ by at most 4 standard errors, and what the other was `rounded` by."""
    return abs(mean - other) <= 4 * sd * math.sqrt(1 / runs + 1 / other_runs) + rounded
