"""What our stores' calls cost, against the bare driver, and with how much there is to claim from.

First, of `enqueue`, `exchange` (settle a batch and claim the next) and `extend`: the time of the call, and of
the bare driver that executes the very same statements on a copy of the database; call by call in turn.
Second, the time of a claim with few jobs pending, with many, and with many scheduled for later at a higher
priority.

    python benchmarks/storage.py [--rounds 200] [--pending 1000000] [--directory DIR] [--json]
"""

import argparse
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from importlib import import_module
from itertools import chain
from typing import Any, Final

from floors import Floor
from peers.places import Places, commit_costs_ms, places

from jobsim import Queue
from jobsim.core.decide import SUCCESS, Settlement
from jobsim.core.ids import IdMint
from jobsim.core.job import Lease, NewJob, WorkerId
from jobsim.core.streams import Streams
from jobsim.core.time import SECOND, Duration, Instant
from jobsim.storage.base import Storage

BATCHES: Final = (1, 10, 100)
WARM: Final = 10
"""Rounds that are not counted: statements are prepared, pages are read."""

FEW: Final = 1_000
CLAIMS: Final = {1: 100, 10: 60}
"""How many claims of how many jobs are timed: no more than there are few jobs."""

WORKER: Final = WorkerId("bench")
QUEUES: Final = ("default",)
LEASE: Final = Duration(600 * SECOND)
START: Final = Instant(1_800_000_000 * SECOND)
LATER: Final = Instant(START + 1_000_000 * SECOND)

FLOORS: Final = {"sqlite": "SqliteFloor", "postgres": "PostgresFloor"}
CALL_TABLE: Final = {
    "store": "<10",
    "call": "<10",
    "batch": ">6",
    "ms": ">10.3f",
    "floor_ms": ">10.3f",
    "ratio": ">8.2f",
}
CLAIM_TABLE: Final = {"store": "<10", "limit": ">6", "jobs": ">42", "ms": ">10.3f", "ratio": ">8.2f"}

Row = dict[str, Any]
Call = tuple[str, Callable[[], object]]


def opened(where: str) -> Storage:
    """Return our store at a place, as a queue opens it."""
    return Queue(where if where.startswith("postgresql:") else f"sqlite:///{where}").storage


def calls(store: Storage, batch: int, rounds: int) -> Iterator[Call]:
    """Yield calls by name, to be made one after the other; the same for any store, whatever the time."""
    mint, held = IdMint(Streams(7)), list[Lease]()

    def exchange(settlements: list[Settlement], now: Instant) -> None:
        held[:] = store.exchange(settlements, WORKER, QUEUES, batch, LEASE, now)[1]

    for number in range(rounds):
        now = Instant(START + number * SECOND)
        jobs = [NewJob(mint.mint(now), "noop", now, payload='{"number":7}') for _ in range(batch)]
        yield "enqueue", partial(store.enqueue, jobs, now)
        ends = [Settlement(lease, SUCCESS) for lease in held]
        yield "exchange", partial(exchange, ends, now)
        until = Instant(now + 2 * LEASE)
        yield "extend", partial(store.extend, held, until, now)


def compare(
    there: Places, floor: Floor, kind: str, batch: int, rounds: int
) -> dict[str, tuple[float, float]]:
    """Return, by call, the medians of our time and of the floor's, in seconds."""
    empty = there.new(kind)
    opened(empty).close()
    for_ours, for_floor = there.copy(empty), there.copy(empty)
    with floor.hear() as heard:
        store = opened(empty)
        opening = heard.copy()
        chunks = []
        for _, call in calls(store, batch, rounds + WARM):
            heard.clear()
            call()
            chunks.append(heard.copy())
        store.close()
    store = opened(for_ours)
    floor.open(for_floor, opening)
    ours, bare = defaultdict[str, list[float]](list), defaultdict[str, list[float]](list)
    for (name, call), chunk in zip(calls(store, batch, rounds + WARM), chunks, strict=True):
        ours[name].append(timed(call))
        bare[name].append(timed(partial(floor.execute, chunk)))
    store.close()
    floor.close()
    return {name: (middle(ours[name]), middle(bare[name])) for name in ours}


def timed(step: Callable[[], object]) -> float:
    """Return how long a step takes, in seconds."""
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


