"""OpenTelemetry spans (extra ``otel``), by the conventions for messaging: of enqueues and of attempts.

A call that enqueues has one span, whose context goes with each of its jobs. The span of an attempt is a child
of that one, so that all attempts of a job, by whichever workers, are in the trace of its enqueue; and it is
linked to it, as the conventions ask.

Source: OpenTelemetry semantic conventions, messaging spans (in development there); names that begin with
``jobsim.`` are ours.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from itertools import islice
from types import EllipsisType, TracebackType
from typing import Final, Self, TypeVarTuple

from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    Span,
    SpanKind,
    StatusCode,
    TracerProvider,
    get_current_span,
    get_tracer,
    set_span_in_context,
)
from opentelemetry.util.types import AttributeValue

from jobsim.core.decide import Decision
from jobsim.core.errors import JobsimError
from jobsim.core.job import JobId, Lease
from jobsim.core.outcome import Failed, Outcome
from jobsim.core.time import SECOND, Instant
from jobsim.core.transitions import Kind
from jobsim.live.otel_context import Current, context_of, headers_of
from jobsim.live.otel_names import FAILURES, about, error_type
from jobsim.live.telemetry import AttemptEnded, TelemetryEvent
from jobsim.runtime.live import now

Ts = TypeVarTuple("Ts")
Attributes = dict[str, AttributeValue]

UNSETTLED: Final = 10_000
"""Of how many attempts that have returned the settlement is waited for."""

_log: Final = logging.getLogger("jobsim.telemetry")


class OpenTelemetrySpans:
    """A tracer and a subscriber: the span of an attempt ends with its handler, and tells how it was settled.

    It records with `provider`, or with the one that the application has set; without an SDK that is nothing.
    Whatever that raises is logged, once, and harms no job.
    """

    def __init__(self, provider: TracerProvider | None = None) -> None:
        self._tracer = get_tracer("jobsim", tracer_provider=provider)
        self._open: dict[tuple[int, int], _Attempt] = {}
        self._failed = False

    def sending(self, kind: str, queue: str, count: int) -> "_Sending":
        """Return the block in which `count` jobs are enqueued."""
        return _Sending(self, kind, queue, count)

    def attempting(self, lease: Lease) -> "_Attempt":
        """Return the block in which the handler runs; its span is the current one there."""
        attempt = _Attempt(self, lease)
        self._open[lease.key, lease.token] = attempt
        if len(self._open) > UNSETTLED:
            self._finish_some()
        return attempt

    def __call__(self, event: TelemetryEvent) -> None:
        """Complete the span of an attempt that was settled; one whose worker was lost has none."""
        if not isinstance(event, AttemptEnded):
            return
        attempt = self._open.pop((event.lease.key, event.lease.token), None)
        if attempt is not None:
            attempt.settled(event)
        elif event.kept and event.decision.kind in FAILURES:
            self.safely(self._record_end, event)

    def finish(self) -> None:
        """End the spans of attempts that have returned and of whose settlement nothing was heard."""
        for key, attempt in list(self._open.items()):
            if attempt.returned:
                self._open.pop(key, None)
                attempt.settled(None)

    def _finish_some(self) -> None:
        """Make room, oldest first: news of settlements get lost where there are too many."""
        for key in list(islice(self._open, UNSETTLED // 10)):
            attempt = self._open.get(key)
            if attempt is not None and attempt.returned:
                self._open.pop(key, None)
                attempt.settled(None)

    def _record_end(self, event: AttemptEnded) -> None:
        """Record the end of an attempt that has no span here: its worker was lost, or knows no such kind."""
        at = _ns(event.at)
        span = self.start(
            "settle", "settle", event.lease, SpanKind.CLIENT, context_of(event.lease.headers), at
        )
        _tell(span, event.decision, kept=True)
        span.end(at)

    def start(  # a span is told apart by as many things
        self, name: str, of_type: str, lease: Lease, kind: SpanKind, context: Context, at: int
    ) -> Span:
        """Return the span of something that is done with `lease`, begun at `at`, in nanoseconds."""
        attributes: Attributes = {
            **about(name, of_type, lease.queue, lease.kind),
            "messaging.message.id": str(lease.id),
            "messaging.client.id": lease.worker,
            "jobsim.job.attempt": lease.attempt,
            "jobsim.job.max_attempts": lease.max_attempts,
        }
        created = get_current_span(context).get_span_context()
        links = [Link(created)] if created.is_valid else []
        return self._tracer.start_span(f"{name} {lease.queue}", context, kind, attributes, links, at)

    def start_sending(self, kind: str, queue: str, count: int) -> Span:
        """Return the span of an enqueue."""
        attributes: Attributes = {**about("enqueue", "send", queue, kind)}
        if count > 1:
            attributes["messaging.batch.message_count"] = count
        return self._tracer.start_span(f"enqueue {queue}", kind=SpanKind.PRODUCER, attributes=attributes)

    def safely(self, call: Callable[[*Ts], object], *args: *Ts) -> None:
        """Make a call that may come to code of the application's; what it raises is logged, once."""
        try:
            call(*args)
        except Exception:  # noqa: BLE001  # a job that is not traced is run all the same
            if not self._failed:
                self._failed = True
                _log.warning("spans cannot be recorded; jobs go on without", exc_info=True)


