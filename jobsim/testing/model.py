"""What a store must answer and record by its contract: what `jobsim.testing.machine` holds it to."""

from collections import Counter, deque
from collections.abc import Iterator, Sequence

from jobsim.core.decide import LOST, Settlement
from jobsim.core.events import Event
from jobsim.core.job import JobId, Lease, NewJob, State, WorkerId
from jobsim.core.time import Instant
from jobsim.core.transitions import TRANSITIONS, WAITING, Kind
from jobsim.storage.base import Storage
from jobsim.testing.invariants import History, Violation


class Model:
    """Follows a store by its log; each method is told of a call, and refuses what came of it if it is wrong.

    `known` are the jobs whose enqueue was committed, in that order; `accepted` those of which a process was
    told.
    """

    def __init__(self) -> None:
        self.history = History()
        self.known: dict[JobId, NewJob] = {}
        self.accepted: set[JobId] = set()
        self._news: deque[Event] = deque()
        self._seen = 0

    def in_states(self, *states: State) -> list[JobId]:
        """Return the jobs in these states."""
        return [id_ for id_, now in self.history.standings.items() if now.state in states]

    def unheard(self) -> list[JobId]:
        """Return the jobs that were accepted without a reply."""
        return [id_ for id_ in self.known if id_ not in self.accepted]

    def read(self, storage: Storage) -> None:
        """Read what the log has gained, for the methods below to take in."""
        for event in storage.events(after=self._seen):
            self._news.append(event)
            self._seen = event.seq

    def anything(self) -> None:
        """Whatever happened, it was sound."""
        while self._news:
            _none(self.history.add(self._news.popleft()))

    def enqueued(self, batch: Sequence[NewJob], ids: list[JobId]) -> None:
        """A batch was accepted, in its order."""
        _same(ids, [new.id for new in batch], "enqueue returned")
        for new in batch:
            self.known[new.id] = new
            self._take(Kind.ENQUEUE, new.id, 0)

    def claimed(
        self,
        leases: Sequence[Lease],
        who: WorkerId,
        queues: Sequence[str],
        limit: int,
        until: Instant,
        now: Instant,
    ) -> None:
        """The jobs that are due were claimed, the most urgent first."""
        _same([lease.id for lease in leases], self._due(queues, now)[:limit], "claim returned")
        for lease in leases:
            new, before = self.known[lease.id], self.history.standings[lease.id]
            meant = lease._replace(
                kind=new.kind,
                queue=new.queue,
                attempt=before.attempt + 1,
                max_attempts=before.max_attempts,
                budget=new.max_attempts,
                token=before.token + 1,
                until=until,
                worker=who,
                payload=new.payload,
            )
            _same(lease, meant, "claim returned")
            self._take(Kind.CLAIM, lease.id, lease.token)

    def _due(self, queues: Sequence[str], now: Instant) -> list[JobId]:
        order = {id_: number for number, id_ in enumerate(self.known)}
        waiting = (id_ for id_, at in self._waiting(queues) if at <= now)
        return sorted(
            waiting,
            key=lambda id_: (-self.known[id_].priority, self.history.standings[id_].run_at, order[id_]),
        )

    def _waiting(self, queues: Sequence[str]) -> Iterator[tuple[JobId, Instant]]:
        for id_, now in self.history.standings.items():
            if now.state in WAITING and self.known[id_].queue in queues:
                yield id_, now.run_at

    def settled(self, settlements: Sequence[Settlement], answers: list[bool], now: Instant) -> None:
        """Each settlement whose lease was in force was written, and each other one refused."""
        expected = []
        for lease, decision in settlements:
            until = self.until(lease)
            right = until is not None and (decision.why.outcome != LOST or until < now)
            expected.append(right)
            self._take(decision.kind if right else Kind.REFUSE, lease.id, lease.token)
        _same(answers, expected, "settle returned")

    def extended(self, leases: Sequence[Lease], kept: set[JobId]) -> None:
        """The leases in force were renewed, and no others."""
        held = [lease for lease in leases if self.until(lease) is not None]
        for lease in held:
            self._take(Kind.EXTEND, lease.id, lease.token)
        _same(kept, {lease.id for lease in held}, "extend returned")

    def until(self, lease: Lease) -> Instant | None:
        """Return when `lease` ends, if it is in force."""
        now = self.history.standings[lease.id]
        return now.lease_until if now.token == lease.token else None

    def expired(self, ended: Sequence[Lease], now: Instant) -> None:
        """The leases that ended before now were found, and no others."""
        running = self.history.standings.items()
        over = {id_: s.token for id_, s in running if s.lease_until is not None and s.lease_until < now}
        _same({lease.id: lease.token for lease in ended}, over, "expired returned")

    def operated(self, kind: Kind, job: JobId, answers: list[bool]) -> None:
        """An operator's call did what the transition table allows."""
        before = self.history.standings[job]
        possible = (before.state, kind) in TRANSITIONS
        if possible:
            self._take(kind, job, before.token)
        _same(answers, [possible], f"{kind.value} returned")

    def _take(self, kind: Kind, job: JobId, token: int) -> None:
        """Take in the next event, which must be this one."""
        told = [(event.kind, event.job, event.token) for event in list(self._news)[:1]]
        _same(told, [(kind, job, token)], "the log says")
        _none(self.history.add(self._news.popleft()))

    def agrees(self, storage: Storage) -> None:
        """The store holds what its log says, and nothing happened but what was taken in."""
        self.read(storage)
        _same(list(self._news), [], "the log says")
        jobs = storage.find()
        _none(self.history.log_equals_state(jobs))
        _none(self.history.conservation(self.accepted))
        _none(self.history.nothing_invented(self.known))
        _same(
            storage.counts(), {**dict.fromkeys(State, 0), **Counter(job.state for job in jobs)}, "counts are"
        )

    def foresees(self, due: Instant | None, queues: Sequence[str], latest: Instant) -> None:
        """The next job is due when the store says; if some were due by `latest`, it may name any of those."""
        waiting = [at for _, at in self._waiting(queues)]
        right = due in waiting and (due <= latest or due == min(waiting)) if due is not None else not waiting
        _same(due if right else (due, waiting), due, "next_due and the jobs that wait are")


def _none(found: list[Violation]) -> None:
    if found:
        raise AssertionError("\n".join(map(str, found)))


def _same(told: object, meant: object, what: str) -> None:
    if told != meant:
        raise AssertionError(f"{what} {told!r}, where {meant!r} was right")
