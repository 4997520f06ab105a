"""Rows of the PostgreSQL store as values, and texts as it can hold them: it takes no NUL."""

from typing import Final

from jobsim.core.events import Event
from jobsim.core.job import Job, Lease
from jobsim.core.limits import Lane
from jobsim.storage import rows
from jobsim.storage.rows import Row, storable

_ESCAPE: Final = "\x1a"
_NUL: Final = _ESCAPE + "0"
_ITSELF: Final = _ESCAPE + "1"
_BESIDE: Final = _ESCAPE + "2"


def stored(text: str) -> str:
    """Return `text` as it is stored: `original` brings it back, but for halves of surrogate pairs."""
    if _ESCAPE in text or "\0" in text:
        text = text.replace(_ESCAPE, _ITSELF).replace("\0", _NUL)
    return storable(text)


def original(text: str) -> str:
    """Return the text that is stored as `text`."""
    return text.replace(_NUL, "\0").replace(_ITSELF, _ESCAPE) if _ESCAPE in text else text


def _plain(row: Row) -> Row:
    return tuple([original(value) if type(value) is str else value for value in row])


def lease_of(row: Row) -> Lease:
    """Return a row in the order of a lease's fields as a lease."""
    return rows.lease_of(_plain(row))


def job_of(row: Row) -> Job:
    """Return a row of the view ``full_job`` as a job."""
    return rows.job_of(_plain(row))


def event_of(row: Row) -> Event:
    """Return a row of the view ``full_event`` as an event."""
    return rows.event_of(_plain(row))


def lane_of(queue: str, lane: str) -> Lane:
    """Return what a job's columns ``queue`` and ``lane`` stand for, its texts as they are stored.

    No stored text has in it what separates kind and key: see the function ``lane`` of the schema.
    """
    kind, _, key = lane.partition(_BESIDE)
    return Lane(queue, kind, key)