class _Sending:
    """The span of a call that enqueues; it is the current one meanwhile."""

    def __init__(self, spans: OpenTelemetrySpans, kind: str, queue: str, count: int) -> None:
        self.headers = ""
        self._spans = spans
        self._about = (kind, queue, count)
        self._span: Span | None = None
        self._current = Current()

    def __enter__(self) -> Self:
        self._spans.safely(self._begin)
        return self

    def _begin(self) -> None:
        self._span = self._spans.start_sending(*self._about)
        context = set_span_in_context(self._span)
        self.headers = headers_of(context)
        self._current.enter(context)

    def accepted(self, ids: Sequence[JobId]) -> None:
        """Say which job it is, if it is one."""
        if self._span is not None and len(ids) == 1:
            self._spans.safely(self._span.set_attribute, "messaging.message.id", str(ids[0]))

    def forget(self) -> None:
        """Leave the span without an end: it is not exported."""
        self._span = None

    def __exit__(
        self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None
    ) -> None:
        self._current.leave()
        if self._span is not None:
            self._spans.safely(self._end, self._span, error)

    def _end(self, span: Span, error: BaseException | None) -> None:
        if error is not None:
            name = type(error).__qualname__
            span.set_attribute("error.type", f"jobsim.{name}" if isinstance(error, JobsimError) else name)
            span.set_status(StatusCode.ERROR, str(error))
        span.end()


class _Attempt:
    """The span of an attempt: who comes last ends it, the handler or the news of the settlement."""

    __slots__ = ("_current", "_ended", "_event", "_lease", "_lock", "_outcome", "_span", "_spans", "headers")

    def __init__(self, spans: OpenTelemetrySpans, lease: Lease) -> None:
        self.headers = ""
        self._spans = spans
        self._lease = lease
        self._lock = threading.Lock()
        self._span: Span | None = None
        self._current = Current()
        self._outcome: Outcome | None = None
        self._ended: int | None = None
        self._event: AttemptEnded | EllipsisType | None = ...

    @property
    def returned(self) -> bool:
        """Whether the handler has ended."""
        return self._ended is not None

    def __enter__(self) -> Self:
        self._spans.safely(self._begin)
        return self

    def _begin(self) -> None:
        created = context_of(self._lease.headers)
        span = self._spans.start("process", "process", self._lease, SpanKind.CONSUMER, created, _ns(now()))
        self._span = span
        context = set_span_in_context(span, created)
        self.headers = headers_of(context)
        self._current.enter(context)

    def ended(self, outcome: Outcome) -> None:
        """Say how the handler has ended."""
        self._outcome = outcome

    def __exit__(self, *_: object) -> None:
        self._current.leave()
        with self._lock:
            self._ended = _ns(now())
            complete = self._event is not ...
        if complete:
            self._spans.safely(self._end)

    def settled(self, event: AttemptEnded | None) -> None:
        """Say how it was settled; `None` where that is not known."""
        with self._lock:
            self._event = event
            complete = self._ended is not None
        if complete:
            self._spans.safely(self._end)

    def _end(self) -> None:
        span, outcome, event = self._span, self._outcome, self._event
        if span is None:
            return
        if isinstance(outcome, Failed):
            raised = {"exception.type": outcome.error.kind, "exception.message": outcome.error.message}
            span.add_event("exception", raised, self._ended)
        if isinstance(event, AttemptEnded):
            _tell(span, event.decision, kept=event.kept)
        elif isinstance(outcome, Failed):
            span.set_attribute("error.type", outcome.error.kind)
            span.set_status(StatusCode.ERROR, outcome.error.message)
        span.end(self._ended)


def _tell(span: Span, decision: Decision, *, kept: bool) -> None:
    """Say what has become of the attempt, and of its job."""
    why = decision.why
    told: Attributes = {
        "jobsim.outcome": why.outcome,
        "jobsim.decision": decision.kind.value if kept else Kind.REFUSE.value,
        "jobsim.reason": why.reason,
    }
    if kept and decision.kind is Kind.RETRY:
        told["jobsim.retry.delay"] = decision.delay / SECOND
    if decision.kind in FAILURES:
        told["error.type"] = error_type(decision)
        span.set_status(StatusCode.ERROR, why.error)
    span.set_attributes({name: value for name, value in told.items() if value != ""})


def _ns(at: Instant) -> int:
    return at * 1_000
