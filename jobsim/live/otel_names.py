"""What OpenTelemetry's conventions for messaging call things, for metrics and for spans.

Source: OpenTelemetry semantic conventions, messaging (in development there); ``jobsim.job.kind`` is ours.
"""

from typing import Final

from jobsim.core.decide import Decision
from jobsim.core.transitions import Kind

FAILURES: Final = (Kind.RETRY, Kind.DEAD_LETTER)
"""The decisions about attempts that an error has ended."""


def about(operation: str, of_type: str, queue: str, kind: str) -> dict[str, str]:
    """Return the attributes of an operation."""
    return {
        "messaging.system": "jobsim",
        "messaging.operation.name": operation,
        "messaging.operation.type": of_type,
        "messaging.destination.name": queue,
        "jobsim.job.kind": kind,
    }


def error_type(decision: Decision) -> str:
    """Return the type of the error that ended an attempt; its message may be of any length."""
    name, _, _ = decision.why.error.partition(":")
    return name or decision.why.outcome or "_OTHER"
