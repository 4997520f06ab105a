"""What must hold of every transaction, whoever came before: the rules of the history, job by job."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from jobsim.core.decide import Settlement
from jobsim.core.errors import JobsimError
from jobsim.core.events import Event, standing
from jobsim.core.job import Job, JobId, Lease
from jobsim.core.transitions import FINAL
from jobsim.storage.base import Storage
from jobsim.testing.interleaving_process import Request
from jobsim.testing.invariants import History, Violation

OpenStorage = Callable[[], Storage]
"""Returns a store without jobs."""


class Judged:
    """A store, and what is wrong with what it does: all that is known before a transaction is its rows.

    `offered` are the ids that somebody may enqueue, `events` what the last transaction has added to the log.
    """

    def __init__(self, storage: Storage, offered: Sequence[JobId]) -> None:
        self.storage = storage
        self._offered = offered
        self.rows: tuple[Job, ...] = ()
        self.seq = 0
        self.events: list[Event] = []

    def make(self, request: Request) -> tuple[Any, list[Violation]]:
        """Make a transaction; return its answer, be it an error, and which rules it breaks."""
        history = History()
        history.standings = {job.id: standing(job) for job in self.rows}
        answer, found = perform(self.storage, request)
        found += unfounded(request, answer, self.rows)
        self.events = list(self.storage.events(self.seq))
        self.seq = max((event.seq for event in self.events), default=self.seq)
        self.rows = tuple(self.storage.find())
        found += [violation for event in self.events for violation in history.add(event)]
        found += history.log_equals_state(self.rows)
        found += history.nothing_invented(self._offered)
        found += unique_keys(self.rows)
        if request.method == "enqueue" and not isinstance(answer, Exception):
            found += history.conservation(answer)
        return answer, found

    def repeat(self, requests: Iterable[Request]) -> None:
        """Make transactions that were judged before."""
        for request in requests:
            perform(self.storage, request)
        self.rows = tuple(self.storage.find())
        self.seq = max((event.seq for event in self.storage.events()), default=0)


def perform(storage: Storage, request: Request) -> tuple[Any, list[Violation]]:
    """Make a transaction; an error that stores may raise is an answer, another is a violation."""
    try:
        answer = getattr(storage, request.method)(*request.args, **dict(request.keywords))
        return list(answer) if isinstance(answer, Iterator) else answer, []
    except JobsimError as error:
        return error.with_traceback(None), []
    except Exception as error:  # noqa: BLE001  # whatever a store raises that it should not
        return error, [Violation("no_surprise", None, f"{request.method} raised {error!r}")]


def unfounded(request: Request, answer: Any, rows: Sequence[Job]) -> list[Violation]:
    """Nobody is told that something was done under a lease that was not in force; `rows` are those before."""
    if isinstance(answer, Exception):
        return []
    held = {job.id: job.token for job in rows if job.lease_until is not None}
    match request.method:
        case "settle":
            return _under_no_lease(zip(request.args[0], answer, strict=True), held)
        case "exchange":
            found = _under_no_lease(zip(request.args[0], answer[0], strict=True), held)
            return found + _too_many(answer[1], request.args[3])
        case "claim":
            return _too_many(answer, request.args[2])
        case "extend":
            stale = (lease for lease in request.args[0] if held.get(lease.id) != lease.token)
            return [_unfounded(lease, "renewed") for lease in stale if lease.id in answer]
        case _:
            return []


def _under_no_lease(settled: Iterable[tuple[Settlement, bool]], held: Mapping[JobId, int]) -> list[Violation]:
    stale = (lease for (lease, _), done in settled if done and held.get(lease.id) != lease.token)
    return [_unfounded(lease, "settled") for lease in stale]


def _unfounded(lease: Lease, what: str) -> Violation:
    return Violation("unfounded", lease.id, f"{what} under token {lease.token}, which was not in force")


def _too_many(leases: Sequence[Lease], limit: int) -> list[Violation]:
    if len(leases) <= limit:
        return []
    return [Violation("claim_limit", leases[-1].id, f"one of {len(leases)} that were claimed, of {limit}")]


def unique_keys(rows: Sequence[Job]) -> list[Violation]:
    """Of the jobs that are not final, one holds each unique key."""
    holders = [job for job in rows if job.unique_key and not job.replaced and job.state not in FINAL]
    counts = Counter(job.unique_key for job in holders)
    return [
        Violation("unique_keys", job.id, f"{counts[job.unique_key]} jobs hold the key {job.unique_key!r}")
        for job in holders
        if counts[job.unique_key] > 1
    ]
