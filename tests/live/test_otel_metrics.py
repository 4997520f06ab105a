"""What OpenTelemetry is told, by the names of its conventions."""

from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from jobsim.core.decide import SUCCESS, Decision, Why
from jobsim.core.job import JobId, Lease, WorkerId
from jobsim.core.time import SECOND, Duration, Instant
from jobsim.core.transitions import Kind
from jobsim.live.otel_metrics import OpenTelemetryMetrics
from jobsim.live.telemetry import AttemptClaimed, AttemptEnded, JobsEnqueued, LeaseLost, StorageFailed

MakeLease = Callable[..., Lease]

W = WorkerId("w")
NOW = Instant(10 * SECOND)
TOOK = Duration(SECOND // 4)
RETRY = Decision(Kind.RETRY, Why("failed", "backoff", "app.Refused: card 4711"), NOW)
LOST = Decision(Kind.RETRY, Why("lost", "backoff", "jobsim.Lost: the lease ended"), NOW)


class Meters:
    """Metrics with a reader; `points` are what it has read of one."""

    def __init__(self) -> None:
        self._reader = InMemoryMetricReader()
        self.provider = MeterProvider([self._reader], shutdown_on_exit=False)
        self.metrics = OpenTelemetryMetrics(self.provider)

    def points(self, name: str) -> list[tuple[dict[str, Any], Any]]:
        data = self._reader.get_metrics_data()
        assert data is not None
        (resource,) = data.resource_metrics
        (scope,) = resource.scope_metrics
        (found,) = [metric for metric in scope.metrics if metric.name == name]
        return [(dict(point.attributes or {}), point) for point in found.data.data_points]


@pytest.fixture
def meters() -> Meters:
    return Meters()


def about(operation: str, of_type: str) -> dict[str, str]:
    return {
        "messaging.system": "jobsim",
        "messaging.operation.name": operation,
        "messaging.operation.type": of_type,
        "messaging.destination.name": "default",
        "jobsim.job.kind": "work",
    }


def test_jobs_are_messages_that_are_sent_and_consumed(meters: Meters, lease: MakeLease) -> None:
    """A batch counts with all its jobs, and each claim of a job once."""
    meters.metrics(JobsEnqueued(NOW, "work", "default", (JobId(1), JobId(2))))
    meters.metrics(AttemptClaimed(NOW, lease(1)))
    meters.metrics(AttemptClaimed(NOW, lease(1, attempt=2)))
    (sent,) = meters.points("messaging.client.sent.messages")
    (consumed,) = meters.points("messaging.client.consumed.messages")
    assert (sent[0], sent[1].value) == (about("enqueue", "send"), 2)
    assert (consumed[0], consumed[1].value) == (about("claim", "receive"), 2)


def test_handlers_are_timed_with_the_type_of_their_error(meters: Meters, lease: MakeLease) -> None:
    """The histogram is in seconds; of an error it has the type, and never the message."""
    meters.metrics(AttemptEnded(NOW, W, lease(1), SUCCESS, TOOK, kept=True))
    meters.metrics(AttemptEnded(NOW, W, lease(2), RETRY, TOOK, kept=True))
    meters.metrics(AttemptEnded(NOW, W, lease(3), LOST, None, kept=True))
    points = meters.points("messaging.process.duration")
    assert [(attributes, point.count, point.sum) for attributes, point in points] == [
        (about("process", "process"), 1, 0.25),
        ({**about("process", "process"), "error.type": "app.Refused"}, 1, 0.25),
    ]
    assert points[0][1].explicit_bounds[:2] == (0.005, 0.01)


def test_settlements_count_by_decision_where_they_were_kept(meters: Meters, lease: MakeLease) -> None:
    """One that was refused settled nothing; a lost worker's attempt counts for who brought it back."""
    meters.metrics(AttemptEnded(NOW, W, lease(1), SUCCESS, TOOK, kept=True))
    meters.metrics(AttemptEnded(NOW, W, lease(1), SUCCESS, TOOK, kept=False))
    meters.metrics(AttemptEnded(NOW, W, lease(2), LOST, None, kept=True))
    meters.metrics(LeaseLost(NOW, lease(1)))
    meters.metrics(StorageFailed(NOW, W, "exchange", "locked"))
    settled = about("settle", "settle")
    assert [(attributes, point.value) for attributes, point in meters.points("jobsim.attempts")] == [
        ({**settled, "jobsim.decision": "succeed"}, 1),
        ({**settled, "jobsim.decision": "retry", "error.type": "jobsim.Lost"}, 1),
    ]
