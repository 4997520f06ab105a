"""``jobsim prune``: remove jobs that ended long ago."""

import sys
from typing import Annotated, Final

import typer

from jobsim.cli.database import open_database
from jobsim.cli.options import Database, Json, Yes, flag, option, wait
from jobsim.cli.output import counted, note, write_json
from jobsim.cli.program import ExitCode
from jobsim.core.errors import did_you_mean
from jobsim.core.job import JobId, State
from jobsim.core.time import Duration, Instant
from jobsim.core.transitions import FINAL, TRANSITIONS, Kind
from jobsim.storage.base import Storage

BATCH: Final = 1_000
"""Jobs removed in one transaction: few enough that workers hardly wait."""

_KEEP: Final = frozenset({Kind.EXTEND, Kind.REFUSE})
"""What leaves a job in its state."""

_ENDINGS: Final = tuple(state.value for state in State if state in FINAL)


def _ended(text: str) -> State:
    known = ", ".join(_ENDINGS)
    if text in _ENDINGS:
        return State(text)
    if text in set(State):
        raise typer.BadParameter(f"{text} jobs have not ended, and are never removed; give {known}")
    raise typer.BadParameter(f"{text!r} is no state{did_you_mean(text, _ENDINGS)}; give {known}")


def _endings(incomplete: str) -> list[str]:
    return [state for state in _ENDINGS if state.startswith(incomplete)]


def prune(
    *,
    url: Database,
    state: Annotated[
        list[State],
        option(
            "--state",
            "-s",
            parser=_ended,
            autocompletion=_endings,
            metavar="STATE",
            help=f"Jobs in this state; repeatable. {', '.join(_ENDINGS)}",
        ),
    ],
    older_than: Annotated[Duration, wait("--older-than", help="Those that ended longer ago than this.")],
    dry_run: Annotated[bool, flag("--dry-run", help="Count them, and change nothing.")] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Remove jobs that ended long ago, for good: payloads, results and histories, too.

    For a queue whose workers do so by themselves: Queue(..., retention={"succeeded": "7d"}).
    """
    from jobsim.live.stores import present

    states = list(dict.fromkeys(state))
    with open_database(url) as store:
        before = Instant(present(store) - older_than)
        if dry_run:
            _write(_count(store, states, before), done=False, as_json=as_json)
            return
        if not yes:
            _confirm(states, older_than, _count(store, states, before))
        removed = 0
        while some := store.prune(states, before, BATCH):
            removed += some
    _write(removed, done=True, as_json=as_json)


def _count(store: Storage, states: list[State], before: Instant) -> int:
    """Count by the log, which is read page by page; jobs would come with all that they carry."""
    ends = {kind for (_, kind), target in TRANSITIONS.items() if target in states}
    ended: set[JobId] = set()
    for event in store.events():
        if event.kind in ends and event.at < before:
            ended.add(event.job)
        elif event.kind not in _KEEP:
            ended.discard(event.job)
    return len(ended)


def _confirm(states: list[State], age: Duration, count: int) -> None:
    """Ask before jobs are removed.

    Raises:
        typer.BadParameter: nobody is there to be asked.
        typer.Exit: the answer was no, or there are none.
    """
    words = " or ".join(state.value for state in states)
    what = f"{counted(count, 'job', 'jobs')} that ended as {words} more than {age} ago"
    if not count:
        note("Removed: 0 jobs.")
        raise typer.Exit(ExitCode.OK)
    if not sys.stdin.isatty():
        raise typer.BadParameter(f"this removes {what}, for good; add --yes to do it without being asked")
    if not typer.confirm(f"Remove {what}, for good?", err=True):
        note("Nothing was changed.")
        raise typer.Exit(ExitCode.ERROR)


def _write(removed: int, *, done: bool, as_json: bool) -> None:
    if as_json:
        write_json({"jobs": removed, "removed": done})
    note(f"{'Removed' if done else 'Would be removed'}: {counted(removed, 'job', 'jobs')}.")
