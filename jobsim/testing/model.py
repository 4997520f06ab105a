"""What a store must answer and record by its contract: what `jobsim.testing.machine` holds it to."""

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from jobsim.core.decide import LOST, Decision, Settlement, for_replaced
from jobsim.core.events import Event
from jobsim.core.guards import Guard, Tally, circuits_of, kept
from jobsim.core.job import Conflict, JobId, Lease, NewJob, State, WorkerId
from jobsim.core.limits import NO_LIMIT, Gate, Lane, Limit, Scope
from jobsim.core.time import Duration, Instant
from jobsim.core.transitions import FINAL, TRANSITIONS, WAITING, Kind
from jobsim.storage.base import ENDS, Storage
from jobsim.testing.invariants import History, Violation

_BACK: Final = {kind for (state, kind), to in TRANSITIONS.items() if state is State.RUNNING and to in WAITING}
Told = tuple[Kind, JobId, int]
"""What an event must say: what happened, to which job, and its token."""


class Model:
    """Follows a store by its log; each method is told of a call, and refuses what came of it if it is wrong.

    `known` are the jobs whose enqueue was committed, in that order; `accepted` those of which a process was
    told. `replaced` are those that gave their unique key up while they ran, `limits` those in force.
    """

    def __init__(self) -> None:
        self.history = History()
        self.known: dict[JobId, NewJob] = {}
        self.accepted: set[JobId] = set()
        self.replaced: set[JobId] = set()
        self.limits: dict[Scope, Limit] = {}
        self._turns: dict[Scope, Instant] = {}
        self._tallies: dict[Scope, Tally] = {}
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
        """Whatever happened, it was sound, and nobody started who was to be held back."""
        while self._news:
            event = self._news[0]
            if event.kind is Kind.CLAIM:
                _same(self._enter([event.job], 1, event.at), [event.job], "the jobs that may start are")
            elif event.kind in ENDS and event.worker is not None:
                ended = Decision(event.kind, event.why, event.due)
                _same(self._guarded(self._lease(event), ended, event.at), ended, "what was afforded is")
            self._add()

    def enqueued(self, batch: Sequence[NewJob], ids: list[JobId] | None) -> None:
        """A batch was accepted, job by job; or refused, where no `ids` came back, as a key is taken."""
        holders = {self.known[id_].unique_key: id_ for id_ in self._holders()}
        meant, told, given_up = list[JobId](), list[Told](), list[JobId]()
        for new in batch:
            holder = None if new.unique_key is None else holders.get(new.unique_key)
            if holder is not None and new.conflict is Conflict.RAISE:
                _same(ids, None, "enqueue returned")
                return
            if holder is None or new.conflict is Conflict.REPLACE:
                given_up += [] if holder is None else [holder]
                told.append((Kind.ENQUEUE, new.id, 0))
                holder = holders[new.unique_key] = new.id
            meant.append(holder)
        _same(ids, meant, "enqueue returned")
        self.known |= {new.id: new for new in batch if new.id in meant}
        self._take(*told, *(event for holder in given_up for event in self._given_up(holder)))

    def _holders(self) -> Iterator[JobId]:
        """Yield the jobs that hold their key, if they have one."""
        for id_, now in self.history.standings.items():
            if now.state not in FINAL and id_ not in self.replaced:
                yield id_

    def _given_up(self, holder: JobId) -> list[Told]:
        """Return what happens to a holder whose key another takes."""
        now = self.history.standings.get(holder)
        if now is None or now.state in WAITING:
            return [(Kind.CANCEL, holder, now.token if now else 0)]
        self.replaced.add(holder)
        return []

    def limited(self, limits: Mapping[Scope, Limit], told: Mapping[Scope, Limit]) -> None:
        """Limits were put in force, and the store tells which are."""
        for scope, limit in limits.items():
            old = self.limits.pop(scope, None)
            if old is None or old.rate != limit.rate:
                self._turns.pop(scope, None)
            stays = kept(self._tallies.pop(scope, Tally()), old or NO_LIMIT, limit)
            self._tallies |= {scope: stays} if stays != Tally() else {}
            self.limits |= {scope: limit} if limit else {}
        _same(told, self.limits, "the limits in force are")

    def pruned(
        self, states: Sequence[State], before: Instant, limit: int, number: int, storage: Storage
    ) -> None:
        """As many jobs as there were to prune are no more, and nobody else."""
        ended = {id_: now.finished for id_, now in self.history.standings.items() if now.state in states}
        old = {id_ for id_, finished in ended.items() if finished is not None and finished < before}
        gone = self.known.keys() - {job.id for job in storage.find()}
        _same(number, min(limit, len(old)), "prune returned")
        _same((len(gone), gone - old), (number, set()), "prune took so many, and others:")
        for id_ in gone:
            self.history.forget(id_)
            del self.known[id_]
        self.accepted -= gone
        self.replaced -= gone

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
        meant_ids = self._enter(self._due(queues, now), limit, now)
        _same([lease.id for lease in leases], meant_ids, "claim returned")
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
        self._take(*((Kind.CLAIM, lease.id, lease.token) for lease in leases))

    def _enter(self, ids: Sequence[JobId], limit: int, now: Instant) -> list[JobId]:
        """Return who of `ids` may start by the limits in force, the first first."""
        gate, entered = self._gate(), list[JobId]()
        for id_ in ids:
            if len(entered) < limit and gate.enter(self._lane(id_), now):
                entered.append(id_)
        self._turns |= gate.moved
        return entered

    def _gate(self) -> Gate:
        running = Counter(map(self._lane, self.in_states(State.RUNNING)))
        return Gate(self.limits, running, self._turns, circuits_of(self._tallies))

    def _lane(self, id_: JobId) -> Lane:
        new = self.known[id_]
        return Lane(new.queue, new.kind, new.limit_key)

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
        """Each settlement whose lease is in force was written, if it was afforded; others were refused."""
        expected = []
        for lease, decision in settlements:
            until = self.until(lease)
            right = until is not None and (decision.why.outcome != LOST or until < now)
            expected.append(right)
            if right:
                self._ends(lease, self._written(lease, decision, now))
            elif lease.id in self.history.standings:
                self._take((Kind.REFUSE, lease.id, lease.token))
        _same(answers, expected, "settle returned")

    def _written(self, lease: Lease, decision: Decision, now: Instant) -> Decision:
        """Return what is written in place of `decision`."""
        if decision.kind in _BACK and lease.id in self.replaced:
            return for_replaced(decision)
        return self._guarded(lease, decision, now)

    def _guarded(self, lease: Lease, decision: Decision, now: Instant) -> Decision:
        guard = Guard(self.limits, self._tallies)
        decision = guard.settle(lease, decision, now)
        self._tallies = guard.tallies
        return decision

    def _ends(self, lease: Lease, decision: Decision) -> None:
        """An attempt ended so, and its job waits until then."""
        self._take((decision.kind, lease.id, lease.token))
        event = self.history.of(lease.id)[-1]
        _same((event.due, event.why.reason), (decision.due, decision.why.reason), "the attempt ended with")

    def _lease(self, event: Event) -> Lease:
        """Return the lease under which an attempt ended, as far as its end depends on it."""
        new = self.known[event.job]
        times = (new.run_at, Duration(0), new.run_at)
        numbers = (event.attempt, event.max_attempts, new.max_attempts, event.token)
        return Lease(0, new.id, new.kind, new.queue, *numbers, *times, WorkerId(str(event.worker)), "")

    def extended(self, leases: Sequence[Lease], kept: set[JobId]) -> None:
        """The leases in force were renewed, and no others."""
        held = [lease for lease in leases if self.until(lease) is not None]
        for lease in held:
            self._take((Kind.EXTEND, lease.id, lease.token))
        _same(kept, {lease.id for lease in held}, "extend returned")

    def until(self, lease: Lease) -> Instant | None:
        """Return when `lease` ends, if it is in force."""
        now = self.history.standings.get(lease.id)
        return now.lease_until if now is not None and now.token == lease.token else None

    def expired(self, ended: Sequence[Lease], now: Instant) -> None:
        """The leases that ended before now were found, and no others."""
        running = self.history.standings.items()
        over = {id_: s.token for id_, s in running if s.lease_until is not None and s.lease_until < now}
        _same({lease.id: lease.token for lease in ended}, over, "expired returned")

    def operated(self, kind: Kind, job: JobId, answers: list[bool]) -> None:
        """An operator's call did what the transition table allows."""
        before = self.history.standings[job]
        possible = (before.state, kind) in TRANSITIONS and not (kind is Kind.REQUEUE and self._taken(job))
        if possible:
            self._take((kind, job, before.token))
            self.replaced -= {job} if kind is Kind.REQUEUE else set()
        _same(answers, [possible], f"{kind.value} returned")

    def _taken(self, job: JobId) -> bool:
        """Return whether another holds the key of `job`."""
        key, others = self.known[job].unique_key, (id_ for id_ in self._holders() if id_ != job)
        return key is not None and any(self.known[id_].unique_key == key for id_ in others)

    def _take(self, *meant: Told) -> None:
        """Take in the next events, which must be these; those of different jobs in either order."""
        told = [(event.kind, event.job, event.token) for event in list(self._news)[: len(meant)]]
        _same(sorted(told, key=_job), sorted(meant, key=_job), "the log says")
        for _ in meant:
            self._add()

    def _add(self) -> None:
        event = self._news.popleft()
        if event.kind in _BACK and event.job in self.replaced:
            raise AssertionError(f"job {event.job} was replaced, and is to wait again: {event.kind.value}")
        _none(self.history.add(event))

    def agrees(self, storage: Storage) -> None:
        """The store holds what its log says, and nothing happened but what was taken in."""
        self.read(storage)
        _same(list(self._news), [], "the log says")
        jobs = storage.find()
        _same({job.id for job in jobs if job.replaced}, self.replaced, "the jobs that were replaced are")
        _same(storage.tallies(), self._tallies, "budgets and breakers stand as")
        _none(self.history.log_equals_state(jobs))
        _none(self.history.conservation(self.accepted))
        _none(self.history.nothing_invented(self.known))
        _same(
            storage.counts(), {**dict.fromkeys(State, 0), **Counter(job.state for job in jobs)}, "counts are"
        )

    def foresees(self, due: Instant | None, queues: Sequence[str], latest: Instant) -> None:
        """The next job is due when the store says; if some were due by `latest`, it may name any of those."""
        gate = self._gate()
        times = [(at, gate.opens(self._lane(id_))) for id_, at in self._waiting(queues)]
        waiting = [max(at, opens) for at, opens in times if opens is not None]
        right = due in waiting and (due <= latest or due == min(waiting)) if due is not None else not waiting
        _same(due if right else (due, waiting), due, "next_due and the jobs that wait are")


def _job(told: Told) -> JobId:
    return told[1]


def _none(found: list[Violation]) -> None:
    if found:
        raise AssertionError("\n".join(map(str, found)))


def _same(told: object, meant: object, what: str) -> None:
    if told != meant:
        raise AssertionError(f"{what} {told!r}, where {meant!r} was right")
