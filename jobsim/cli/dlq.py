"""``jobsim dlq``: look at dead letters, give them another chance, or give them up."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Final, NamedTuple

import typer

from jobsim.cli.changes import cancel, carry_out, confirm, those_in
from jobsim.cli.changes import requeue as requeue_all
from jobsim.cli.database import open_database
from jobsim.cli.jobs import KindName, Limit, QueueName, get_job, write_job, write_jobs
from jobsim.cli.options import Database, JobArgument, JobArguments, Json, Yes, consent, flag, option, wait
from jobsim.cli.program import ExitCode
from jobsim.core.errors import NotFound
from jobsim.core.job import Job, JobId, State
from jobsim.core.time import Duration, Instant
from jobsim.storage.base import Storage

app = typer.Typer(help="Look at dead letters, requeue them, or discard them.", no_args_is_help=True)

LETTERS: Final = "dead letter", "dead letters"


def _some(text: str) -> str:
    """Refuse what is in every error: an unset variable of a script must not mean all dead letters."""
    if not text.strip():
        raise typer.BadParameter("it is empty, and would mean all; leave it out for that")
    return text


All = Annotated[bool, consent("--all", help="All dead letters, or all that the options below name.")]
ErrorText = Annotated[
    str | None,
    option(
        "--error",
        parser=_some,
        metavar="TEXT",
        help="Only those whose error has this in it, in whatever case.",
    ),
]
OlderThan = Annotated[
    Duration | None, wait("--older-than", help="Only those that became dead letters longer ago than this.")
]
DryRun = Annotated[bool, flag("--dry-run", help="Show which, and change nothing.")]


@app.command("list")
def list_dead_letters(
    *,
    url: Database,
    kind: KindName = None,
    queue: QueueName = None,
    error: ErrorText = None,
    older_than: OlderThan = None,
    most: Limit = 100,
    as_json: Json = False,
) -> None:
    """List dead letters in the order in which they were enqueued."""
    wanted = _Wanted(kind, queue, error, older_than)
    with open_database(url) as store:
        found = wanted.find(store, most + 1 if most else None)
    write_jobs(found, most, as_json=as_json)


@app.command("show")
def show_dead_letter(job: JobArgument, *, url: Database, as_json: Json = False) -> None:
    """Show all that is known of a dead letter: fields, payload, attempts and history."""
    with open_database(url) as store:
        found = get_job(store, job)
        if found.state is not State.DEAD_LETTER:
            raise NotFound(f"job {job} is {found.state.value}, not a dead letter; see: jobs show")
        write_job(found, list(store.events(job=job)), as_json=as_json)


@app.command()
def requeue(  # each is an option of its own
    jobs: JobArguments = None,
    *,
    url: Database,
    everything: All = False,
    kind: KindName = None,
    queue: QueueName = None,
    error: ErrorText = None,
    older_than: OlderThan = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Make dead letters pending again, with a new budget of attempts; their history is kept."""
    wanted = _Wanted(kind, queue, error, older_than)
    _check(jobs, wanted, everything=everything)
    with open_database(url) as store:
        ids, missing = _chosen(store, jobs, wanted)
        change = None if dry_run else partial(requeue_all, store)
        code = carry_out(ids, change, "requeued", LETTERS, as_json=as_json)
    raise typer.Exit(ExitCode.NOT_FOUND if missing else code)


@app.command()
def discard(  # noqa: PLR0913  # each is an option of its own
    jobs: JobArguments = None,
    *,
    url: Database,
    everything: All = False,
    kind: KindName = None,
    queue: QueueName = None,
    error: ErrorText = None,
    older_than: OlderThan = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Give dead letters up: they become cancelled, and stay in the database."""
    wanted = _Wanted(kind, queue, error, older_than)
    _check(jobs, wanted, everything=everything)
    with open_database(url) as store:
        ids, missing = _chosen(store, jobs, wanted)
        if ids and not (yes or dry_run):
            confirm("give up", len(ids), LETTERS)
        change = None if dry_run else partial(cancel, store, reason="discarded")
        code = carry_out(ids, change, "discarded", LETTERS, as_json=as_json)
    raise typer.Exit(ExitCode.NOT_FOUND if missing else code)


class _Wanted(NamedTuple):
    """Which dead letters are meant, among all there are."""

    kind: str | None
    queue: str | None
    error: str | None
    older_than: Duration | None

    def find(self, store: Storage, most: int | None = None) -> list[Job]:
        """Return those, the first enqueued first, at most so many."""
        from jobsim.live.stores import present

        narrow = self.error is not None or self.older_than is not None
        found = store.find(
            states=[State.DEAD_LETTER], kind=self.kind, queue=self.queue, limit=None if narrow else most
        )
        before = None if self.older_than is None else Instant(present(store) - self.older_than)
        return [job for job in found if self._fits(job, before)][:most]

    def _fits(self, job: Job, before: Instant | None) -> bool:
        error = (job.last_error or "").casefold()
        died = before is None or (job.finished is not None and job.finished < before)
        return died and (self.error is None or self.error.casefold() in error)


def _check(jobs: Sequence[JobId] | None, wanted: _Wanted, *, everything: bool) -> None:
    """Refuse a command line that does not say clearly which dead letters are meant.

    Raises:
        typer.BadParameter: it does not.
    """
    if bool(jobs) == everything:
        raise typer.BadParameter("name dead letters by their ids, or give --all; one of the two")
    if jobs and any(each is not None for each in wanted):
        raise typer.BadParameter("--kind, --queue, --error and --older-than go with --all, not with ids")


def _chosen(store: Storage, jobs: Sequence[JobId] | None, wanted: _Wanted) -> tuple[list[JobId], bool]:
    """Return the dead letters meant, and whether some of those named are none."""
    if not jobs:
        return [job.id for job in wanted.find(store)], False
    ids = those_in(store, jobs, {State.DEAD_LETTER}, "not a dead letter")
    return ids, len(ids) < len(set(jobs))
