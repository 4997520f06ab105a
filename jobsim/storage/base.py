"""The storage contract, which the conformance suite tests rule by rule.

1.  Every method is one transaction: all of it is committed, durably, when the method returns; none of
    it is when it raises. Only of a `StorageBroken` nobody knows.
2.  A job's state, its other columns and its event are written in the same transaction.
3.  `now` is always an argument: a store never reads a clock. It may be earlier than in the call before,
    since the clocks of workers differ.
4.  The next state comes from `core.transitions`; a store decides nothing.
5.  `claim` takes only due jobs (`run_at <= now`) of the queues asked for, at most `limit`, each by one
    worker only; highest priority first, then earliest `run_at`, then first enqueued, over all the queues.
6.  A claim adds one to the attempt and one to the token; the token is never lowered.
7.  `settle` and `extend` act only where the job is running under the lease's token. A settlement that
    does not is refused (`False`), changes nothing, and is recorded as a `REFUSE` event, if there is such
    a job. So is one that `possible` rules out; one that says the lease is lost, for example, where it
    was renewed after a reaper saw it.
8.  A release gives the attempt back, never the token.
9.  A requeue, of a dead letter or of a job that waits, has it due now. It keeps the attempt count and grants
    a new budget: the limit becomes their sum, and tries count from 1 again.
10. A job is never removed but by `prune`, and its `Lease.key` is never another's.
11. One impossible item of a batch is reported for itself and does not stop the others. The second of two
    settlements under one lease is such an item.
12. Methods may be called from several threads; calls do not interleave.
13. `exchange` is `settle`, then `claim`, then `next_due` in one transaction: one durable commit pays for all.
14. Events are numbered from 1, in the order of their commits, without gaps but where a transaction was
    undone. Those of different jobs, committed at the same time, may stand in either order. No event ever
    appears below one that was already read. `fold` of them all tells of each job what `standing` does.
    Those of a job that is pruned go with it.
15. Any text comes back as it was; of one that is not Unicode (half a surrogate pair in an error) what is
    wrong may come back spelled out. Times and priorities are 64-bit integers.
16. Of the jobs that are not final, at most one holds each unique key. What enqueueing another means is
    said by its `conflict`, job by job in the order of the batch. A holder that is replaced while it waits is
    cancelled (`Why("cancelled", REPLACED, "by <id>")`); one that runs is marked `replaced`, holds the key no
    more, and a settlement that would have it wait again is written as `for_replaced` says. A retry so never
    meets a taken key; a requeue that does is refused.
17. A job that a limit in force holds back is not claimed; jobs behind it are. How many attempts of its lane
    run is counted from the jobs that are running, so that the place of a dead worker is free once its lease
    is settled, and two claims at the same time never both take the last place. A limit is in force for the
    jobs that are enqueued after `set_limits` returned, and for all that were there.
18. What a budget or a breaker in force makes of a settlement is said by `core.guards.Guard`, settlement by
    settlement in the order of the batch, of those that are not refused, and written in its place. How they
    stand is kept with the settlement, in one transaction, and no two settlements go by the same standing.
19. `prune` removes whole jobs: payload, result and events with the job.
20. Nothing of a queue that is paused is claimed by a call that begins after `pause` returned. All else goes
    on: jobs are enqueued there, and attempts end. It is paused until `resume`, whatever is done meanwhile.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Protocol, runtime_checkable

from jobsim.core.decide import LOST, Decision, Settlement
from jobsim.core.errors import ConfigError, KeyTaken, StorageError
from jobsim.core.events import Event
from jobsim.core.guards import Tally
from jobsim.core.job import Job, JobId, Lease, NewJob, QueueDepth, State, WorkerId
from jobsim.core.limits import Limit, Scope
from jobsim.core.time import Duration, Instant
from jobsim.core.transitions import FINAL, TRANSITIONS, WAITING, Kind

ENDS: Final = {
    kind: target
    for (source, kind), target in TRANSITIONS.items()
    if source is State.RUNNING and target is not State.RUNNING
}
"""The state to which each kind of settlement leads."""


def possible(lease: Lease, decision: Decision, until: Instant | None, now: Instant) -> bool:
    """Return whether the attempt under `lease`, by now until `until`, can end so; stores refuse what cannot.

    The transition table must know the kind; a job that is to wait needs a time, and an attempt left; and
    only a lease that has ended is lost.
    """
    if decision.why.outcome == LOST and (until is None or until >= now):
        return False
    state = ENDS.get(decision.kind)
    if state not in WAITING:
        return state is not None
    attempt = lease.attempt - (decision.kind is Kind.RELEASE)
    return decision.due is not None and attempt < lease.max_attempts


def key_taken(key: str, holder: JobId) -> KeyTaken:
    """Return the error that `RAISE` asks for: `holder`, be it of the same batch, holds `key`."""
    return KeyTaken(f"job {holder} holds the unique key {key!r}; nothing of the batch was accepted")


def check_final(states: Sequence[State]) -> None:
    """Refuse to prune what is not final.

    Raises:
        ConfigError: a state is not.
    """
    for state in states:
        if state not in FINAL:
            final = ", ".join(state.value for state in State if state in FINAL)
            raise ConfigError(f"jobs that are {state.value} cannot be pruned; only those that are {final}")


def outdated(where: str, version: int, known: int) -> StorageError:
    """Return the error where a schema is older than the `known` one, or missing (0), and is to stay so."""
    if not version:
        return StorageError(
            f"{where} does not hold jobsim's tables; see that the names are right; a worker makes them"
        )
    return StorageError(
        f"{where} has schema {version}, and this jobsim knows {known}; jobsim migrate brings it up to date, "
        f"and so does a worker that starts; processes of an older jobsim cannot open it after that"
    )


class Watch(Protocol):
    """Hears of jobs that any process puts on the queue. For one thread at a time."""

    def wait(self, timeout: Duration) -> bool:
        """Wait for news, of which there may be more than jobs; `False` when `timeout` came first.

        Raises:
            StorageError: nothing can be heard just now; a later call may.
        """
        ...

    def close(self) -> None:
        """Let go of what was listened with."""
        ...


@runtime_checkable
class Watchable(Protocol):
    """A store that may tell of new jobs; all the same a worker looks by itself, as news can be lost."""

    def watch(self) -> Watch | None:
        """Return what hears of new jobs; `None` where that is switched off."""
        ...


@runtime_checkable
class Timekeeper(Protocol):
    """A store that knows the time: all who use it go by its clock, not by their own."""

    def clock(self) -> Instant:
        """Return what the clock shows. No other method of a store looks at it."""
        ...


@runtime_checkable
class Inspectable(Protocol):
    """A store that tells what is in force in its database, for people who look after it."""

    def settings(self) -> dict[str, str]:
        """Return each setting, as the database itself tells it; ``schema`` is the version of its tables.

        Raises:
            StorageError: it cannot be read.
        """
        ...


@runtime_checkable
class Auditable(Protocol):
    """A store that finds what is wrong with its database beneath the jobs, where the log does not show it."""

    def damage(self) -> list[str]:
        """Return what is wrong: of tables and indexes, and rows that belong to nothing. All of them are read.

        Raises:
            StorageError: it cannot be read.
        """
        ...


class Storage(Protocol):
    """Where jobs live. Sync, one transaction a call; see the numbered contract above.

    Every method may raise `StorageError`; nothing of the call was kept then.
    """

    def enqueue(self, jobs: Sequence[NewJob], now: Instant) -> list[JobId]:
        """Accept `jobs`, all or none, and return their ids in order; for one that is skipped, the holder's.

        Raises:
            IdTaken: an id is.
            KeyTaken: a unique key is, and the job's `conflict` is `RAISE`.
        """
        ...

    def claim(
        self, worker: WorkerId, queues: Sequence[str], limit: int, lease: Duration, now: Instant
    ) -> list[Lease]:
        """Give `worker` up to `limit` due jobs of `queues`, each under a lease until `now + lease`."""
        ...

    def settle(self, settlements: Sequence[Settlement], now: Instant) -> list[bool]:
        """Write what became of finished attempts; `False` where the lease was no longer held."""
        ...

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
        ...

    def extend(self, leases: Sequence[Lease], until: Instant, now: Instant) -> set[JobId]:
        """Let `leases` last until `until`, never less than before; return the ids still held."""
        ...

    def expired(self, limit: int, now: Instant, after: int = 0) -> list[Lease]:
        """Return up to `limit` leases that ended before `now`, by `Lease.key`, those above `after`."""
        ...

    def next_due(self, queues: Sequence[str]) -> Instant | None:
        """Return when the next waiting job of `queues` can be claimed, by its `run_at` and by its rate.

        Where jobs are overdue it may be the `run_at` of any of those. `None` where there is none, where
        others must end before one can start, or where the queues are paused.
        """
        ...

    def requeue(self, ids: Sequence[JobId], now: Instant) -> list[bool]:
        """Make jobs pending, due now, with a new budget; `False` where that is not possible.

        It is where they wait, be it for another try, or are dead letters; each at most once in a call.
        """
        ...

    def set_limits(self, limits: Mapping[Scope, Limit]) -> None:
        """Put limits in force, each in the place of its scope's own; one that limits nothing removes that.

        The turn of a rate stays as it is where the same rate is put in force again; another begins anew. So
        it is with budgets and breakers.
        """
        ...

    def limits(self) -> dict[Scope, Limit]:
        """Return the limits in force."""
        ...

    def tallies(self) -> dict[Scope, Tally]:
        """Return how the budgets and breakers in force stand, of those scopes where an attempt has ended."""
        ...

    def pause(self, queue: str) -> bool:
        """Have no job of `queue`, whose name may be new, claimed any more; `False`: it is paused already."""
        ...

    def resume(self, queue: str) -> bool:
        """Let jobs of `queue` be claimed again; `False` where it is not paused."""
        ...

    def paused(self) -> set[str]:
        """Return the queues that are paused."""
        ...

    def prune(self, states: Sequence[State], before: Instant, limit: int) -> int:
        """Remove up to `limit` jobs that ended `before` in one of `states`, and return how many.

        Raises:
            ConfigError: a state is not final.
        """
        ...

    def cancel(self, ids: Sequence[JobId], now: Instant, reason: str = "") -> list[bool]:
        """Cancel jobs that are not final, and discard dead letters; `False` where not possible.

        The lease of a running one is over at once.
        """
        ...

    def get(self, job: JobId) -> Job | None:
        """Return the job, or `None`."""
        ...

    def get_many(self, jobs: Sequence[JobId]) -> list[Job | None]:
        """Return what `get` would of each of `jobs`, all as they are at one moment."""
        ...

    def find(
        self,
        *,
        states: Sequence[State] = (),
        kind: str | None = None,
        queue: str | None = None,
        limit: int | None = None,
    ) -> list[Job]:
        """Return jobs in the order they were enqueued; nothing given filters nothing."""
        ...

    def counts(self) -> dict[State, int]:
        """Return the number of jobs in every state."""
        ...

    def depths(self) -> dict[str, QueueDepth]:
        """Return how many jobs there are on each queue that has any, of every state."""
        ...

    def events(self, after: int = 0, job: JobId | None = None) -> Iterator[Event]:
        """Yield events with `seq` above `after`, oldest first; of one `job` only, where given.

        It ends where the log ended when the first was asked for.
        """
        ...

    def close(self) -> None:
        """Let go of files and connections; calling it twice is harmless."""
        ...
