"""The desk between a worker's slots and its store: finished attempts in, new leases out.

All slots share one exchange with the store at a time (group commit): what ends while a commit is in flight
is settled by the next, so that one durable commit pays for many jobs. Where storage calls return at once,
as in a simulation, each exchange is for one slot and nobody waits.

Slots at the desk are alike: whichever is awake does what is to be done next. It takes a lease that is
there; else it makes the exchange, if something is finished or may be due; else it listens for the bell,
if no other does; else it waits its turn. One that leaves wakes the next where work is left.
"""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from jobsim.core.decide import Settlement
from jobsim.core.job import Lease, WorkerId
from jobsim.core.streams import Purpose, Streams
from jobsim.core.time import Duration, Instant, duration
from jobsim.runtime.base import Runtime, Signal
from jobsim.storage.base import Storage
from jobsim.worker.calls import RETRIED, StorageCalls
from jobsim.worker.settings import WorkerSettings

_EVERYBODY: Final = 1 << 30
_NONE: Final = ()

_log: Final = logging.getLogger("jobsim.worker")


class Desk:
    """Hands leases to slots and settles what they finished; `held` are the leases not yet settled."""

    def __init__(
        self,
        name: WorkerId,
        runtime: Runtime,
        storage: Storage,
        calls: StorageCalls,
        streams: Streams,
        settings: WorkerSettings,
        bell: Signal,
    ) -> None:
        self.held: dict[int, Lease] = {}
        self._name = name
        self._runtime = runtime
        self._storage = storage
        self._calls = calls
        self._polls = streams.stream(f"{Purpose.POLL}:{name}")
        self._queues = settings.queues
        self._lease = settings.lease_duration
        self._poll = duration(settings.poll)
        self._burst = settings.burst
        self._bell = bell
        self._turn = runtime.signal()
        self._finished: list[Settlement] = []
        self._in_flight: Sequence[Settlement] = _NONE
        self._leases: deque[Lease] = deque()
        self._waiting = 0
        self._look = True  # a job may be due that no exchange has looked for
        self._busy = False
        self._listening = False
        self._closed = False

    async def next(self, finished: Settlement | None = None) -> Lease | None:
        """Hand in what is `finished` and return a new lease once there is one; `None`: go home.

        Either comes after the finished attempt has been settled, durably.
        """
        if finished is not None:
            self._finished.append(finished)
        self._waiting += 1
        while not self._leases:
            if self._busy:
                await self._runtime.wait(self._turn)
            elif self._finished or (self._look and not self._closed):
                await self._exchange()
            elif self._closed:
                self._leave()
                return None
            elif self._listening:
                await self._runtime.wait(self._turn)
            else:
                await self._listen()
        lease = self._leases.popleft()
        self._leave()
        return lease

    def _leave(self) -> None:
        self._waiting -= 1
        if self._waiting and (self._leases or self._finished or self._closed or not self._listening):
            self._turn.ring()

    def close(self) -> None:
        """Hand out no more leases, and send the slots home as they come."""
        self._closed = True
        self._bell.ring(_EVERYBODY)
        self._turn.ring(_EVERYBODY)

    async def settle(self, settlements: list[Settlement]) -> None:
        """Settle without asking for new leases."""
        settled = await self._calls.make(self._storage.settle, settlements, self._runtime.now())
        self._settled(settlements, settled, self._runtime.now())

    async def give_back(self, release: Callable[[Lease], Settlement]) -> list[Lease]:
        """Settle what is finished, `release` what still runs, and return the latter."""
        finished, self._finished = self._finished, []
        ended = {settlement.lease.key for settlement in (*finished, *self._in_flight)}
        running = [lease for key, lease in self.held.items() if key not in ended]
        await self.settle([*finished, *map(release, running)])
        return running

    async def _exchange(self) -> None:
        """Settle all that is finished, and claim for every slot that waits."""
        self._busy = True
        heard, self._look = self._look, False
        batch, self._finished = self._finished, []
        self._in_flight = batch
        limit = 0 if self._closed else self._waiting - len(self._leases)
        now = self._runtime.now()
        exchange = self._storage.exchange
        try:
            settled, leases = await self._runtime.call(
                exchange, batch, self._name, self._queues, limit, self._lease, now
            )
        except RETRIED as error:
            settled, leases = await self._calls.again(
                error, exchange, batch, self._name, self._queues, limit, self._lease, now
            )
        self._busy, self._in_flight = False, _NONE
        if batch:
            self._settled(batch, settled, now)
        held, ready = self.held, self._leases
        for lease in leases:
            held[lease.key] = lease
            ready.append(lease)
        if heard and limit and len(leases) == limit:
            await self._pass_on(now)

    def _settled(self, batch: list[Settlement], settled: list[bool], now: Instant) -> None:
        soon = now + self._poll
        for (lease, decision), done in zip(batch, settled, strict=True):
            self.let_go(lease)
            if not done:
                _refused(lease)
            elif decision.due is not None and decision.due < soon:
                # Whoever listens set its alarm before it could know of this job.
                self._bell.ring()
        if self._burst and not self.held:
            self._bell.ring()

    def let_go(self, lease: Lease) -> bool:
        """Hold `lease` no longer; `False` where it was not held, or under another token."""
        held = self.held.get(lease.key)
        if held is None or held.token != lease.token:
            return False
        del self.held[lease.key]
        return True

    async def _pass_on(self, now: Instant) -> None:
        """Wake another worker where more is due than this one could take."""
        due = await self._calls.make(self._storage.next_due, self._queues)
        if due is not None and due <= now:
            self._bell.ring()

    async def _listen(self) -> None:
        """Wait until a job is due: asked at every ring, when the next should be, and after a while anyway."""
        self._listening = True
        while not self._closed:
            due = await self._calls.make(self._storage.next_due, self._queues)
            now = self._runtime.now()
            if due is not None and due <= now:
                self._look = True
                break
            if self._burst and not self.held:
                self._closed = True
                break
            await self._runtime.wait(self._bell, self._patience(due, now))
        self._listening = False

    def _patience(self, due: Instant | None, now: Instant) -> Duration:
        # Spread over half the interval, so that many workers do not all look at once.
        poll = Duration(round(self._poll * (0.75 + 0.5 * self._polls.random())))
        return poll if due is None else Duration(min(poll, due - now))


def _refused(lease: Lease) -> None:
    _log.warning(
        "job %s: the lease of attempt %d was lost before it could be settled; its result is dropped",
        lease.id,
        lease.attempt,
        extra={"job_id": str(lease.id), "attempt": lease.attempt},
    )
