"""What a queue lets others see of itself: events for subscribers, metrics, and traces."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from jobsim.core.errors import ConfigError
from jobsim.live.stores import Presence
from jobsim.live.telemetry import Subscriber

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider
    from prometheus_client import CollectorRegistry

    from jobsim.live.otel_spans import OpenTelemetrySpans


class Observable(ABC):
    """The part of a queue that those deal with who watch it."""

    def __init__(self) -> None:
        self._subscribers: list[Subscriber] = []
        self._tracer: OpenTelemetrySpans | None = None

    @property
    @abstractmethod
    def _here(self) -> Presence:
        """What this process has of the queue."""

    def subscribe(self, subscriber: Subscriber) -> None:
        """Have `subscriber` called with each event of `jobsim.live.telemetry`: what this process enqueues,
        and what its workers do that start from now on.

        It is called in a thread of its own, with one event after the other. Where it raises, that is logged
        once; where it is too slow, it misses events: neither harms anybody else.
        """
        self._subscribers.append(subscriber)
        self._here.telemetry.add(subscriber)

    def export_metrics(self, registry: "CollectorRegistry") -> None:
        """Register Prometheus metrics with `registry`: what this process does, and how the store stands.

        The store is looked at for each scrape; `jobsim worker --metrics` serves them. It needs the extra
        ``metrics``.

        Raises:
            ImportError: prometheus-client is not installed.
        """
        from jobsim.live.prometheus import PrometheusMetrics

        here = self._here
        self.subscribe(PrometheusMetrics(registry, here.beside, here.telemetry, lambda: here.workers))

    def trace(self, provider: "TracerProvider | None" = None) -> None:
        """Record OpenTelemetry spans: of what is enqueued from now on, and of attempts by workers that start.

        They go to `provider`, or to the one that the application has set. Jobs are in the trace of whoever
        enqueues them, in whichever process they run. It needs the extra ``otel``.

        Raises:
            ImportError: opentelemetry-api is not installed.
            ConfigError: the queue is traced already.
        """
        from jobsim.live.otel_spans import OpenTelemetrySpans

        if self._tracer is not None:
            raise ConfigError("this queue is traced already; call trace() once")
        self._tracer = OpenTelemetrySpans(provider)
        self.subscribe(self._tracer)
