"""Traces by OpenTelemetry: from who enqueues a job to each of its attempts, in whichever process."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

import jobsim
from jobsim.core.decide import LOST, Decision, Why
from jobsim.core.errors import ConfigError, PayloadError
from jobsim.core.job import JobId, Lease, NewJob, State, WorkerId
from jobsim.core.outcome import SUCCEEDED
from jobsim.core.time import SECOND, Instant
from jobsim.core.transitions import Kind
from jobsim.live.observed import observed
from jobsim.live.otel_spans import OpenTelemetrySpans
from jobsim.live.telemetry import AttemptEnded, Telemetry
from jobsim.worker.schedule import enqueue_tick
from tests.core.values import LEASE
from tests.worker.stage import Stage

NO_WAIT = jobsim.RetryPolicy(backoff=jobsim.Fixed("0s"), max_attempts=2)


class Spans:
    """A provider, and what was recorded with it."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def named(self, name: str) -> list[ReadableSpan]:
        found = self._exporter.get_finished_spans()
        return sorted((span for span in found if span.name == name), key=lambda span: span.start_time or 0)

    def one(self, name: str) -> ReadableSpan:
        [span] = self.named(name)
        return span


@pytest.fixture
def spans() -> Spans:
    return Spans()


@pytest.fixture
def queue(spans: Spans) -> jobsim.Queue:
    queue = jobsim.Queue("sqlite://")
    queue.trace(spans.provider)
    return queue


def about(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def place(span: ReadableSpan | trace.Span) -> tuple[int, int]:
    context = span.get_span_context()
    assert context is not None
    return context.trace_id, context.span_id


def parent(span: ReadableSpan) -> tuple[int, int]:
    assert span.parent is not None
    return span.parent.trace_id, span.parent.span_id


def links(span: ReadableSpan) -> list[tuple[int, int]]:
    return [(link.context.trace_id, link.context.span_id) for link in span.links]


def test_attempt_is_a_child_of_its_enqueue_and_linked_to_it(queue: jobsim.Queue, spans: Spans) -> None:
    """The trace leads from the caller to the enqueue, and from there to the handler and what it does."""
    tracer = spans.provider.get_tracer("app")

    @queue.job
    def work() -> None:
        with tracer.start_as_current_span("inside"):
            pass

    with tracer.start_as_current_span("request") as request:
        job = work.enqueue()
    queue.run_worker(burst=True)
    sent, done = spans.one("enqueue default"), spans.one("process default")
    assert (parent(sent), parent(done), links(done)) == (place(request), place(sent), [place(sent)])
    assert parent(spans.one("inside")) == place(done)
    assert (sent.kind, done.kind) == (SpanKind.PRODUCER, SpanKind.CONSUMER)
    same = {"messaging.system": "jobsim", "messaging.destination.name": "default", "jobsim.job.kind": "work"}
    assert about(sent) == same | {
        "messaging.operation.name": "enqueue",
        "messaging.operation.type": "send",
        "messaging.message.id": str(job),
    }
    assert about(done) == same | {
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.message.id": str(job),
        "messaging.client.id": about(done)["messaging.client.id"],
        "jobsim.job.attempt": 1,
        "jobsim.job.max_attempts": 5,
        "jobsim.outcome": "succeeded",
        "jobsim.decision": "succeed",
    }
    assert done.status.status_code is StatusCode.UNSET
    queue.close()


def test_calls_of_one_enqueue_share_a_span(queue: jobsim.Queue, spans: Spans) -> None:
    """A batch is sent by one span, which says how many there are; it is the parent of all their attempts."""

    @queue.job
    async def work(number: int) -> None:
        assert place(trace.get_current_span()) != (0, 0), number

    work.enqueue_many([{"number": 1}, {"number": 2}])
    queue.run_worker(burst=True)
    sent = spans.one("enqueue default")
    assert about(sent)["messaging.batch.message_count"] == 2
    done = spans.named("process default")
    assert [parent(each) for each in done] == [place(sent)] * 2
    assert {about(each)["jobsim.outcome"] for each in done} == {"succeeded"}
    queue.close()


def test_spans_of_failures_say_what_becomes_of_the_job(queue: jobsim.Queue, spans: Spans) -> None:
    """Each try has a span of its own, with the error, and whether it is tried again or given up."""

    @queue.job(retry=NO_WAIT)
    def work() -> None:
        raise TimeoutError("slow")

    work.enqueue()
    queue.run_worker(burst=True)
    first, last = spans.named("process default")
    for number, span in enumerate((first, last), 1):
        assert (about(span)["jobsim.job.attempt"], about(span)["error.type"]) == (number, "TimeoutError")
        assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "TimeoutError: slow")
        assert [event.name for event in span.events] == ["exception"]
    assert (about(first)["jobsim.decision"], about(first)["jobsim.retry.delay"]) == ("retry", 0)
    assert (about(last)["jobsim.decision"], about(last)["jobsim.reason"]) == ("dead_letter", "exhausted")
    assert place(first)[0] == place(last)[0]
    queue.close()


