"""What a worker and a process that runs handlers for it say to each other: a line of JSON each way.

Before the process answers it says that it has `BEGUN`, if it came so far.
"""

import json
from dataclasses import dataclass
from typing import Any, Final, Self

from jobsim.core.errors import JobsimError
from jobsim.core.job import JobId, Lease, WorkerId
from jobsim.core.outcome import SUCCEEDED, Cancelled, Error, Failed, Outcome, Snoozed, Succeeded
from jobsim.core.time import Duration, Instant

BEGUN: Final = "\n"
"""Says that the handler is found, and called now."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a function is defined, for another process to find it there."""

    module: str
    """The module's name, or the path of the script that this process runs."""
    is_script: bool
    name: str


@dataclass(frozen=True, slots=True)
class Request:
    """One attempt to be made: what `lease` gives the right to, by the function at `origin`."""

    origin: Origin
    lease: Lease
    deadline: Instant | None
    keep_result: bool
    payload_limit: int

    def line(self) -> str:
        """Return the request as one line."""
        origin = self.origin
        fields = [
            [origin.module, origin.is_script, origin.name],
            self.lease,
            self.deadline,
            self.keep_result,
            self.payload_limit,
        ]
        return json.dumps(fields) + "\n"

    @classmethod
    def of(cls, line: str) -> Self:
        """Return the request that `line` spells."""
        origin, lease, deadline, keep_result, limit = json.loads(line)
        ends = None if deadline is None else Instant(deadline)
        return cls(Origin(*origin), _lease(*lease), ends, keep_result, limit)


def _lease(key: int, id_: int, *rest: Any) -> Lease:
    kind, queue, attempt, max_attempts, budget, token, enqueued, delay, until, worker, *texts = rest
    times = Instant(enqueued), Duration(delay), Instant(until)
    return Lease(
        key, JobId(id_), kind, queue, attempt, max_attempts, budget, token, *times, WorkerId(worker), *texts
    )


@dataclass(frozen=True, slots=True)
class Told:
    """A log record of the process, for the worker to log: its level, and its text with any traceback."""

    level: int
    text: str


def reply(outcome: Outcome, told: list[Told]) -> str:
    """Return how an attempt ended, and what there is to be logged of it, as one line."""
    return json.dumps([_spelled(outcome), [[record.level, record.text] for record in told]]) + "\n"


def read_reply(line: str) -> tuple[Outcome, list[Told]]:
    """Return what `reply` was given."""
    outcome, told = json.loads(line)
    return _outcome(*outcome), [Told(*record) for record in told]


def _spelled(outcome: Outcome) -> list[Any]:
    match outcome:
        case Succeeded(result=result):
            return ["succeeded", result]
        case Failed(error=error, retry_after=retry_after, final=final):
            return ["failed", error.kind, error.message, error.lineage, retry_after, final]
        case Snoozed(delay=delay):
            return ["snoozed", delay]
        case Cancelled(reason=reason):
            return ["cancelled", reason]
        case _:
            raise JobsimError(f"no handler ends in {outcome!r}")


def _outcome(name: str, *fields: Any) -> Outcome:
    match name, fields:
        case "succeeded", (None,):
            return SUCCEEDED
        case "succeeded", (result,):
            return Succeeded(result)
        case "failed", (kind, message, lineage, retry_after, final):
            wait = None if retry_after is None else Duration(retry_after)
            return Failed(Error(kind, message, tuple(lineage)), wait, final)
        case "snoozed", (delay,):
            return Snoozed(Duration(delay))
        case "cancelled", (reason,):
            return Cancelled(reason)
        case _:
            raise JobsimError(f"no outcome is called {name!r}")