def middle(spent: list[float]) -> float:
    """Return the median of what was spent once all was warm."""
    return statistics.median(spent[WARM:])


def claims(there: Places, kind: str, pending: int) -> dict[int, dict[str, float]]:
    """Return the median time of a claim, in seconds, by how many it claims and from what."""
    wheres = {
        f"{FEW:,} pending": filled(there, kind, (FEW, START, 0)),
        f"{pending:,} pending": filled(there, kind, (pending, START, 0)),
        f"{FEW:,} pending, {pending:,} for later": filled(there, kind, (pending, LATER, 9), (FEW, START, 0)),
    }
    stores = {name: opened(where) for name, where in wheres.items()}
    found: dict[int, dict[str, float]] = {}
    for limit, times in CLAIMS.items():
        spent = defaultdict[str, list[float]](list)
        for number in range(times):
            now = Instant(START + number * SECOND)
            for name, store in stores.items():
                spent[name].append(timed(partial(store.claim, WORKER, QUEUES, limit, LEASE, now)))
        found[limit] = {name: middle(times) for name, times in spent.items()}
    for store in stores.values():
        store.close()
    return found


def filled(there: Places, kind: str, *heaps: tuple[int, Instant, int]) -> str:
    """Return a place with heaps of jobs: how many, due when, of which priority."""
    where = there.new(kind)
    store, mint = opened(where), IdMint(Streams(7))
    for number, due, priority in heaps:
        for low in range(0, number, 10_000):
            ids = (mint.mint(START) for _ in range(min(10_000, number - low)))
            store.enqueue([NewJob(id_, "noop", due, priority=priority) for id_ in ids], START)
    store.close()
    if kind == "postgres":
        there.execute("VACUUM ANALYZE", where)  # not while claims are timed
        there.execute("CHECKPOINT")
    return where


def calls_compared(there: Places, kinds: Sequence[str], rounds: int) -> Iterator[Row]:
    """Yield a row a call and batch size."""
    for kind in kinds:
        floor: Floor = getattr(import_module(f"floors.{kind}"), FLOORS[kind])()
        for batch in BATCHES:
            for call, (ours, bare) in compare(there, floor, kind, batch, rounds).items():
                row = {"store": kind, "call": call, "batch": batch, "ms": 1e3 * ours}
                yield row | {"floor_ms": 1e3 * bare, "ratio": ours / bare}


def claims_compared(there: Places, kinds: Sequence[str], pending: int) -> Iterator[Row]:
    """Yield a row a size of claim and what it is claimed from; ratios are to few jobs pending."""
    for kind in kinds:
        for limit, found in claims(there, kind, pending).items():
            few = next(iter(found.values()))
            for jobs, spent in found.items():
                yield {"store": kind, "limit": limit, "jobs": jobs, "ms": 1e3 * spent, "ratio": spent / few}


def show(heads: dict[str, str], rows: Iterable[Row]) -> None:
    """Print a table, a row as soon as it is there; `heads` are its columns and how they are written."""
    widths = {name: int(form.lstrip("<>").partition(".")[0]) for name, form in heads.items()}
    print(
        "\n"
        + "".join(f"{name:{'<' if heads[name][0] == '<' else '>'}{wide}}" for name, wide in widths.items())
    )
    for row in rows:
        print("".join(f"{row[name]:{form}}" for name, form in heads.items()), flush=True)


def main() -> None:
    """Measure every store that can be reached."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--pending", type=int, default=1_000_000)
    parser.add_argument("--directory", help="where the SQLite files are to be; they are removed")
    parser.add_argument("--json", action="store_true", help="one object a line")
    options = parser.parse_args()
    with places(options.directory) as there:
        costs = commit_costs_ms(there)
        compared = calls_compared(there, list(costs), options.rounds)
        claimed = claims_compared(there, list(costs), options.pending)
        if options.json:
            for row in chain(compared, claimed):
                print(json.dumps(row), flush=True)
            return
        for kind, cost in costs.items():
            print(f"a durable commit of one row, {kind}: {cost:.2f} ms")
        show(CALL_TABLE, compared)
        show(CLAIM_TABLE, claimed)


if __name__ == "__main__":
    main()
