"""``jobsim check``: whether a database, or a log, is as the queue promises."""

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from jobsim.cli.database import is_file, open_database
from jobsim.cli.options import Json, flag
from jobsim.cli.output import counted, note, printable, write_json
from jobsim.cli.program import ExitCode
from jobsim.cli.records import event_record
from jobsim.core.time import MILLISECOND, Duration

if TYPE_CHECKING:
    from jobsim.testing.inspection import Inspection
    from jobsim.testing.invariants import Violation

_BREATH: Final = Duration(100 * MILLISECOND)


def check(
    source: Annotated[
        str,
        typer.Argument(
            metavar="URL|APP|LOG",
            envvar="JOBSIM_URL",
            help="A database's URL, the queue of an app (module:queue), or a file of events.",
        ),
    ],
    *,
    drained: Annotated[
        bool, flag("--drained", help="Workers ran until nothing was left: every job must have ended.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check that no job was lost or run out of turn: every rule of the queue, against every event.

    A database may be in use, and is held against its own log. A log is what jobsim events --after 0 --json,
    jobsim run --out or jobsim.sim.record wrote. Exits with 5 if a rule is broken, and shows the first with
    the history of its job.
    """
    found = _inspected(source, drained=drained)
    if as_json:
        write_json(_record(found))
    else:
        _tell(found)
    if found.broken:
        raise typer.Exit(ExitCode.UNSOUND)


def _inspected(source: str, *, drained: bool) -> "Inspection":
    from jobsim.testing.inspection import inspect_log, inspect_store

    if is_file(source):
        from jobsim.sim.history.logs import events_in

        return inspect_log(lambda: events_in(source), drained=drained)
    from jobsim.runtime.live import pause

    with open_database(source, "URL|APP|LOG") as store:
        return inspect_store(store, lambda: pause(_BREATH), drained=drained)


def _tell(found: "Inspection") -> None:
    looked_at = f"{counted(found.events, 'event', 'events')} of {counted(found.jobs, 'job', 'jobs')}"
    if not found.broken:
        typer.echo(f"Sound: {looked_at}, and every rule holds.")
        return
    typer.echo(printable(str(found.broken[0])))
    rules = Counter(wrong.rule for wrong in found.broken)
    told = ", ".join(f"{rule} ({times:,})" for rule, times in rules.items())
    others = "; more jobs may break them" if found.more else ""
    note(f"Broken in {looked_at}: {told}{others}. Shown is the first; --json tells of all.")


def _record(found: "Inspection") -> dict[str, Any]:
    return {
        "ok": not found.broken,
        "events": found.events,
        "jobs": found.jobs,
        "more": found.more,
        "broken": [_broken(wrong) for wrong in found.broken],
    }


def _broken(wrong: "Violation") -> dict[str, Any]:
    return {
        "rule": wrong.rule,
        "job": None if wrong.job is None else str(wrong.job),
        "problem": wrong.problem,
        "history": [event_record(event) for event in wrong.history],
    }