def test_snoozed_attempt_is_no_error(queue: jobsim.Queue, spans: Spans) -> None:
    """What ends without an error has none in its span."""

    @queue.job
    def work() -> None:
        raise jobsim.Snooze("1h")

    work.enqueue()
    queue.run_worker(burst=True)
    done = spans.one("process default")
    assert (about(done)["jobsim.outcome"], done.status.status_code) == ("snoozed", StatusCode.UNSET)
    queue.close()


def test_enqueue_that_fails_says_so_in_its_span(queue: jobsim.Queue, spans: Spans) -> None:
    """The caller gets the error as ever."""
    queue.enqueue("work", unique_key="one")
    with pytest.raises(jobsim.KeyTaken):
        queue.enqueue("work", unique_key="one", on_conflict="raise")
    _, failed = spans.named("enqueue default")
    assert (about(failed)["error.type"], failed.status.status_code) == ("jobsim.KeyTaken", StatusCode.ERROR)
    with pytest.raises(PayloadError):
        queue.enqueue("work", what=object())
    queue.close()


def ended(lease: Lease, outcome: str, *, kept: bool = True) -> AttemptEnded:
    decision = Decision(Kind.RETRY, Why(outcome, "backoff", "jobsim.Lost: gone"), Instant(9 * SECOND))
    return AttemptEnded(Instant(8 * SECOND), WorkerId("reaper"), lease, decision, None, kept)


def test_lost_attempt_is_seen_in_the_trace(spans: Spans) -> None:
    """Who brings the job of a dead worker back records that; who was only slower does not."""
    tracer = OpenTelemetrySpans(spans.provider)
    with tracer.sending("send", "default", 1) as sending:
        lease = LEASE._replace(headers=sending.headers)
    tracer(ended(lease, LOST, kept=False))
    tracer(ended(lease, LOST))
    lost = spans.one("settle default")
    assert (parent(lost), about(lost)["error.type"]) == (place(spans.one("enqueue default")), "jobsim.Lost")
    assert lost.start_time == lost.end_time == 8_000_000_000


def test_handler_that_overruns_its_time_ends_its_span_when_it_returns(spans: Spans) -> None:
    """The span lasts as long as the handler, and says how the attempt had ended before."""
    tracer = OpenTelemetrySpans(spans.provider)
    with tracer.attempting(LEASE) as attempt:
        tracer(ended(LEASE, "timed_out"))
        assert spans.named("process default") == []
        attempt.ended(SUCCEEDED)
    assert about(spans.one("process default"))["jobsim.outcome"] == "timed_out"


