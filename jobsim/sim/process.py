"""A process of a simulated run: its machine, the clock it goes by, and the store as it sees it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count

from jobsim.core.streams import Purpose, Streams
from jobsim.core.time import Duration, Instant
from jobsim.models.clocks import Clock
from jobsim.models.storage import CallFailures, Partition, StorageModel
from jobsim.runtime.base import Runtime
from jobsim.runtime.clock import LOOK, ServerClock
from jobsim.runtime.machine import Machine, Trip
from jobsim.runtime.sim import World
from jobsim.runtime.skew import SkewedRuntime
from jobsim.storage.base import Storage
from jobsim.storage.faulty import FaultyStorage
from jobsim.storage.troubles import Chance, Mishap, Together, Trouble, Troubles, Windows

_NONE = StorageModel()


@dataclass(frozen=True, slots=True)
class Process:
    """One process: `runtime` is what the engine on it goes by, `machine` what the world does."""

    machine: Machine
    runtime: Runtime
    storage: Storage


class Processes:
    """Makes the processes of a run in which machines, clocks or storage calls are not perfect."""

    def __init__(
        self, world: World, began: Instant, storage: Storage, model: StorageModel | None, streams: Streams
    ) -> None:
        self._world = world
        self._began = began
        self._storage = storage
        self._model = model or _NONE
        self._streams = streams

    def begin(
        self, name: str, worker: int | None = None, group: str | None = None, clock: Clock | None = None
    ) -> Process:
        """Return a new process, on it the `worker` of that number if one is; `clock` is its machine's.

        `group` is that of the worker, if it is of one.
        """
        machine = Machine(self._world.machine(), self._trip(name))
        cut_off = [each for each in self._model.partitions if each.cuts_off(worker, group)]
        troubles = Together(*self._troubles(name, cut_off))
        storage = FaultyStorage(self._storage, troubles, sleep=machine.owe)
        return Process(machine, self._runtime(machine, clock), storage)

    def _trip(self, name: str) -> Trip:
        """Return what tells how long the calls of a process are under way."""
        numbers, made = self._streams.numbers(f"{Purpose.STORAGE}:latency:{name}"), count()
        return lambda: self._model.trip(numbers(next(made)))

    def _troubles(self, name: str, partitions: Iterable[Partition]) -> Iterator[Troubles]:
        """Yield what befalls the calls of a process: being cut off by `partitions` before all else."""
        model, now = self._model, self._world.now
        for partition in partitions:
            yield Windows([self._window(partition)], Trouble(Mishap.UNREACHABLE, partition.takes), now)
        rates = ((Mishap.BUSY, model.busy), (Mishap.UNREACHABLE, model.errors))
        for mishap, failures in (*rates, (Mishap.LOST_REPLY, model.lost_replies)):
            if failures is not None:
                yield self._chance(mishap, failures, name)

    def _window(self, partition: Partition) -> tuple[Instant, Instant]:
        begin = self._began + partition.start
        return Instant(begin), Instant(begin + partition.duration)

    def _chance(self, mishap: Mishap, failures: CallFailures, name: str) -> Chance:
        numbers = self._streams.numbers(f"{Purpose.STORAGE}:{mishap}:{name}")
        return Chance(failures.probability, Trouble(mishap, failures.takes), numbers, failures.calls)

    def _runtime(self, machine: Machine, clock: Clock | None) -> Runtime:
        """Return the verbs by the clock that the store's kind has its users go by, read on `machine`."""
        if clock is None:
            return machine
        if self._model.clock == "own":
            return SkewedRuntime(machine, partial(_face, clock, machine, self._began), 1 + clock.drift)
        steady = partial(_elapsed, clock, machine, self._began)
        server = ServerClock(machine.now, steady)
        machine.start(_attend(machine, server, steady))
        return SkewedRuntime(machine, server.now, 1 + clock.drift)


def _face(clock: Clock, machine: Machine, began: Instant) -> Instant:
    return Instant(began + clock.shows(Duration(machine.now() - began)))


def _elapsed(clock: Clock, machine: Machine, began: Instant) -> int:
    return clock.elapsed(Duration(machine.now() - began))


async def _attend(machine: Machine, server: ServerClock, steady: partial[int]) -> None:
    """Keep `server` right, as a live worker does beside its work."""
    while True:
        await machine.sleep(LOOK)
        asked = steady()
        seen = await machine.call(machine.now)
        server.learn(asked, seen, steady())
