"""Changes to many jobs: asked for first, made batch by batch, told one by one."""

import sys
from collections.abc import Callable, Container, Sequence
from typing import Final

import typer

from jobsim.cli.output import complain, counted, note, write_json
from jobsim.cli.program import ExitCode
from jobsim.core.job import JobId, State
from jobsim.storage.base import Storage

BATCH: Final = 500
"""Jobs changed in one transaction: few enough that workers hardly wait."""

Words = tuple[str, str]
"""What is changed: one of it, and several."""


def confirm(deed: str, count: int, what: Words) -> None:
    """Ask before something is done that cannot be undone, such as to ``give up`` some jobs.

    Raises:
        typer.BadParameter: nobody is there to be asked.
        typer.Exit: the answer was no.
    """
    letters = counted(count, *what)
    if not sys.stdin.isatty():
        raise typer.BadParameter(f"this would {deed} {letters}; add --yes to do it without being asked")
    if not typer.confirm(f"{deed.capitalize()} {letters}?", err=True):
        note("Nothing was changed.")
        raise typer.Exit(ExitCode.ERROR)


def carry_out(
    ids: Sequence[JobId],
    change: Callable[[Sequence[JobId]], list[bool]] | None,
    verb: str,
    what: Words,
    *,
    as_json: bool,
) -> ExitCode:
    """Change `ids` batch by batch, writing each on stdout once it is committed; `None` changes nothing."""
    done = 0
    for start in range(0, len(ids), BATCH):
        batch = ids[start : start + BATCH]
        results = [True] * len(batch) if change is None else change(batch)
        for job, changed in zip(batch, results, strict=True):
            done += changed
            if as_json:
                write_json({"id": str(job), verb: changed and change is not None})
            elif changed:
                typer.echo(str(job))
            if not changed:
                complain(f"job {job} has moved on meanwhile; it was left as it is")
    note(f"{'Would be ' if change is None else ''}{verb}: {counted(done, *what)}.")
    return ExitCode.OK if done == len(ids) else ExitCode.ERROR


def requeue(store: Storage, ids: Sequence[JobId]) -> list[bool]:
    """Make jobs that wait, and dead letters, pending; `False` where that is not possible."""
    from jobsim.live.stores import present

    return store.requeue(ids, present(store))


def cancel(store: Storage, ids: Sequence[JobId], reason: str = "") -> list[bool]:
    """Cancel jobs that have not ended, and dead letters; `False` where that is not possible."""
    from jobsim.live.stores import present

    return store.cancel(ids, present(store), reason)


def those_in(store: Storage, jobs: Sequence[JobId], states: Container[State], wanted: str) -> list[JobId]:
    """Return those of `jobs` that are in one of `states`; of the others it is said what they are instead."""
    ids = []
    for job in dict.fromkeys(jobs):
        found = store.get(job)
        if found is None:
            complain(f"there is no job {job} in this database")
        elif found.state not in states:
            complain(f"job {job} is {found.state.value}, {wanted}")
        else:
            ids.append(job)
    return ids
