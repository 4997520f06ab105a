"""``jobsim worker``: run jobs until told to stop."""

import logging
from enum import StrEnum
from typing import Annotated, Any

from jobsim.cli.options import App, Queues, flag, option, usage, wait
from jobsim.cli.output import iso
from jobsim.cli.target import load_queue
from jobsim.core.time import SECOND, Duration, Instant


class Level(StrEnum):
    """How much a worker tells."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def worker(
    app: App,
    *,
    concurrency: Annotated[
        int | None, option("--concurrency", "-c", min=1, metavar="N", help="Jobs to run at a time.")
    ] = None,
    queues: Queues = None,
    lease: Annotated[
        Duration | None, wait("--lease", help="How long after a worker's death its jobs stay claimed.")
    ] = None,
    poll: Annotated[Duration | None, wait("--poll", help="How often an idle worker looks for jobs.")] = None,
    burst: Annotated[bool, flag("--burst", help="Stop when no job is due.")] = False,
    shutdown_timeout: Annotated[
        Duration | None, wait("--shutdown-timeout", help="How long running jobs may go on once told to stop.")
    ] = None,
    log_level: Annotated[
        Level, option("--log-level", metavar="LEVEL", help="debug, info, warning or error; on stderr.")
    ] = Level.INFO,
) -> None:
    """Run the jobs of an app's queue until stopped.

    SIGTERM and SIGINT end it in order: nothing new is claimed, running jobs may finish, the rest goes back.
    """
    with usage("APP"):
        queue = load_queue(app)
    _log_to_stderr(log_level)
    chosen: dict[str, Any] = {
        "concurrency": concurrency,
        "queues": queues,
        "lease": lease,
        "poll": poll,
        "shutdown_timeout": shutdown_timeout,
    }
    queue.run_worker(burst=burst, **{name: value for name, value in chosen.items() if value is not None})


def _log_to_stderr(level: Level) -> None:
    handler = logging.StreamHandler()
    handler.addFilter(_stamp)
    handler.setFormatter(logging.Formatter("%(utc)s %(levelname)-7s %(name)s: %(message)s"))
    logging.basicConfig(level=level.value.upper(), handlers=[handler])


def _stamp(record: logging.LogRecord) -> bool:
    """Give a record its time as every other time is written."""
    record.utc = iso(Instant(round(record.created * SECOND)), "milliseconds")
    return True
