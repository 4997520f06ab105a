"""``jobsim jobs``: look at jobs."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Annotated, Final

import typer

from jobsim.cli.changes import cancel, carry_out, confirm, requeue, those_in
from jobsim.cli.database import open_database, queue_names
from jobsim.cli.options import Database, JobArgument, JobsToChange, Json, Yes, option
from jobsim.cli.output import console, iso, note, one_line, printable, write_json, write_table
from jobsim.cli.program import ExitCode
from jobsim.cli.records import attempts, event_record, job_record, limit
from jobsim.core.errors import NotFound
from jobsim.core.events import Event
from jobsim.core.job import Job, JobId, State
from jobsim.core.time import Duration
from jobsim.core.transitions import TRANSITIONS, Kind
from jobsim.storage.base import Storage

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")

_STATES: Final = ", ".join(State)

_JOBS: Final = "job", "jobs"
_REQUEUABLE: Final = {state for state in State if (state, Kind.REQUEUE) in TRANSITIONS}
_CANCELLABLE: Final = {state for state in State if (state, Kind.CANCEL) in TRANSITIONS}

app = typer.Typer(help="Look at jobs, cancel them, or retry them.", no_args_is_help=True)

KindName = Annotated[str | None, option("--kind", metavar="KIND", help="Only jobs of this kind.")]
QueueName = Annotated[
    str | None, option("--queue", metavar="NAME", help="Only jobs of this queue.", autocompletion=queue_names)
]
Limit = Annotated[int, option("--limit", min=0, metavar="N", help="Show at most so many; 0: all.")]


@app.command("list")
def list_jobs(
    *,
    url: Database,
    state: Annotated[
        list[State] | None,
        option("--state", "-s", metavar="STATE", help=f"Only jobs in this state; repeatable. {_STATES}"),
    ] = None,
    kind: KindName = None,
    queue: QueueName = None,
    most: Limit = 100,
    as_json: Json = False,
) -> None:
    """List jobs in the order in which they were enqueued."""
    with open_database(url) as store:
        found = store.find(states=state or (), kind=kind, queue=queue, limit=most + 1 if most else None)
    write_jobs(found, most, as_json=as_json)


@app.command("show")
def show_job(job: JobArgument, *, url: Database, as_json: Json = False) -> None:
    """Show all that is known of a job: fields, payload, attempts and history."""
    with open_database(url) as store:
        found = get_job(store, job)
        write_job(found, list(store.events(job=job)), as_json=as_json)


@app.command("cancel")
def cancel_jobs(
    jobs: JobsToChange,
    *,
    url: Database,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Cancel jobs that have not ended, and give up dead letters; a handler that runs is told."""
    with open_database(url) as store:
        ids = those_in(store, jobs, _CANCELLABLE, "and cannot be cancelled")
        if ids and not yes:
            confirm("cancel", len(ids), _JOBS)
        code = carry_out(ids, partial(cancel, store), "cancelled", _JOBS, as_json=as_json)
    raise typer.Exit(code if len(ids) == len(set(jobs)) else ExitCode.NOT_FOUND)


@app.command("retry")
def retry_jobs(jobs: JobsToChange, *, url: Database, as_json: Json = False) -> None:
    """Have jobs that wait, and dead letters, run as soon as there is room, with a new budget of attempts."""
    with open_database(url) as store:
        ids = those_in(store, jobs, _REQUEUABLE, "and cannot be retried")
        code = carry_out(ids, partial(requeue, store), "requeued", _JOBS, as_json=as_json)
    raise typer.Exit(code if len(ids) == len(set(jobs)) else ExitCode.NOT_FOUND)


def get_job(store: Storage, job: JobId) -> Job:
    """Return the job.

    Raises:
        NotFound: the store has none of that id.
    """
    found = store.get(job)
    if found is None:
        raise NotFound(f"there is no job {job} in this database")
    return found


def write_jobs(found: Sequence[Job], most: int, *, as_json: bool) -> None:
    """Write the first `most` jobs, where that is not 0, and say on stderr if there are more."""
    shown = found[:most] if most else found
    if as_json:
        for job in shown:
            write_json(job_record(job))
    else:
        _write_table(shown)
    if len(found) > len(shown):
        note(f"The first {most}; there are more: --limit 0 shows all.")


def _write_table(jobs: Sequence[Job]) -> None:
    """Write as many columns as there is room for."""
    columns = {
        "ID": [str(job.id) for job in jobs],
        "STATE": [job.state.value for job in jobs],
        "ATTEMPT": [attempt_of(job) for job in jobs],
        "KIND": [one_line(job.kind) for job in jobs],
    }
    width = console().width
    if width >= 110:
        columns["RUN AT"] = [iso(job.run_at, "seconds") or "" for job in jobs]
    if width >= 140:
        columns["LAST ERROR"] = [one_line(job.last_error) for job in jobs]
    write_table(tuple(columns), list(zip(*columns.values(), strict=True)))


def attempt_of(job: Job) -> str:
    """Return how many attempts were started, and how many there may be."""
    most = limit(job.max_attempts)
    return str(job.attempt) if most is None else f"{job.attempt}/{most}"


def write_job(job: Job, events: Sequence[Event], *, as_json: bool) -> None:
    """Write everything about one job."""
    record, tries = job_record(job), list(attempts(events))
    history = [event_record(event) for event in events]
    if as_json:
        write_json(record | {"attempts": tries, "events": history})
        return
    payload, result = record.pop("payload"), record.pop("result")
    write_table(("FIELD", "VALUE"), [(k, v) for k, v in record.items() if v is not None], wrap=True)
    _write_value("PAYLOAD", payload)
    if result is not None:
        _write_value("RESULT", result)
    if tries:
        typer.echo()
        _write_rows(tries, "attempt", "started", "duration_s", "outcome", "error")
    typer.echo()
    waits = [{**row, "due_in": _wait(event)} for row, event in zip(history, events, strict=True)]
    _write_rows(waits, "seq", "at", "event", "attempt", "due_in", "reason")


def _write_rows(rows: Iterable[Mapping[str, object]], *columns: str) -> None:
    headings = [column.upper().replace("_", " ") for column in columns]
    write_table(headings, [[_short(row[column]) for column in columns] for row in rows])


def _wait(event: Event) -> str | None:
    """Return how long after `event` its job is due, or its lease ends, to the millisecond."""
    if event.due is None:
        return None
    return Duration(max(event.due - event.at, 0)).brief()


def _short(value: object) -> object:
    """Return a value for a narrow table: text on one line, times to the millisecond."""
    match value:
        case str():
            line = one_line(value)
            return f"{line[:23]}Z" if _TIME.fullmatch(line) else line
        case float():
            return f"{value:,.3f}"
        case _:
            return value


def _write_value(title: str, value: object) -> None:
    typer.echo(f"\n{title}")
    typer.echo(printable(json.dumps(value, indent=2, ensure_ascii=False)))
