"""The desk between a worker's slots and its store: finished attempts in, new leases out.

All slots share one exchange with the store at a time (group commit): what ends while a commit is in flight
is settled by the next, so that one durable commit pays for many jobs. Where storage calls return at once,
as in a simulation, each exchange is for one slot and nobody waits.

Slots at the desk are alike: whichever is awake does what is to be done next. It takes a lease that is
there; else it makes the exchange, if something is finished or may be due; else it waits for the bell, away
from the desk. While another makes the exchange it stands in line for its end.

An exchange tells when the next job is due, and the bell rings then. It is one bell for all workers that share
a process, so that each ring wakes one slot: the one that has been idle for longest.
"""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from jobsim.core.decide import Settlement
from jobsim.core.job import Lease, WorkerId
from jobsim.core.outcome import Released
from jobsim.core.streams import Purpose, Streams
from jobsim.core.time import MILLISECOND, Duration, Instant, duration
from jobsim.runtime.base import Runtime, Signal
from jobsim.storage.base import Storage
from jobsim.worker.calls import RETRIED, StorageCalls
from jobsim.worker.judge import Judge
from jobsim.worker.settings import WorkerSettings

Exchanged = tuple[list[bool], list[Lease], Instant | None]

_EVERYBODY: Final = 1 << 30
_COMPANY: Final = 32
"""So many finished attempts share the cost of a commit well enough not to wait for more."""

_SHARE: Final = 4
"""What part of an exchange's time it is worth waiting for that part more of attempts."""

_LONGEST: Final = 10 * MILLISECOND
"""How long it is waited at most, whatever the clock says of an exchange's time."""

_NO_TIME: Final = Duration(0)

_HASTE: Final = 8
"""How many exchanges are made without waiting after one for which it was not worth it."""

_NONE: Final = ()
_RELEASED: Final = Released()

_log: Final = logging.getLogger("jobsim.worker")


