"""What tests assert on the jobs of an app, or of a `Queue.testing()`; failures say what there is instead."""

from typing import Any

from jobsim.core.job import Job, State
from jobsim.core.transitions import FINAL
from jobsim.live.handler import Handler
from jobsim.live.rehearsal import Rehearsal

Kind = Handler[..., Any] | str


def all_enqueued(app: Rehearsal, kind: Kind | None = None, /, **arguments: Any) -> list[Job]:
    """Return the jobs of `kind`, or all, with those `arguments`, whatever their state, in order."""
    return app.jobs if kind is None else app.find(kind, **arguments)


def assert_enqueued(app: Rehearsal, kind: Kind, /, *, count: int | None = None, **arguments: Any) -> Job:
    """Return the last job of `kind` with those `arguments`, whatever its state.

    Raises:
        AssertionError: there is none, or not `count` of them.
    """
    return app.assert_enqueued(kind, count=count, **arguments)


def assert_not_enqueued(app: Rehearsal, kind: Kind, /, **arguments: Any) -> None:
    """Return if no job of `kind` with those `arguments` was enqueued.

    Raises:
        AssertionError: one was.
    """
    app.assert_not_enqueued(kind, **arguments)


def assert_succeeded(app: Rehearsal, kind: Kind, /, *, count: int | None = None, **arguments: Any) -> Job:
    """Return the last job of `kind` with those `arguments`, all of which have succeeded.

    Raises:
        AssertionError: there is none, or not `count` of them, or one has not.
    """
    return _all_are(app, State.SUCCEEDED, kind, count, arguments)[-1]


def assert_dead_lettered(
    app: Rehearsal, kind: Kind, /, *, count: int | None = None, error: str = "", **arguments: Any
) -> Job:
    """Return the last job of `kind` with those `arguments`, all of which are dead letters.

    Each was given up with an error whose text contains `error`.

    Raises:
        AssertionError: there is none, or not `count` of them, or one is not, or for another error.
    """
    found = _all_are(app, State.DEAD_LETTER, kind, count, arguments)
    for job in found:
        if error not in (job.last_error or ""):
            raise AssertionError(
                f"{job.kind}({job.payload}) was given up for {job.last_error!r}, not for {error!r}"
            )
    return found[-1]


def assert_no_lost_jobs(app: Rehearsal) -> None:
    """Return if every job has come to an end: succeeded, given up as a dead letter, or cancelled.

    Raises:
        AssertionError: one has not, although nothing is left to run: call ``app.drain()`` before.
    """
    left = [job for job in app.jobs if job.state not in FINAL]
    if left:
        raise AssertionError(f"{len(left)} of {len(app.jobs)} jobs have no end: {app.told(left)}")


def _all_are(
    app: Rehearsal, state: State, kind: Kind, count: int | None, arguments: dict[str, Any]
) -> list[Job]:
    app.assert_enqueued(kind, count=count, **arguments)
    found = app.find(kind, **arguments)
    others = [job for job in found if job.state is not state]
    if others:
        raise AssertionError(f"{len(others)} of {len(found)} are not {state.value}: {app.told(others)}")
    return found
