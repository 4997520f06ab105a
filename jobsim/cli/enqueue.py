"""``jobsim enqueue``: put one job on the queue."""

from typing import Annotated

import typer

from jobsim.cli.database import shared_address
from jobsim.cli.options import App, json_object, option, usage, wait
from jobsim.cli.target import load_queue
from jobsim.core.errors import PayloadError, did_you_mean
from jobsim.core.job import Conflict
from jobsim.core.time import Duration


def enqueue(
    app: App,
    kind: Annotated[str, typer.Argument(metavar="KIND", help="Which handler is to run.")],
    arguments: Annotated[
        str, typer.Argument(metavar="JSON", help="The handler's arguments by name, a JSON object.")
    ] = "{}",
    *,
    delay: Annotated[
        Duration | None, wait("--delay", "--in", help="Start no sooner than this from now.")
    ] = None,
    priority: Annotated[
        int | None,
        option("--priority", metavar="N", help="The highest starts first; else the handler's own."),
    ] = None,
    queue: Annotated[
        str | None, option("--queue", metavar="NAME", help="The queue to put it on; else the handler's own.")
    ] = None,
    unique_key: Annotated[
        str | None, option("--unique-key", metavar="KEY", help="Held by one job that is not final.")
    ] = None,
    on_conflict: Annotated[
        Conflict | None,
        option("--on-conflict", metavar="WHAT", help="Where the key is held: skip, replace or raise."),
    ] = None,
    limit_key: Annotated[
        str | None, option("--limit-key", metavar="KEY", help="What a limit per key counts by.")
    ] = None,
) -> None:
    """Put a job on the queue, and write its id; where the key is held and that is skipped, the holder's."""
    call = json_object(arguments)
    with usage("APP"):
        target = load_queue(app)
        shared_address(app)
    handler = target.handlers.get(kind)
    if handler is None:
        known = ", ".join(target.handlers) or "none"
        raise typer.BadParameter(
            f"{app} has no handler {kind!r}{did_you_mean(kind, target.handlers)}; there are: {known}",
            param_hint=["KIND"],
        )
    with usage(), usage("JSON", of=PayloadError):
        [job] = handler.enqueue_many(
            [call],
            delay=delay,
            priority=priority,
            queue=queue,
            unique_key=unique_key,
            on_conflict=on_conflict,
            limit_key=limit_key,
        )
    typer.echo(str(job))
