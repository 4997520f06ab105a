"""What a store of jobs has told its callers, held against the database that a power cut left."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, cast

from jobsim.core.errors import StorageError
from jobsim.core.events import Event
from jobsim.core.job import Job, JobId, Lease
from jobsim.core.transitions import Kind
from jobsim.storage.base import Storage
from jobsim.storage.sqlite import SqliteStorage
from jobsim.testing.invariants import check

_WRITES: Final = {"enqueue", "claim", "settle", "exchange", "extend", "requeue", "cancel", "prune"}
_BY_OPERATOR: Final = {Kind.REQUEUE, Kind.CANCEL}
_ENDS: Final = {Kind.SUCCEED, Kind.DEAD_LETTER}


class Notes(Protocol):
    """Where it is noted what callers were told, such as a `PowerCutDisk`."""

    notes: list[object]

    def note(self, what: object, *, confirms: bool = True) -> None:
        """Note it; what does not confirm anything is no promise."""


class Answer(NamedTuple):
    """What a call of a store has returned; `None` where it failed, and nobody knows what was kept."""

    call: str
    args: tuple[Any, ...]
    value: Any


def witnessed(storage: Storage, disk: Notes) -> Storage:
    """Return `storage`, of whose answers to calls that write `disk` takes note."""
    return cast("Storage", _Witness(storage, disk))


class _Witness:
    def __init__(self, storage: Storage, disk: Notes) -> None:
        self._storage = storage
        self._disk = disk

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._storage, name)
        return self._noting(name, method) if name in _WRITES else method

    def _noting(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            try:
                value = method(*args)
            except StorageError:
                self._disk.note(Answer(name, args, None), confirms=False)
                raise
            self._disk.note(Answer(name, args, value))
            return value

        return call


class JobsKept:
    """Holds a recovered database to all that a `witnessed` store has answered: for `survey`.

    Its log is sound and equals its state; every accepted job is there, unless it had ended and was pruned; no
    token is lower than one that was handed out; every settlement, requeue and cancellation is in the log.
    """

    def __init__(self, disk: Notes) -> None:
        self._disk = disk
        self._found: dict[bytes, _Found] = {}

    def __call__(self, content: bytes, notes: int) -> str:
        """Return which of the first `notes` answers is not kept, or what else is wrong, if anything is."""
        if content not in self._found:
            self._found[content] = _find(content)
        found = self._found[content]
        return found.problem or _Told(self._disk.notes[:notes]).broken_by(found)


Happened = tuple[JobId, Kind, int | None]
"""What happened to a job, and under which token; operators need none."""


class _Found(NamedTuple):
    jobs: dict[JobId, Job]
    happened: set[Happened]
    problem: str


def snapshot(path: Path) -> tuple[list[Job], list[Event]]:
    """Open a database as a worker would, and return all jobs and events.

    Raises:
        StorageError: it cannot be used.
    """
    storage = SqliteStorage(path)
    try:
        return storage.find(), list(storage.events())
    finally:
        storage.close()


def _find(content: bytes) -> _Found:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "recovered.db"
        path.write_bytes(content)
        jobs, events = snapshot(path)
    problem = "\n".join(map(str, check(events, jobs=jobs)))
    happened = {
        (event.job, event.kind, None if event.kind in _BY_OPERATOR else event.token) for event in events
    }
    return _Found({job.id: job for job in jobs}, happened, problem)


class _Told:
    """What callers know, by the answers they have had."""

    def __init__(self, answers: list[Any]) -> None:
        self.accepted: set[JobId] = set()
        self.tokens: dict[JobId, int] = {}
        self.happened: list[Happened] = []
        self.ended: set[JobId] = set()
        for call, args, value in answers:
            self._may_have_ended(call, args[0])
            if value is not None:
                self._take(call, args, value)

    def _may_have_ended(self, call: str, what: Any) -> None:
        if call in ("settle", "exchange"):
            self.ended.update(lease.id for lease, decision in what if decision.kind in _ENDS)
        elif call == "cancel":
            self.ended.update(what)

    def _take(self, call: str, args: tuple[Any, ...], value: Any) -> None:
        match call:
            case "enqueue":
                self.accepted.update(value)
            case "claim":
                self._hand_out(value)
            case "settle":
                self._settle(args[0], value)
            case "exchange":
                self._settle(args[0], value[0])
                self._hand_out(value[1])
            case "requeue" | "cancel":
                done = (id_ for id_, did in zip(args[0], value, strict=True) if did)
                self.happened += [(id_, Kind(call), None) for id_ in done]

    def _hand_out(self, leases: list[Lease]) -> None:
        self.tokens.update((lease.id, lease.token) for lease in leases)

    def _settle(self, settlements: Any, settled: list[bool]) -> None:
        done = (each for each, did in zip(settlements, settled, strict=True) if did)
        self.happened += [(lease.id, decision.kind, lease.token) for lease, decision in done]

    def broken_by(self, found: _Found) -> str:
        """Return what of it is not true of a database."""
        lost = sorted(self.accepted - found.jobs.keys() - self.ended)
        if lost:
            return f"accepted, yet not there: {', '.join(map(str, lost))}"
        for id_, token in self.tokens.items():
            if id_ in found.jobs and found.jobs[id_].token < token:
                return f"job {id_} has token {found.jobs[id_].token}, and {token} was handed out"
        for happened in self.happened:
            id_, kind, _ = happened
            if id_ in found.jobs and happened not in found.happened:
                return f"job {id_}: {kind.value} was confirmed, and did not happen"
        return ""
