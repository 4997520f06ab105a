"""OpenTelemetry metrics (extra ``otel``), by the conventions for messaging; ``jobsim.decision`` is ours."""

from typing import Final, assert_never

from opentelemetry.metrics import MeterProvider, get_meter

from jobsim.core.decide import Decision
from jobsim.core.job import Lease
from jobsim.core.time import SECOND
from jobsim.live.otel_names import FAILURES, about, error_type
from jobsim.live.telemetry import (
    AttemptClaimed,
    AttemptEnded,
    JobsEnqueued,
    LeaseLost,
    StorageFailed,
    TelemetryEvent,
)

_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""Those that the conventions advise, in seconds."""


class OpenTelemetryMetrics:
    """A subscriber that records jobs as messages: sent, consumed, and how long they took to process.

    It records with `provider`, or with the one that the application has set; without an SDK that is nothing.
    """

    def __init__(self, provider: MeterProvider | None = None) -> None:
        meter = get_meter("jobsim", meter_provider=provider)
        self._sent = meter.create_counter(
            "messaging.client.sent.messages", unit="{message}", description="Jobs that were enqueued."
        )
        self._consumed = meter.create_counter(
            "messaging.client.consumed.messages", unit="{message}", description="Attempts that were claimed."
        )
        self._took = meter.create_histogram(
            "messaging.process.duration",
            unit="s",
            description="How long handlers ran.",
            explicit_bucket_boundaries_advisory=_BUCKETS,
        )
        self._settled = meter.create_counter(
            "jobsim.attempts", unit="{attempt}", description="Attempts that were settled."
        )

    def __call__(self, event: TelemetryEvent) -> None:
        """Record `event`."""
        match event:
            case JobsEnqueued(_, kind, queue, jobs):
                self._sent.add(len(jobs), about("enqueue", "send", queue, kind))
            case AttemptClaimed(_, lease):
                self._consumed.add(1, about("claim", "receive", lease.queue, lease.kind))
            case AttemptEnded():
                self._ended(event)
            case LeaseLost() | StorageFailed():
                pass  # the conventions have nothing for them
            case _:
                assert_never(event)

    def _ended(self, event: AttemptEnded) -> None:
        lease, decision = event.lease, event.decision
        if event.took is not None:
            self._took.record(event.took / SECOND, _process(lease, decision))
        if event.kept:
            what = about("settle", "settle", lease.queue, lease.kind) | _error(decision)
            self._settled.add(1, what | {"jobsim.decision": decision.kind.value})


def _process(lease: Lease, decision: Decision) -> dict[str, str]:
    return about("process", "process", lease.queue, lease.kind) | _error(decision)


def _error(decision: Decision) -> dict[str, str]:
    return {"error.type": error_type(decision)} if decision.kind in FAILURES else {}
