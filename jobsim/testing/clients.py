"""What clients of a store were told, held against what its log says: the outside view of Jepsen.

Nobody knows of a call without a reply whether it was kept. Of one that was answered the log must say the
same, whatever was lost on the way, or in a crash, afterwards.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar, TypeVarTuple

from jobsim.core.decide import Settlement
from jobsim.core.events import Event
from jobsim.core.job import JobId, Lease, NewJob, WorkerId
from jobsim.core.time import Duration, Instant
from jobsim.core.transitions import Kind
from jobsim.storage.base import ENDS, Storage
from jobsim.storage.faulty import FaultyStorage
from jobsim.storage.troubles import NO_TROUBLES, Troubles
from jobsim.testing.invariants import Violation

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_Held = tuple[JobId, int]


class Told(NamedTuple):
    """Something that a client was told of: a job, under a token (0: none), and what its event would be.

    `kept` says whether it was told that this happened; `None`: it never heard.
    """

    kind: Kind
    job: JobId
    token: int
    kept: bool | None
    worker: WorkerId | None = None


class Clients:
    """What all clients of one store were told; each talks to it by a `WatchedStorage`.

    One that dies in a call, or hears an error, was told nothing.
    """

    def __init__(self) -> None:
        self.told: list[Told] = []

    def ask(self, told: Sequence[Told]) -> int:
        """Write down what a call asks for, of which nothing is heard yet; return its place in `told`."""
        self.told += told
        return len(self.told) - len(told)

    def hear(self, place: int, asked: int, told: Sequence[Told]) -> None:
        """Write down what was heard, in the place of what had been asked for there: so many things."""
        self.told[place : place + asked] = told

    @property
    def offered(self) -> set[JobId]:
        """The jobs that clients asked to be accepted."""
        return {told.job for told in self.told if told.kind is Kind.ENQUEUE}

    @property
    def accepted(self) -> set[JobId]:
        """The jobs that clients were told are accepted."""
        return {told.job for told in self.told if told.kind is Kind.ENQUEUE and told.kept}

    def agreement(self, events: Iterable[Event], pruned: Iterable[JobId] = ()) -> list[Violation]:
        """Return where the log contradicts what clients were told; of `pruned` jobs nothing is known."""
        log, gone = _Log(events), set(pruned)
        possible = {(told.job, told.token) for told in self.told if told.kept is not False}
        problems = (
            (told.job, _contradiction(log, told, possible)) for told in self.told if told.job not in gone
        )
        found = [Violation("agreement", job, problem, log.of(job)) for job, problem in problems if problem]
        return [*found, *self._given_twice(log)]

    def _given_twice(self, log: "_Log") -> Iterator[Violation]:
        """Yield the tokens that were given to clients more than once: such a token fences nothing."""
        claims = Counter((t.job, t.token) for t in self.told if t.kind is Kind.CLAIM)
        for (job, token), times in claims.items():
            if times > 1:
                problem = f"token {token} was given {times} times"
                yield Violation("tokens_never_regress", job, problem, log.of(job))


class _Log:
    """The events of a log by job; which attempts ended in it by a settlement, and who claimed them."""

    def __init__(self, events: Iterable[Event]) -> None:
        self.ends: set[_Held] = set()
        self.claims: dict[_Held, WorkerId | None] = {}
        self._events: dict[JobId, list[Event]] = {}
        for event in events:
            self._events.setdefault(event.job, []).append(event)
            if event.kind is Kind.CLAIM:
                self.claims[event.job, event.token] = event.worker
            elif event.kind in ENDS and event.worker is not None:
                self.ends.add((event.job, event.token))

    def of(self, job: JobId) -> tuple[Event, ...]:
        """Return the events of one job."""
        return tuple(self._events.get(job, ()))


def _contradiction(log: _Log, told: Told, possible: set[_Held]) -> str | None:
    """Return what the log says otherwise; `possible` ends of attempts may have been committed."""
    held = (told.job, told.token)
    match told.kind, told.kept:
        case _, None:
            return None
        case Kind.ENQUEUE, kept:
            right = bool(log.of(told.job)) is kept
        case Kind.CLAIM, _:
            right = log.claims.get(held) == told.worker
        case _, True:
            right = held in log.ends
        case _:
            # Another may have ended the attempt, or an earlier call whose reply was lost.
            right = held not in log.ends or held in possible
    if right:
        return None
    heard = "was told of" if told.kept else "was refused"
    under = f" under token {told.token}" if told.token else ""
    return f"a client {heard} its {told.kind.value}{under}, and the log says otherwise"


class WatchedStorage(FaultyStorage):
    """`storage` as one client uses it, troubles included; what that is told goes to `clients`."""

    def __init__(
        self, storage: Storage, clients: Clients, troubles: Troubles = NO_TROUBLES, **more: Any
    ) -> None:
        super().__init__(storage, troubles, **more)
        self._clients = clients

    def enqueue(self, jobs: Sequence[NewJob], now: Instant) -> list[JobId]:
        """Accept `jobs`, all or none, and return their ids in order."""

        def told(ids: list[JobId] | None) -> Iterator[Told]:
            for place, job in enumerate(jobs):
                yield Told(Kind.ENQUEUE, job.id, 0, None if ids is None else ids[place] == job.id)

        return self._heard(super().enqueue, told, jobs, now)

    def claim(
        self, worker: WorkerId, queues: Sequence[str], limit: int, lease: Duration, now: Instant
    ) -> list[Lease]:
        """Give `worker` up to `limit` due jobs of `queues`, each under a lease until `now + lease`."""
        return self._heard(super().claim, _claims, worker, queues, limit, lease, now)

    def settle(self, settlements: Sequence[Settlement], now: Instant) -> list[bool]:
        """Write what became of finished attempts; `False` where the lease was no longer held."""
        return self._heard(super().settle, lambda answers: _ends(settlements, answers), settlements, now)

    def exchange(
        self,
        settlements: Sequence[Settlement],
        worker: WorkerId,
        queues: Sequence[str],
        limit: int,
        lease: Duration,
        now: Instant,
    ) -> tuple[list[bool], list[Lease], Instant | None]:
        """Settle, then claim, in one transaction; return what `settle`, `claim` and `next_due` would."""

        def told(answer: tuple[list[bool], list[Lease], Instant | None] | None) -> Iterator[Told]:
            settled, leases, _ = answer or (None, None, None)
            yield from _ends(settlements, settled)
            yield from _claims(leases)

        return self._heard(super().exchange, told, settlements, worker, queues, limit, lease, now)

    def _heard(self, call: Callable[[*Ts], T], told: Callable[[T | None], Iterator[Told]], *args: *Ts) -> T:
        """Make a call, and write down what came of it: until it returns, that nothing was heard."""
        unheard = list(told(None))
        place = self._clients.ask(unheard)
        answer = call(*args)
        self._clients.hear(place, len(unheard), list(told(answer)))
        return answer


def _claims(leases: list[Lease] | None) -> Iterator[Told]:
    for lease in leases or ():
        yield Told(Kind.CLAIM, lease.id, lease.token, True, lease.worker)


def _ends(settlements: Sequence[Settlement], answers: list[bool] | None) -> Iterator[Told]:
    for place, (lease, decision) in enumerate(settlements):
        kept = None if answers is None else answers[place]
        yield Told(decision.kind, lease.id, lease.token, kept, lease.worker)