class Desk:
    """Hands leases to slots and settles what they finished; `held` are the leases of unfinished attempts.

    `judge` decides that attempts are given back at a stop, `abandon` stops one whose lease is lost.
    """

    def __init__(
        self,
        name: WorkerId,
        runtime: Runtime,
        storage: Storage,
        calls: StorageCalls,
        streams: Streams,
        settings: WorkerSettings,
        bell: Signal,
        judge: Judge,
        abandon: Callable[[Lease], None],
    ) -> None:
        self.held: dict[int, Lease] = {}
        self._name = name
        self._wait, self._call, self._now = runtime.wait, runtime.call, runtime.now
        self._storage = storage
        self._calls = calls
        self._polls = streams.stream(f"{Purpose.POLL}:{name}")
        self._queues = settings.queues
        self._lease = settings.lease_duration
        self._poll = duration(settings.poll)
        self._slots = settings.slots
        self._burst = settings.burst
        self._bell = bell
        self._judge = judge
        self._abandon = abandon
        self._finished: list[Settlement] = []
        self._in_flight: Sequence[Settlement] = _NONE
        self._given_back: Sequence[Settlement] = _NONE
        self._leases: deque[Lease] = deque()
        self._line = runtime.signal()
        self._in_line = 0
        self._busy = False
        self._look = False  # something may be due that no exchange has looked for
        self._gathered = runtime.signal()
        self._gathering = False
        self._patience = _NO_TIME  # how long gathering may take
        self._haste = 0
        self._next_poll = Instant(0)
        self._surge = 1
        self._closed = False

    async def next(self, finished: Settlement | None = None) -> Lease | None:
        """Hand in what is `finished` and return a new lease once there is one; `None`: go home.

        Either comes after the finished attempt has been settled, durably.
        """
        if finished is not None:
            self.let_go(finished.lease)
            self._finished.append(finished)
            if self._gathering and (not self.held or len(self._finished) >= _COMPANY):
                self._gathered.ring()
        self._look = True
        while not self._leases:
            if self._busy:
                await self._stand_in_line()
            elif self._finished or (self._look and not self._closed):
                await self._exchange()
            elif self._closed:
                return None
            else:
                await self._wait(self._bell)
                self._look = True
        return self._leases.popleft()

    async def _stand_in_line(self) -> None:
        self._in_line += 1
        await self._wait(self._line)
        self._in_line -= 1

    async def _exchange(self) -> None:
        """Settle all that is finished, claim for this slot and all in line, and see what is due next."""
        self._busy, self._look = True, False
        if self._patience and self.held and not self._closed:
            await self._gather()
        served, batch = self._in_line, self._finished
        self._finished, self._in_flight = [], batch
        limit = 0
        if not self._closed:
            limit = 1 + served
            self._bell.forget()
        now = self._now()
        try:
            settled, leases, due = await self._call(
                self._storage.exchange, batch, self._name, self._queues, limit, self._lease, now
            )
        except RETRIED as error:
            settled, leases, due = await self._calls.again(error, self._exchange_late, batch, limit)
            now = self._now()
        self._busy, self._in_flight = False, _NONE
        ended = self._now()
        self._patience = Duration(min((ended - now) // _SHARE, _LONGEST)) if ended > now else _NO_TIME
        if False in settled:
            _refused(batch, settled)
        held = self.held
        for lease in leases:
            if self._closed or lease.key in held:
                self._receive_late(lease)
            else:
                held[lease.key] = lease
                self._leases.append(lease)
        if due is None or due > now or len(leases) < limit:
            self._foresee(due, now, ended)
        else:
            self._pass_on()
        if self._in_line:
            # Those who were served, and one of those who came since, to make the next exchange. All go home
            # once it is closed.
            self._line.ring(self._in_line if self._closed else served + 1)

    async def _gather(self) -> None:
        """Wait a moment for attempts that are about to end, so that one commit pays for them, too.

        Without that, short attempts would come in turns: those that end while a commit is in flight wait for
        the next one, which then leaves without those that the first had sent out.
        """
        before = len(self._finished)
        if self._haste or not 0 < before < _COMPANY:
            self._haste = max(0, self._haste - 1)
            return
        self._gathering = True
        self._gathered.forget()
        await self._wait(self._gathered, self._patience)
        self._gathering = False
        if _SHARE * (len(self._finished) - before) < before:
            self._haste = _HASTE

    def _exchange_late(self, batch: Sequence[Settlement], limit: int) -> Exchanged:
        """Make an exchange that has failed before, by the present time: leases begin when they are got."""
        return self._storage.exchange(batch, self._name, self._queues, limit, self._lease, self._now())

    def _receive_late(self, lease: Lease) -> None:
        """Give `lease` back if the slots go home; else let it replace the one that was lost unnoticed."""
        if self._closed:
            self._finished.append(self._judge(lease, _RELEASED))
        else:
            self.lose(self.held[lease.key])
            self.held[lease.key] = lease
            self._leases.append(lease)

    def _pass_on(self) -> None:
        """Wake others for what is due beyond what was claimed: one, then two, four, while that goes on."""
        self._bell.ring(self._surge)
        self._surge = min(2 * self._surge, self._slots)

    def _foresee(self, due: Instant | None, looked: Instant, now: Instant) -> None:
        """Let the bell ring when the next job is due, and after a while anyway."""
        self._surge = 1
        # The clock may have been set since jobs were `looked` for.
        if not now < self._next_poll <= now + 2 * self._poll:  # it is past, or the clock was set back
            # Spread over half the interval, so that many workers do not all look at once.
            spread = 0.75 + 0.5 * self._polls.random()
            self._next_poll = Instant(now + 1 + int(self._poll * spread))
        self._bell.ring_at(due if due is not None and looked < due < self._next_poll else self._next_poll)
        if self._burst and not (self.held or self._finished) and (due is None or due > looked):
            self.close()

    def let_go(self, lease: Lease) -> bool:
        """Hold `lease` no longer; `False` where it was not held, or under another token."""
        held = self.held.pop(lease.key, None)
        if held is None:
            return False
        if held is not lease and held.token != lease.token:
            self.held[lease.key] = held
            return False
        return True

    def lose(self, lease: Lease) -> None:
        """Stop the attempt under `lease`, which is gone, unless it has ended meanwhile."""
        if self.let_go(lease):
            _log.warning(
                "job %s: the lease of attempt %d was lost (cancelled, or taken over); the attempt is stopped",
                lease.id,
                lease.attempt,
                extra={"job_id": str(lease.id), "attempt": lease.attempt},
            )
            self._abandon(lease)

    def unsettled(self) -> list[Lease]:
        """Return the leases of attempts that run, and of those whose end is not yet written."""
        ended = (*self._finished, *self._in_flight, *self._given_back)
        return [*self.held.values(), *(settlement.lease for settlement in ended)]

    def close(self) -> None:
        """Hand out no more leases, give back those not yet taken, and send the slots home as they come."""
        self._closed = True
        while self._leases:
            lease = self._leases.popleft()
            self.let_go(lease)
            self._finished.append(self._judge(lease, _RELEASED))
        self._bell.ring(_EVERYBODY)

    async def give_back(self) -> None:
        """Settle what is finished and release what still runs, which is to be stopped then."""
        while self._busy:
            await self._stand_in_line()
        finished, self._finished = self._finished, []
        self._given_back = finished
        running = list(self.held.values())
        settlements = [*finished, *(self._judge(lease, _RELEASED) for lease in running)]
        settled = await self._calls.make(self._storage.settle, settlements, self._now())
        self._given_back = _NONE
        _refused(settlements, settled)
        for settlement in settlements:
            if settlement.decision.due is not None:
                self._bell.ring_at(settlement.decision.due)
        for lease in running:
            self.let_go(lease)


def _refused(settlements: Sequence[Settlement], settled: Sequence[bool]) -> None:
    for (lease, _), done in zip(settlements, settled, strict=True):
        if not done:
            _log.warning(
                "job %s: the lease of attempt %d was lost before it could be settled; its result is dropped",
                lease.id,
                lease.attempt,
                extra={"job_id": str(lease.id), "attempt": lease.attempt},
            )
