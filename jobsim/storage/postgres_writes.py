"""What a transaction of the PostgreSQL store writes.

Each method lets its statements be under way, and returns what reads their answers.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Final

from jobsim.core.decide import LOST, Decision, Settlement, Why, for_replaced
from jobsim.core.job import JobId, Lease, NewJob, State, WorkerId
from jobsim.core.limits import Limit, Scope
from jobsim.core.time import Duration, Instant
from jobsim.core.transitions import TRANSITIONS, WAITING, Kind
from jobsim.storage import postgres_claim, postgres_enqueue, postgres_limits
from jobsim.storage.base import ENDS, possible
from jobsim.storage.postgres_claim import Line, Order
from jobsim.storage.postgres_enqueue import SOON
from jobsim.storage.postgres_guards import Guarded, judged, set_guards
from jobsim.storage.postgres_names import Names
from jobsim.storage.postgres_rows import original, stored
from jobsim.storage.postgres_session import Session
from jobsim.storage.postgres_standing import Standing, finish, record, standing
from jobsim.storage.postgres_statements import numbers, texts, uuids

_REQUEUED: Final = TRANSITIONS[State.DEAD_LETTER, Kind.REQUEUE]
_LONG_AGO: Final = Instant(-(2**62))
_GIVEN_UP: Final = for_replaced(Decision(Kind.RETRY, Why(), Instant(0)))
"""What is written, but for the error, where an attempt ends and its job is not to wait again."""


class Writes:
    """The changes a store makes, in the order of the contract; `channel` is where news of jobs are told.

    `guarded` says whether there are budgets or breakers, as far as is known: where a settlement finds that
    there are, its answer raises `Guarded`, and it is to be made again.
    """

    def __init__(self, channel: str) -> None:
        self.names: Final = Names()
        self.guarded = False
        self._channel = channel

    def enqueue(self, session: Session, now: Instant, jobs: Sequence[NewJob]) -> Callable[[], list[JobId]]:
        """Store `jobs`; see `Storage.enqueue`."""
        ids = postgres_enqueue.enqueue(session, now, jobs, self.names, self._channel)
        return lambda: ids

    def promote(self, session: Session, now: Instant, queues: Sequence[str]) -> Callable[[], bool]:
        """Mark jobs that have come due as ready; tell whether there may be more."""
        return postgres_claim.promote(session, now, queues)

    def exchange(
        self,
        session: Session,
        now: Instant,
        settlements: Sequence[Settlement],
        worker: WorkerId,
        queues: Sequence[str],
        limit: int,
        lease: Duration,
    ) -> Callable[[], tuple[list[bool], list[Lease], Instant | None]]:
        """Settle, claim, and see what is due next; see `Storage.exchange`.

        The answer raises `MoreDue` where jobs had come due of which not all are marked as ready.
        """
        number = self.names.worker(session, worker)
        settled = self._settle(session, now, settlements)
        claimed = postgres_claim.claim(session, now, Order(worker, number, queues, limit, lease))

        def answer() -> tuple[list[bool], list[Lease], Instant | None]:
            leases, due, taken = claimed()
            marks, given = settled()
            if given - taken:
                session.news = self._channel  # others may take what was held back
            return marks, leases, due

        return answer

    def settle(
        self, session: Session, now: Instant, settlements: Sequence[Settlement]
    ) -> Callable[[], list[bool]]:
        """Write what became of attempts; see `Storage.settle`."""
        settled = self._settle(session, now, settlements)

        def answer() -> list[bool]:
            marks, given = settled()
            if given:
                session.news = self._channel
            return marks

        return answer

    def settle_and_look(
        self, session: Session, now: Instant, settlements: Sequence[Settlement], queues: Sequence[str]
    ) -> Callable[[], tuple[list[bool], Instant | None]]:
        """Settle, and see what is due next, for a worker that claims nothing."""
        settled = self.settle(session, now, settlements)
        return lambda: (settled(), postgres_claim.look(session, queues))

    def _settle(
        self, session: Session, now: Instant, settlements: Sequence[Settlement]
    ) -> Callable[[], tuple[list[bool], Counter[Line]]]:
        """Settle; the answer tells as well how many places were given back in each lane."""
        if not settlements:
            return lambda: ([], Counter())
        guarded = self.guarded
        if guarded:
            settlements = judged(session, now, settlements, self.names)
        dues = [decision.due for _, decision in settlements if decision.due is not None]
        why = self.names.why(session, _GIVEN_UP.why) if dues else None
        columns = self._columns(session, settlements, now)
        given_up = (_GIVEN_UP.kind, ENDS[_GIVEN_UP.kind], why)
        settled = session.run("settle", *columns, Kind.REFUSE, now, *given_up, guarded)
        if dues and min(dues) < now + SOON:
            session.news = self._channel

        def answer() -> tuple[list[bool], Counter[Line]]:
            marks, given = [False] * len(settlements), Counter[Line]()
            for place, queue, lane in settled.fetchall():
                if place is None:
                    self.guarded = not guarded
                    if self.guarded:
                        raise Guarded
                    continue
                marks[place - 1] = True
                if queue is not None:
                    given[queue, lane] += 1
            return marks, given

        return answer

    def _columns(self, session: Session, settlements: Sequence[Settlement], now: Instant) -> tuple[str, ...]:
        """Return what ``settle.sql`` is given, a column of a row a settlement each."""
        names = self.names
        leases = [lease for lease, _ in settlements]
        decisions = [decision for _, decision in settlements]
        # Whether a lost lease has ended is for the row to say: all else can be told from here.
        states = [ENDS[d.kind] if possible(lease, d, _LONG_AGO, now) else None for lease, d in settlements]
        judged = list(zip(decisions, states, strict=True))
        return (
            *_of_leases(leases),
            numbers(lease.attempt for lease in leases),
            numbers(lease.max_attempts for lease in leases),
            numbers(names.worker(session, lease.worker) for lease in leases),
            texts(decision.kind for decision in decisions),
            texts(states),
            numbers(decision.kind is Kind.RELEASE for decision in decisions),
            numbers(decision.due if state in WAITING else None for decision, state in judged),
            numbers(decision.delay if state in WAITING else None for decision, state in judged),
            numbers(now if decision.why.outcome == LOST else None for decision in decisions),
            numbers(names.why(session, decision.why) for decision in decisions),
            texts(stored(decision.why.error) or None for decision in decisions),
            texts(None if decision.result is None else stored(decision.result) for decision in decisions),
        )

    def extend(
        self, session: Session, now: Instant, leases: Sequence[Lease], until: Instant
    ) -> Callable[[], set[JobId]]:
        """Prolong leases; see `Storage.extend`."""
        workers = numbers(self.names.worker(session, lease.worker) for lease in leases)
        held = session.run("extend", *_of_leases(leases), workers, until, now, Kind.EXTEND)
        return lambda: {leases[place - 1].id for (place,) in held.fetchall()}

    def requeue(self, session: Session, now: Instant, ids: Sequence[JobId]) -> Callable[[], list[bool]]:
        """Give jobs a new budget; see `Storage.requeue`."""
        free = _with_free_keys(session, _movable(session, ids, Kind.REQUEUE))
        if free:
            fresh = [job._replace(max_attempts=job.attempt + job.budget) for job in free.values()]
            # In the order of their keys, as everybody takes them.
            taking = sorted(fresh, key=lambda job: (job.unique_key or "", job.number))
            rows, budgets = (job.number for job in taking), (job.max_attempts for job in taking)
            session.run("requeue", _REQUEUED, now, numbers(rows), numbers(budgets))
            record(session, fresh, Kind.REQUEUE, now, now)
            session.news = self._channel
        return lambda: [free.pop(id_, None) is not None for id_ in ids]

    def cancel(
        self, session: Session, now: Instant, ids: Sequence[JobId], reason: str
    ) -> Callable[[], list[bool]]:
        """Cancel jobs; see `Storage.cancel`."""
        why = self.names.why(session, Why("cancelled", "operator"))
        movable = _movable(session, ids, Kind.CANCEL)
        jobs = list(movable.values())
        finish(session, jobs, Kind.CANCEL, now)
        record(session, jobs, Kind.CANCEL, now, None, why, [stored(reason) or None] * len(jobs))
        if any(job.limited and job.state not in WAITING for job in jobs):
            session.news = self._channel
        return lambda: [movable.pop(id_, None) is not None for id_ in ids]

    def set_limits(self, session: Session, _: Instant, limits: Mapping[Scope, Limit]) -> Callable[[], None]:
        """Put limits in force; see `Storage.set_limits`."""
        postgres_limits.set_limits(session, limits)
        set_guards(session, limits)
        session.news = self._channel
        return lambda: None

    def turn(self, session: Session, _: Instant, how: str, queue: str) -> Callable[[], bool]:
        """Pause or resume a queue; see `Storage.pause`. No claim is under way meanwhile."""
        session.exclusive = True
        session.news = self._channel
        turned = session.run(how, stored(queue))
        return lambda: bool(turned.fetchall())

    def prune(
        self, session: Session, before: Instant, rows: Sequence[int], states: Sequence[State]
    ) -> Callable[[], int]:
        """Remove those of `rows` that ended `before` in one of `states`, and tell how many."""
        gone = [row for (row,) in session.run("prune", numbers(rows), texts(states), before).fetchall()]
        session.run("prune_events", numbers(gone))
        return lambda: len(gone)


def _of_leases(leases: Sequence[Lease]) -> tuple[str, str, str]:
    """Return what says of which job and which attempt a lease is: keys, ids and tokens."""
    return (
        numbers(map(attrgetter("key"), leases)),
        uuids(map(attrgetter("id"), leases)),
        numbers(map(attrgetter("token"), leases)),
    )


def _movable(session: Session, ids: Iterable[JobId], kind: Kind) -> dict[JobId, Standing]:
    """Return those of the jobs to which `kind` can happen, in the order given; they stay as they are."""
    movable = {job.id: job for job in standing(session, ids) if (job.state, kind) in TRANSITIONS}
    return {id_: movable[id_] for id_ in ids if id_ in movable}


def _with_free_keys(session: Session, jobs: dict[JobId, Standing]) -> dict[JobId, Standing]:
    """Return those of the jobs whose unique key nobody else holds, the first of each key."""
    keys = {job.unique_key for job in jobs.values() if job.unique_key is not None}
    if not keys:
        return jobs
    held = session.run("holders", texts(map(stored, keys))).fetchall()
    holders = {JobId.from_bytes(uuid) for _, uuid in held}
    free = keys - {original(key) for key, _ in held}
    first: dict[JobId, Standing] = {}
    for id_, job in jobs.items():
        if job.unique_key is None or id_ in holders or job.unique_key in free:
            first[id_] = job
            free.discard(str(job.unique_key))
    return first
