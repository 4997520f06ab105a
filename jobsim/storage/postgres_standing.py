"""How jobs of a PostgreSQL store stand, locked, and what is written of those moved from there."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from jobsim.core.job import JobId, State
from jobsim.core.time import Instant
from jobsim.core.transitions import TRANSITIONS, Kind
from jobsim.storage.postgres_rows import original
from jobsim.storage.postgres_session import Statements
from jobsim.storage.postgres_statements import numbers, texts, uuids
from jobsim.storage.rows import state_of


class Standing(NamedTuple):
    """A job as it stands while nobody else can change it; `number` is the key of its row."""

    id: JobId
    number: int
    state: State
    attempt: int
    max_attempts: int
    budget: int
    token: int
    unique_key: str | None
    replaced: bool
    limited: bool


def standing(session: Statements, ids: Iterable[JobId]) -> list[Standing]:
    """Return how those of the jobs stand that there are, and lock them."""
    found = []
    for uuid, number, state, attempt, limit, budget, token, key, *flags in session.run(
        "standing", uuids(ids)
    ).fetchall():
        unique_key = None if key is None else original(key)
        fields = (number, state_of(state), attempt, limit, budget, token, unique_key, *flags)
        found.append(Standing(JobId.from_bytes(uuid), *fields))
    return found


def finish(session: Statements, jobs: Sequence[Standing], kind: Kind, now: Instant) -> None:
    """Move jobs to the final states to which `kind` leads from theirs."""
    ends: dict[State, list[int]] = {}
    for job in jobs:
        ends.setdefault(TRANSITIONS[job.state, kind], []).append(job.number)
    for state, keys in ends.items():
        session.run("finish", state, now, numbers(keys))


def record(
    session: Statements,
    jobs: Sequence[Standing],
    kind: Kind,
    now: Instant,
    due: Instant | None = None,
    why: int | None = None,
    errors: Iterable[str | None] = (),
) -> None:
    """Write an event for each job, with its error where there is one."""
    session.run(
        "insert_events",
        now,
        kind,
        due,
        why,
        numbers(job.number for job in jobs),
        numbers(job.attempt for job in jobs),
        numbers(job.max_attempts for job in jobs),
        numbers(job.token for job in jobs),
        texts(errors),
    )
