"""``jobsim events``: what happened, and what happens."""

from collections.abc import Iterator
from typing import Annotated, Final

import typer

from jobsim.cli.database import open_database
from jobsim.cli.jobs import get_job
from jobsim.cli.options import Database, Json, every, flag, job_id, option
from jobsim.cli.output import iso, one_line, printable, write_json
from jobsim.cli.records import event_record
from jobsim.core.events import Event
from jobsim.core.job import JobId
from jobsim.core.time import SECOND, Duration
from jobsim.storage.base import Storage

_LOOK: Final = Duration(SECOND // 2)
_FEW: Final = 20


def events(
    *,
    url: Database,
    job: Annotated[
        JobId | None, option("--job", parser=job_id, metavar="ID", help="Only those of this job.")
    ] = None,
    after: Annotated[
        int | None,
        option("--after", min=0, metavar="SEQ", help="Those after this number; without it the last 20."),
    ] = None,
    follow: Annotated[bool, flag("--follow", "-f", help="Go on with what happens, until stopped.")] = False,
    interval: Annotated[Duration, every("--interval", help="How often --follow looks.")] = _LOOK,
    as_json: Json = False,
) -> None:
    """Show what happened to jobs: a line an event, oldest first."""
    with open_database(url) as store:
        if job is not None:
            get_job(store, job)
        for event in _those(store, job, after, interval if follow else None):
            if as_json:
                write_json({"job": str(event.job), **event_record(event)})
            else:
                typer.echo(printable(_line(event)))


def _those(
    store: Storage, job: JobId | None, after: int | None, interval: Duration | None
) -> Iterator[Event]:
    """Yield events, and with an `interval` those that happen from then on, without end."""
    from jobsim.runtime.live import pause

    last = max(0, _last(store) - _FEW) if after is None and job is None else after or 0
    while True:
        for event in store.events(last, job):
            last = event.seq
            yield event
        if interval is None:
            return
        pause(interval)


def _last(store: Storage) -> int:
    """Return the number of the last event, found by halves: a log may have millions."""
    low, high = 0, 1
    while _is_any(store, high):
        low, high = high, 2 * high
    while low < high:
        middle = (low + high) // 2
        if _is_any(store, middle):
            low = middle + 1
        else:
            high = middle
    return low


def _is_any(store: Storage, after: int) -> bool:
    return next(iter(store.events(after)), None) is not None


def _line(event: Event) -> str:
    told = " ".join(filter(None, (event.why.reason or event.why.outcome, one_line(event.why.error))))
    at = iso(event.at, "milliseconds")
    return f"{event.seq:>8}  {at}  {event.job}  {event.kind.value:<11}  {event.attempt:>3}  {told}".rstrip()
