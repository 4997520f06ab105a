"""``jobsim queues``: what waits on each queue, and whether any of it may start."""

from typing import Annotated

import typer

from jobsim.cli.database import open_database, queue_names
from jobsim.cli.options import Database, Json, usage
from jobsim.cli.output import complain, counted, note, write_json, write_table
from jobsim.cli.program import ExitCode
from jobsim.core.job import QueueDepth, State
from jobsim.core.time import SECOND, Duration, Instant
from jobsim.core.transitions import WAITING

app = typer.Typer(help="Look at queues, pause them, and resume them.", no_args_is_help=True)


def _queue(text: str) -> str:
    from jobsim.live.placement import check_queue

    with usage():
        check_queue(text)
    return text


QueueArgument = Annotated[
    str, typer.Argument(parser=_queue, metavar="NAME", help="The queue.", autocompletion=queue_names)
]

_EMPTY = QueueDepth(dict.fromkeys(State, 0), None)


@app.command("list")
def list_queues(*, url: Database, as_json: Json = False) -> None:
    """List the queues that have jobs or are paused.

    Those are waiting whose time is to come, too. The oldest is how long ago the first of them was due.
    """
    from jobsim.live.stores import present

    with open_database(url) as store:
        depths, paused, now = store.depths(), store.paused(), present(store)
    records = [_record(n, depths.get(n, _EMPTY), now, paused=n in paused) for n in sorted({*depths, *paused})]
    if as_json:
        for record in records:
            write_json(record)
        return
    rows = [
        (r["queue"], "paused" if r["paused"] else "", r["waiting"], r["running"], r["dead_letters"], _age(r))
        for r in records
    ]
    write_table(("QUEUE", "", "WAITING", "RUNNING", "DEAD LETTERS", "OLDEST"), rows)


@app.command()
def pause(queue: QueueArgument, *, url: Database) -> None:
    """Let no job of a queue start any more, until it is resumed; what runs goes on, and enqueueing, too."""
    with open_database(url) as store:
        turned = store.pause(queue)
        running = store.depths().get(queue, _EMPTY).counts[State.RUNNING]
    if not turned:
        note(f"{queue} is paused already.")
        return
    goes_on = f"; {counted(running, 'attempt goes', 'attempts go')} on" if running else ""
    note(f"{queue} is paused: none of its jobs starts before jobsim queues resume {queue}{goes_on}.")


@app.command()
def resume(queue: QueueArgument, *, url: Database) -> None:
    """Let jobs of a queue start again."""
    with open_database(url) as store:
        turned = store.resume(queue)
    if not turned:
        complain(f"{queue} is not paused")
        raise typer.Exit(ExitCode.NOT_FOUND)
    note(f"{queue} is resumed.")


def _record(queue: str, depth: QueueDepth, now: Instant, *, paused: bool) -> dict[str, object]:
    overdue = None if depth.oldest is None or depth.oldest > now else (now - depth.oldest) / SECOND
    return {
        "queue": queue,
        "paused": paused,
        "waiting": sum(depth.counts[state] for state in WAITING),
        "running": depth.counts[State.RUNNING],
        "dead_letters": depth.counts[State.DEAD_LETTER],
        "oldest_s": overdue,
        "states": {state.value: number for state, number in depth.counts.items()},
    }


def _age(record: dict[str, object]) -> Duration | None:
    """Return how long ago the oldest was due, in whole seconds."""
    age = record["oldest_s"]
    return Duration(int(age) * SECOND) if isinstance(age, float) else None
