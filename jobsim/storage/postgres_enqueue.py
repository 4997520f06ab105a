"""How jobs get into a PostgreSQL store, in a transaction of ours or of the caller's own."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, assert_never

from jobsim.core.decide import REPLACED, Why
from jobsim.core.errors import IdTaken, StorageBusy, StorageError
from jobsim.core.job import Conflict, JobId, NewJob
from jobsim.core.time import SECOND, Instant
from jobsim.core.transitions import FINAL, TRANSITIONS, WAITING, Kind
from jobsim.storage.base import key_taken
from jobsim.storage.postgres_names import Names
from jobsim.storage.postgres_rows import original, stored
from jobsim.storage.postgres_session import Statements
from jobsim.storage.postgres_standing import Standing, finish, record, standing
from jobsim.storage.postgres_statements import numbers, texts, uuids

CHUNK: Final = 1_000
"""How many jobs one statement enqueues."""

SOON: Final = SECOND
"""Jobs due within this are made known to those who listen; the others are found by looking at the time."""

_GIVING_WAY: Final = Why("cancelled", REPLACED)
_PENDING: Final = TRANSITIONS[None, Kind.ENQUEUE]
_RACES: Final = 50
"""How often a key may be taken and given up again by others before an enqueue gives up."""


def enqueue(
    session: Statements, now: Instant, jobs: Sequence[NewJob], names: Names, channel: str
) -> list[JobId]:
    """Store `jobs` and return their ids, those of the holders for jobs that are skipped.

    Raises:
        KeyTaken: a job's unique key is, and its `conflict` is `RAISE`.
    """
    if any(job.unique_key is not None for job in jobs):
        ids = _Keyed(session, now, jobs, names).enqueue()
    else:
        for low in range(0, len(jobs), CHUNK):
            _write(session, now, jobs[low : low + CHUNK])
        ids = [job.id for job in jobs]
    if any(job.run_at < now + SOON for job in jobs):
        session.news = channel
    return ids


def _write(session: Statements, now: Instant, jobs: Sequence[NewJob], rows: Iterable[int] = ()) -> None:
    """Write jobs and their events; those that have `rows` already are given the rest."""
    ids, kinds, due, queues, payloads, limits, priorities, _, _, limit_keys, headers = zip(*jobs, strict=True)
    session.run(
        "enqueue",
        uuids(ids),
        texts(map(stored, kinds)),
        texts(map(stored, queues)),
        numbers(priorities),
        numbers(due),
        numbers(limits),
        texts(map(stored, payloads)),
        texts(map(stored, limit_keys) if any(limit_keys) else ()),
        numbers(rows),
        _PENDING,
        now,
        Kind.ENQUEUE,
        texts((stored(each) if each else None for each in headers) if any(headers) else ()),
    )


def refuse_taken(jobs: Sequence[NewJob], known: Callable[[JobId], bool], error: StorageError) -> None:
    """Say which id is taken, if that is what was wrong."""
    seen: set[JobId] = set()
    for job in jobs:
        if job.id in seen:
            raise IdTaken(f"job {job.id} is in the batch twice; nothing was accepted") from error
        if known(job.id):
            raise IdTaken(f"job {job.id} is there already; nothing was accepted") from error
        seen.add(job.id)


class _Keyed:
    """A batch with unique keys: rows first, in the order of the keys, and the rest for those that got one.

    Who has inserted a key and not yet committed is waited for. As everybody goes by the order of the keys,
    nobody waits for one who waits for him.
    """

    def __init__(self, session: Statements, now: Instant, jobs: Sequence[NewJob], names: Names) -> None:
        self._session = session
        self._now = now
        self._jobs = jobs
        self._ids = [job.id for job in jobs]
        replaces = any(job.conflict is Conflict.REPLACE for job in jobs)
        self._why = names.why(session, _GIVING_WAY) if replaces else None
        self._rows: list[int] = []
        self._skipped: list[JobId] = []

    def enqueue(self) -> list[JobId]:
        """Store the batch and return the ids."""
        self._rows = [number for (number,) in self._session.run("numbers", len(self._jobs)).fetchall()]
        order = sorted(range(len(self._jobs)), key=self._place)
        for low in range(0, len(order), CHUNK):
            places = order[low : low + CHUNK]
            races = 0
            while places:
                places, raced = self._round(places)
                races += raced
                if races > _RACES:
                    raise StorageBusy(
                        "others take and give up the same unique keys; nothing was kept, try again"
                    )
        self._check_skipped()
        return self._ids

    def _check_skipped(self) -> None:
        """Refuse ids that are taken; of jobs that were written the database has done so."""
        if self._skipped:
            for (uuid,) in self._session.run("known", uuids(self._skipped)).fetchall():
                raise IdTaken(f"job {JobId.from_bytes(uuid)} is there already; nothing was accepted")

    def _place(self, place: int) -> tuple[str, int]:
        return self._jobs[place].unique_key or "", place

    def _round(self, places: Sequence[int]) -> tuple[list[int], bool]:
        """Enqueue the first job of each key; return the places still to be, and whether a holder has left."""
        first, later = self._firsts(places)
        made = self._hold(first)
        taken = [place for place in first if place not in made]
        holders = self._holders(taken)
        again, replaced = [], dict[JobId, int]()
        for place in taken:
            holder = holders.get(self._jobs[place].unique_key)
            if holder is None:
                again.append(place)
            elif not self._meets(place, holder):
                replaced[holder] = place
                again.append(place)
        left = len(again) - self._replace(replaced)
        holders |= {self._jobs[place].unique_key: self._ids[place] for place in made}
        for place in again:
            holders.pop(self._jobs[place].unique_key, None)
        return sorted(again + self._left(later, holders), key=self._place), left > 0

    def _firsts(self, places: Sequence[int]) -> tuple[list[int], list[int]]:
        """Return the places of the first job of each key and of those without, and the others."""
        keys: set[str] = set()
        first, later = list[int](), list[int]()
        for place in places:
            key = self._jobs[place].unique_key
            (later if key in keys else first).append(place)
            if key is not None:
                keys.add(key)
        return first, later

    def _left(self, places: Sequence[int], holders: dict[str | None, JobId]) -> list[int]:
        """Return those who meet nobody of whom it is known that he holds their key."""
        left = []
        for place in places:
            key = self._jobs[place].unique_key
            holder = holders.get(key)
            if holder is None or not self._meets(place, holder):
                holders.pop(key, None)
                left.append(place)
        return left

    def _meets(self, place: int, holder: JobId) -> bool:
        """Let the holder stand for a job, unless that is to replace it."""
        job = self._jobs[place]
        match job.conflict:
            case Conflict.SKIP:
                self._ids[place] = holder
                self._skipped.append(job.id)
            case Conflict.RAISE:
                raise key_taken(str(job.unique_key), holder)
            case Conflict.REPLACE:
                return False
            case _:
                assert_never(job.conflict)
        return True

    def _hold(self, places: Sequence[int]) -> set[int]:
        """Write jobs whose key nobody holds, with all that belongs to them; return their places."""
        jobs, rows = [self._jobs[place] for place in places], [self._rows[place] for place in places]
        made = self._session.run(
            "hold",
            numbers(rows),
            texts(stored(job.kind) for job in jobs),
            texts(stored(job.queue) for job in jobs),
            numbers(job.priority for job in jobs),
            numbers(job.run_at for job in jobs),
            numbers(job.max_attempts for job in jobs),
            texts(stored(job.limit_key) for job in jobs),
            texts(None if job.unique_key is None else stored(job.unique_key) for job in jobs),
            _PENDING,
            self._now,
        ).fetchall()
        place_of = dict(zip(rows, places, strict=True))
        held = sorted(place_of[row] for (row,) in made)
        if held:
            _write(
                self._session,
                self._now,
                [self._jobs[place] for place in held],
                [self._rows[place] for place in held],
            )
        return set(held)

    def _holders(self, places: Sequence[int]) -> dict[str | None, JobId]:
        """Return who holds the keys of jobs."""
        if not places:
            return {}
        keys = texts(stored(self._jobs[place].unique_key or "") for place in places)
        found = self._session.run("holders", keys).fetchall()
        return {original(key): JobId.from_bytes(uuid) for key, uuid in found}

    def _replace(self, places: dict[JobId, int]) -> int:
        """Let holders give way to the jobs at `places`, and return how many did.

        Those that wait are cancelled, and those that run marked.
        """
        if not places:
            return 0
        waiting: list[Standing] = []
        running: list[int] = []
        for job in standing(self._session, places):
            if job.state in WAITING:
                waiting.append(job)
            elif job.state not in FINAL and not job.replaced:
                running.append(job.number)
        finish(self._session, waiting, Kind.CANCEL, self._now)
        by = [f"by {self._ids[places[job.id]]}" for job in waiting]
        if waiting:
            record(self._session, waiting, Kind.CANCEL, self._now, why=self._why, errors=by)
        if running:
            self._session.run("replace", numbers(running))
        return len(waiting) + len(running)
