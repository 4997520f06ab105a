"""``jobsim dlq``: look at dead letters, give them another chance, or give them up."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Final

import typer

from jobsim.cli.changes import cancel, carry_out, confirm, those_in
from jobsim.cli.changes import requeue as requeue_all
from jobsim.cli.database import open_database
from jobsim.cli.jobs import KindName, Limit, QueueName, get_job, write_job, write_jobs
from jobsim.cli.options import Database, JobArgument, JobArguments, Json, flag
from jobsim.cli.program import ExitCode
from jobsim.core.errors import NotFound
from jobsim.core.job import JobId, State
from jobsim.storage.base import Storage

app = typer.Typer(help="Look at dead letters, requeue them, or discard them.", no_args_is_help=True)

LETTERS: Final = "dead letter", "dead letters"

All = Annotated[bool, flag("--all", help="All dead letters, or all of --kind and --queue.")]
DryRun = Annotated[bool, flag("--dry-run", help="Show which, and change nothing.")]


@app.command("list")
def list_dead_letters(
    *, url: Database, kind: KindName = None, queue: QueueName = None, most: Limit = 100, as_json: Json = False
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
    kind: KindName = None,
    queue: QueueName = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Make dead letters pending again, with a new budget of attempts; their history is kept."""
    _check(jobs, kind, queue, everything=everything)
    with open_database(url) as store:
        ids, missing = _chosen(store, jobs, kind, queue)
        change = None if dry_run else partial(requeue_all, store)
        code = carry_out(ids, change, "requeued", LETTERS, as_json=as_json)
    raise typer.Exit(ExitCode.NOT_FOUND if missing else code)


@app.command()
def discard(
    jobs: JobArguments = None,
    *,
    url: Database,
    everything: All = False,
    kind: KindName = None,
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
            confirm("give up", len(ids), LETTERS)
        change = None if dry_run else partial(cancel, store, reason="discarded")
        code = carry_out(ids, change, "discarded", LETTERS, as_json=as_json)
    raise typer.Exit(ExitCode.NOT_FOUND if missing else code)


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
    ids = those_in(store, jobs, {State.DEAD_LETTER}, "not a dead letter")
    return ids, len(ids) < len(set(jobs))