def test_attempt_without_news_of_its_settlement_is_recorded_in_the_end(
    spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events that were lost cost what they would have said, not the span; few are waited for at a time."""
    monkeypatch.setattr("jobsim.live.otel_spans.UNSETTLED", 10)
    tracer = OpenTelemetrySpans(spans.provider)
    for token in range(15):
        with tracer.attempting(LEASE._replace(token=token)):
            pass
    assert len(spans.named("process default")) >= 4
    with tracer.attempting(LEASE._replace(token=99)):
        tracer.finish()
        assert len(spans.named("process default")) == 15
    tracer.finish()
    assert len(spans.named("process default")) == 16


@pytest.mark.parametrize("headers", ["{", "[]", '{"traceparent": 1}', '{"traceparent": "00-x"}', "[" * 9_999])
def test_headers_that_mean_nothing_cost_nothing(spans: Spans, headers: str) -> None:
    """An attempt whose headers nobody understands begins a trace of its own."""
    tracer = OpenTelemetrySpans(spans.provider)
    lease = LEASE._replace(headers=headers)
    with tracer.attempting(lease):
        pass
    tracer(ended(lease, "failed"))
    found = spans.named("process default")
    assert [span.parent for span in found] == [None] * len(found)


class Broken(SpanProcessor):
    """Raises whatever it is told."""

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        raise OSError("no collector")

    def on_end(self, span: ReadableSpan) -> None:
        raise OSError("no collector")


class Refusing(SpanExporter):
    """Cannot export."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        raise OSError("no collector")


@pytest.mark.parametrize("processor", [Broken(), SimpleSpanProcessor(Refusing())], ids=["broken", "refusing"])
def test_tracing_that_fails_harms_no_job(processor: SpanProcessor, caplog: pytest.LogCaptureFixture) -> None:
    """Jobs are enqueued and run as without; that there are no spans is logged."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    queue = jobsim.Queue("sqlite://")
    queue.trace(provider)

    @queue.job
    def work() -> None:
        pass

    jobs = [work.enqueue() for _ in range(3)]
    queue.run_worker(burst=True)
    assert {queue.get(job).state for job in jobs} == {State.SUCCEEDED}
    assert [r for r in caplog.records if "span" in r.getMessage().lower()]
    queue.close()


def test_rehearsal_records_the_spans_that_workers_would(queue: jobsim.Queue, spans: Spans) -> None:
    """Each attempt is in the trace of its enqueue, and says what became of the job, sync or async."""
    tracer = spans.provider.get_tracer("app")

    @queue.job(retry=NO_WAIT)
    def work() -> None:
        with tracer.start_as_current_span("inside"):
            raise TimeoutError("slow")

    @queue.job
    async def later() -> None:
        with tracer.start_as_current_span("inside later"):
            pass

    with queue.testing() as app:
        work.enqueue()
        app.drain()
        sent, done = spans.one("enqueue default"), spans.named("process default")
        assert [parent(each) for each in done] == [place(sent)] * 2
        assert [about(each)["jobsim.decision"] for each in done] == ["retry", "dead_letter"]
        assert [parent(each) for each in spans.named("inside")] == [place(each) for each in done]
        later.enqueue()
        app.drain()
        assert parent(spans.one("inside later")) == place(spans.named("process default")[-1])
    queue.close()


def test_tick_of_a_schedule_begins_a_trace(queue: jobsim.Queue, spans: Spans) -> None:
    """One span for each tick that was enqueued, and none where the tick was left out."""

    @queue.periodic(every="1h", unique_key="one")
    @queue.job
    def work() -> None:
        pass

    with queue.testing() as app:
        app.advance("1h")
        sent, done = spans.one("enqueue default"), spans.one("process default")
        assert (parent(done), about(sent)["messaging.message.id"]) == (place(sent), str(app.jobs[0].id))
        waiting = work.enqueue(delay="2h", unique_key="one")
        app.advance("1h")
        assert [about(each)["messaging.message.id"] for each in spans.named("enqueue default")] == [
            str(app.jobs[0].id),
            str(waiting),
        ]
    queue.close()


@pytest.mark.live
def test_worker_records_the_ticks_that_it_enqueues(queue: jobsim.Queue, spans: Spans) -> None:
    """The tick of the last hour, which it makes up for as it starts, is the parent of its attempt."""
    ran = threading.Semaphore(0)

    @queue.periodic(every="1h", catch_up="1h")
    @queue.job
    def work() -> None:
        ran.release()

    worker = queue.worker().start()
    assert ran.acquire(timeout=60)
    worker.stop()
    assert worker.wait(60)
    assert parent(spans.named("process default")[0]) == place(spans.named("enqueue default")[0])
    queue.close()


def test_tick_is_recorded_by_the_worker_that_enqueued_it(spans: Spans) -> None:
    """A worker that comes to a tick of another records nothing of it."""
    stage, spans_of = Stage({}), OpenTelemetrySpans(spans.provider)
    engines = [
        observed(stage.store, stage.executor, WorkerId(name), Telemetry(), stage.here.now, spans_of)
        for name in ("first", "second")
    ]
    tick = NewJob(JobId(1), "work", stage.here.now())
    assert [enqueue_tick(store.enqueue, tick, stage.here.now()) for store, _ in engines] == [True, False]
    assert about(spans.one("enqueue default"))["messaging.message.id"] == str(tick.id)
    [job] = stage.store.find()
    assert job.id == tick.id


def test_untraced_worker_runs_traced_jobs(queue: jobsim.Queue, spans: Spans) -> None:
    """Headers are there for who wants them, and in nobody's way; a queue is traced once."""

    @queue.job
    def work() -> None:
        assert not trace.get_current_span().get_span_context().is_valid

    job = work.enqueue()
    assert json.loads(queue.get(job).headers)["traceparent"].startswith("00-")
    plain = jobsim.Queue(queue.storage)
    plain.job(work.fn)
    plain.run_worker(burst=True)
    assert queue.get(job).state is State.SUCCEEDED
    assert spans.named("process default") == []
    with pytest.raises(ConfigError, match="traced already"):
        queue.trace(spans.provider)
    queue.close()


def test_queue_that_is_not_traced_gives_jobs_no_headers() -> None:
    """Nothing is stored for what nobody asked for."""
    queue = jobsim.Queue("sqlite://")
    assert queue.get(queue.enqueue("work")).headers == ""
    queue.close()


APP = """
import os
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
import jobsim

out = open(f"spans-{os.getpid()}.jsonl", "a", buffering=1)
exporter = ConsoleSpanExporter(out=out, formatter=lambda span: span.to_json(indent=None) + "\\n")
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
queue = jobsim.Queue("sqlite:///jobs.db")
queue.trace()


@queue.job(retry=jobsim.RetryPolicy(backoff=jobsim.Fixed("0s"), max_attempts=2))
def work() -> None:
    if "LAST" not in os.environ:
        queue.stop_worker()
        raise OSError("not here")
    apart.enqueue()


@queue.job(isolation="process")
def apart() -> None:
    with trace.get_tracer("app").start_as_current_span("inside"):
        pass
"""


@pytest.mark.live
def test_workers_in_several_processes_record_one_trace(tmp_path: Path, spans: Spans) -> None:
    """A job that fails in one process and succeeds in another, and what it enqueues, are in one trace."""
    (tmp_path / "tracedapp.py").write_text(APP)
    queue = jobsim.Queue(f"sqlite:///{tmp_path}/jobs.db")
    queue.trace(spans.provider)
    job = queue.enqueue("work")
    queue.close()
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for more in ({}, {"LAST": "1"}):
        command = [sys.executable, "-m", "jobsim", "worker", "tracedapp:queue", "--burst", "--concurrency=1"]
        subprocess.run(command, cwd=tmp_path, env=env | more, check=True, capture_output=True)
    files = list(tmp_path.glob("spans-*.jsonl"))
    found = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    sent = spans.one("enqueue default")
    assert {each["context"]["trace_id"] for each in found} == {f"0x{place(sent)[0]:032x}"}
    by = {(each["name"], each["attributes"].get("jobsim.job.attempt")): each for each in found}
    attempts = [each for each in found if each["attributes"].get("messaging.message.id") == str(job)]
    assert sorted(each["attributes"]["jobsim.job.attempt"] for each in attempts) == [1, 2]
    assert {each["parent_id"] for each in attempts} == {f"0x{place(sent)[1]:016x}"}
    assert len({each["attributes"]["messaging.client.id"] for each in attempts}) == 2
    [again] = [each for each in found if each["name"] == "enqueue default"]
    assert again["parent_id"] == by["process default", 2]["context"]["span_id"]
    [apart] = [each for each in found if each["parent_id"] == again["context"]["span_id"]]
    [inside] = [each for each in found if each["name"] == "inside"]
    assert inside["parent_id"] == apart["context"]["span_id"]
    assert len(files) == 3
    assert JobId.parse(apart["attributes"]["messaging.message.id"]) > job
