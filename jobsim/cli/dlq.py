"""``jobsim dlq``: look at dead letters, give them another chance, or give them up."""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Final

import typer

from jobsim.cli.database import open_database
from jobsim.cli.jobs import Kind, Limit, QueueName, get_job, write_job, write_jobs
from jobsim.cli.options import Database, JobArgument, JobArguments, Json, flag
from jobsim.cli.output import complain, counted, note, write_json
from jobsim.cli.program import ExitCode
from jobsim.core.errors import NotFound
from jobsim.core.job import JobId, State
from jobsim.storage.base import Storage

app = typer.Typer(help="Look at dead letters, requeue them, or discard them.", no_args_is_help=True)

BATCH: Final = 500
"""Jobs changed in one transaction: few enough that workers hardly wait."""

All = Annotated[bool, flag("--all", help="All dead letters, or all of --kind and --queue.")]
DryRun = Annotated[bool, flag("--dry-run", help="Show which, and change nothing.")]


@app.command("list")
def list_dead_letters(
    *, url: Database, kind: Kind = None, queue: QueueName = None, most: Limit = 100, as_json: Json = False
) -> None:
    """List dead letters in the order in which they were enqueued."""
    with open_database(url) as store:
        write_jobs(store, [State.DEAD_LETTER], kind, queue, most, as_json=as_json)


@app.command("show")
def show_dead_letter(job: JobArgument, *, url: Database, as_json: Json = False) -> None:
    """Show all that is known of a dead letter: fields, payload, attempts and history."""
    with open_database(url) as store:
        found = get_job(store, job)
        if found.state is not State.DEAD_LETTER:
            raise NotFound(f"job {job} is {found.state.value}, not a dead letter; see: jobs show")
        write_job(found, list(store.events(job=job)), as_json=as_json)


@app.command()
def requeue(
    jobs: JobArguments = None,
    *,
    url: Database,
    everything: All = False,
    kind: Kind = None,
    queue: QueueName = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Make dead letters pending again, with a new budget of attempts; their history is kept."""
    _check(jobs, kind, queue, everything=everything)
    with open_database(url) as store:
        ids, missing = _chosen(store, jobs, kind, queue)
        change = None if dry_run else partial(_requeue, store)
        code = _carry_out(ids, change, "requeued", as_json=as_json)
    raise typer.Exit(ExitCode.NOT_FOUND if missing else code)


@app.command()
def discard(
    jobs: JobArguments = None,
    *,
    url: Database,
    everything: All = False,
    kind: Kind = None,
    queue: QueueName = None,
    dry_run: DryRun = False,
    yes: Annotated[bool, flag("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Give dead letters up: they become cancelled, and stay in the database."""
    _check(jobs, kind, queue, everything=everything)
    with open_database(url) as store:
        ids, missing = _chosen(store, jobs, kind, queue)
        if ids and not (yes or dry_run):
            _confirm(len(ids))
        change = None if dry_run else partial(_discard, store)
        code = _carry_out(ids, change, "discarded", as_json=as_json)
    raise typer.Exit(ExitCode.NOT_FOUND if missing else code)


def _requeue(store: Storage, ids: Sequence[JobId]) -> list[bool]:
    from jobsim.live.stores import present

    return store.requeue(ids, present(store))


def _discard(store: Storage, ids: Sequence[JobId]) -> list[bool]:
    from jobsim.live.stores import present

    return store.cancel(ids, present(store), "discarded")


def _check(jobs: Sequence[JobId] | None, kind: str | None, queue: str | None, *, everything: bool) -> None:
    """Refuse a command line that does not say clearly which dead letters are meant.

    Raises:
        typer.BadParameter: it does not.
    """
    if bool(jobs) == everything:
        raise typer.BadParameter("name dead letters by their ids, or give --all; one of the two")
    if jobs and (kind or queue):
        raise typer.BadParameter("--kind and --queue go with --all, not with ids")


def _chosen(
    store: Storage, jobs: Sequence[JobId] | None, kind: str | None, queue: str | None
) -> tuple[list[JobId], bool]:
    """Return the dead letters meant, and whether some of those named are none."""
    if not jobs:
        return [job.id for job in store.find(states=[State.DEAD_LETTER], kind=kind, queue=queue)], False
    found = {job: store.get(job) for job in jobs}
    ids = [job for job, stored in found.items() if stored and stored.state is State.DEAD_LETTER]
    for job, stored in found.items():
        if stored is None:
            complain(f"there is no job {job} in this database")
        elif stored.state is not State.DEAD_LETTER:
            complain(f"job {job} is {stored.state.value}, not a dead letter")
    return ids, len(ids) < len(found)


def _confirm(count: int) -> None:
    """Ask before dead letters are given up.

    Raises:
        typer.BadParameter: nobody is there to be asked.
        typer.Exit: the answer was no.
    """
    letters = counted(count, "dead letter", "dead letters")
    if not sys.stdin.isatty():
        raise typer.BadParameter(f"this gives up {letters}; add --yes to do it without being asked")
    if not typer.confirm(f"Give up {letters}?", err=True):
        note("Nothing was changed.")
        raise typer.Exit(ExitCode.ERROR)


def _carry_out(
    ids: Sequence[JobId], change: Callable[[Sequence[JobId]], list[bool]] | None, verb: str, *, as_json: bool
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
                complain(f"job {job} is no dead letter any more; it was left as it is")
    note(f"{'Would be ' if change is None else ''}{verb}: {counted(done, 'dead letter', 'dead letters')}.")
    return ExitCode.OK if done == len(ids) else ExitCode.ERROR
