"""``jobsim worker``: run jobs until told to stop."""

import sys
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from jobsim.cli.logs import Format, Level, announce, log_to_stderr
from jobsim.cli.metrics import LAST_PORT, check_ports, metrics_served
from jobsim.cli.options import Queues, flag, option, usage, wait
from jobsim.cli.output import counted
from jobsim.cli.program import ExitCode
from jobsim.cli.target import load_queue
from jobsim.core.time import SECOND, Duration

if TYPE_CHECKING:
    from jobsim.live.handler import Handler
    from jobsim.live.worker import LiveWorker
    from jobsim.queue import Queue

_ENDS: Final = {
    "Succeeded": "succeeded",
    "Failed": "failed",
    "TimedOut": "timed out",
    "Lost": "lost",
    "Released": "given back",
    "Snoozed": "snoozed",
    "Cancelled": "cancelled",
}


Concurrency = Annotated[
    int | None, option("--concurrency", "-c", min=1, metavar="N", help="Jobs to run at a time.")
]

Lease = Annotated[
    Duration | None, wait("--lease", help="How long after a worker's death its jobs stay claimed.")
]

Poll = Annotated[Duration | None, wait("--poll", help="How often an idle worker looks for jobs.")]

Processes = Annotated[
    int, option("--processes", min=1, metavar="N", help="Worker processes, each with that concurrency.")
]

ShutdownTimeout = Annotated[
    Duration | None, wait("--shutdown-timeout", help="How long running jobs may go on once told to stop.")
]

WaitForDatabase = Annotated[
    Duration,
    wait("--wait-for-database", help="How long to wait, at the start, for a server that does not answer."),
]

LogLevel = Annotated[
    Level, option("--log-level", metavar="LEVEL", help="debug, info, warning or error; on stderr.")
]

LogFormat = Annotated[
    Format,
    option("--log-format", metavar="FORMAT", help="text, or json: one object a line."),
]

Metrics = Annotated[
    int | None,
    option(
        "--metrics",
        min=1,
        max=LAST_PORT,
        metavar="PORT",
        help="Serve Prometheus metrics on 127.0.0.1; each of several processes has the next port.",
    ),
]


def worker(  # noqa: PLR0913  # each is an option of its own
    app: Annotated[
        str,
        typer.Argument(
            metavar="APP", envvar="JOBSIM_APP", help="Where your queue is: module:queue, such as app:queue."
        ),
    ],
    *,
    concurrency: Concurrency = None,
    queues: Queues = None,
    lease: Lease = None,
    poll: Poll = None,
    processes: Processes = 1,
    burst: Annotated[bool, flag("--burst", help="Stop when no job is due.")] = False,
    shutdown_timeout: ShutdownTimeout = None,
    log_level: LogLevel = Level.INFO,
    log_format: LogFormat = Format.TEXT,
    metrics: Metrics = None,
    wait_for_database: WaitForDatabase = Duration(60 * SECOND),  # noqa: B008  # it is a number
) -> None:
    """Run the jobs of an app's queue until stopped.

    SIGTERM and SIGINT end it in order: nothing new is claimed, running jobs may finish, the rest goes back.
    Of several processes one that dies is replaced.
    """
    from jobsim.live.supervisor import Supervisor, follow_supervisor, is_supervised, place
    from jobsim.runtime.live import now

    log_to_stderr(log_level, log_format)
    if metrics is not None:
        check_ports(metrics, processes)
        metrics += place() - 1
    if processes > 1 and not is_supervised():
        command = [sys.executable, "-m", "jobsim", *sys.argv[1:]]
        raise typer.Exit(Supervisor(command, processes, frozenset({ExitCode.USAGE})).run())
    with usage("APP"):
        queue = load_queue(app)
    chosen: dict[str, Any] = {
        "concurrency": concurrency,
        "queues": queues,
        "lease": lease,
        "poll": poll,
        "shutdown_timeout": shutdown_timeout,
    }
    with queue, usage(), metrics_served(queue, metrics) as address:
        queue.wait_for_database(wait_for_database)
        live = queue.worker(
            burst=burst, **{name: value for name, value in chosen.items() if value is not None}
        )
        announce(_description(app, queue, live, address), log_format)
        follow_supervisor(live.stop)
        began = now()
        try:
            live.run()
        finally:
            announce(_summary((now() - began) / SECOND, live), log_format)
    if live.stopped_at_once:
        raise typer.Exit(ExitCode.INTERRUPTED)


def _description(app: str, queue: "Queue", live: "LiveWorker", metrics: str | None) -> str:
    """Return what the worker works on, and how."""
    settings = live.settings
    at_a_time = counted(settings.slots, "job", "jobs")
    caveat = getattr(queue.where, "caveat", "")  # a store that was given as it is has none
    lines = [
        f"Worker {live.name} runs the jobs of {app} on {queue!r}",
        *([f"  {caveat}"] if caveat else ()),
        f"  queues: {', '.join(settings.queues)}; {at_a_time} at a time; lease {settings.lease}",
        *([f"  metrics: {metrics}"] if metrics else ()),
        *(f"  {kind}: {_policy(handler)}" for kind, handler in sorted(queue.handlers.items())),
        "It stops once no job is due." if settings.burst else "Ctrl-C stops it; once more, at once.",
    ]
    return "\n".join(lines)


def _policy(handler: "Handler[..., Any]") -> str:
    from jobsim.live.limits import described

    policy, limit = handler.terms.policy, handler.terms.time_limit
    most = "no limit of attempts" if policy.max_attempts is None else f"max_attempts={policy.max_attempts}"
    timeout = "" if limit is None else f", timeout {limit}"
    held = f"; {described(handler.terms.limit)}" if handler.terms.limit else ""
    return f"{policy.label}, {most}{timeout}{held}"


def _summary(worked_s: float, live: "LiveWorker") -> str:
    """Return how the attempts ended, in words."""
    total = counted(live.tally.total(), "attempt", "attempts")
    ends = "".join(f", {number:,} {_ENDS[kind.__name__]}" for kind, number in live.tally.most_common())
    return f"Worked for {worked_s:,.1f} s: {total}{ends}."
