"""One action on one queue, in a process of its own; it prints its figures as JSON, an object a line.

python -m peers NAME WHERE prepare
python -m peers NAME WHERE enqueue JOBS BATCH
python -m peers NAME WHERE drain SLOTS JOBS
python -m peers NAME WHERE serve SLOTS JOBS IDLE_S
python -m peers NAME WHERE produce JOBS PERIOD_S
"""

import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from peers import ENTRIES
from peers.base import Peer

_WARM_S: Final = 2.0
"""How long a worker has to start before its idling is measured."""


def say(**figures: Any) -> None:
    """Print one object."""
    print(json.dumps(figures), flush=True)


def prepare(peer: Peer) -> None:
    """Make what the queue needs."""
    peer.prepare()
    say(settings=peer.settings, batches=peer.batches)


async def _enqueue(peer: Peer, jobs: int, batch: int) -> None:
    put = await peer.connect()
    await put([0] * min(batch, jobs))
    left = max(0, jobs - batch)
    began = time.perf_counter()
    for low in range(0, left, batch):
        await put([0] * min(batch, left - low))
    say(jobs=left, seconds=time.perf_counter() - began)


def enqueue(peer: Peer, jobs: str, batch: str) -> None:
    """Time `jobs`, enqueued `batch` at a time; the first batch, which finds nothing warm, is left out."""
    asyncio.run(_enqueue(peer, int(jobs), int(batch)))


def drain(peer: Peer, slots: str, jobs: str) -> None:
    """Time a worker from its first call of the handler to its last, its start and its end left out."""
    calls: list[float] = []
    clock, note = time.perf_counter, calls.append
    peer.work(int(slots), int(jobs), lambda _: note(clock()))
    if len(calls) != int(jobs):
        sys.exit(f"{len(calls)} calls for {jobs} jobs")
    say(jobs=len(calls) - 1, seconds=max(calls) - min(calls))
    leave()


def serve(peer: Peer, slots: str, jobs: str, idle_s: str) -> None:
    """Run a worker; tell what it costs while idle, and then how long each of `jobs` waited for it."""
    waited_ms: list[float] = []
    enough = threading.Event()

    def handle(begun_ns: int) -> None:
        waited_ms.append((time.monotonic_ns() - begun_ns) / 1e6)
        if len(waited_ms) >= int(jobs):
            enough.set()

    def meter() -> None:
        time.sleep(_WARM_S)
        before = time.process_time()
        time.sleep(float(idle_s))
        say(idle_cpu_percent=100 * (time.process_time() - before) / float(idle_s))
        enough.wait()
        say(waited_ms=waited_ms)
        leave()

    threading.Thread(target=meter, daemon=True).start()
    peer.work(int(slots), None, handle)


def leave() -> None:
    """End this process; threads of a worker that has no end do not hold it up."""
    sys.stdout.flush()
    os._exit(0)


async def _produce(peer: Peer, jobs: int, period_s: float) -> None:
    put = await peer.connect()
    start = time.monotonic()
    for number in range(jobs):
        await asyncio.sleep(start + (number + 1) * period_s - time.monotonic())
        await put([time.monotonic_ns()])


def produce(peer: Peer, jobs: str, period_s: str) -> None:
    """Enqueue a job every `period_s`, each told when its call began, by the clock that processes share."""
    asyncio.run(_produce(peer, int(jobs), float(period_s)))
    say(produced=jobs)


_ACTIONS: Final[dict[str, Callable[..., None]]] = {
    action.__name__: action for action in (prepare, enqueue, drain, serve, produce)
}


def main(name: str, where: str, action: str, *arguments: str) -> None:
    """Do what the command line says."""
    [entry] = [entry for entry in ENTRIES if entry.name == name]
    _ACTIONS[action](entry.make(where), *arguments)


main(*sys.argv[1:])
