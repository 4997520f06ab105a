"""The face of a live queue."""

import asyncio
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import jobsim
from jobsim.core.errors import ConfigError, KeyTaken, NotFound, PayloadError, StorageError
from jobsim.core.job import UNLIMITED, JobId, State
from jobsim.core.limits import By, Scope
from jobsim.core.policy import RetryPolicy
from jobsim.core.time import SECOND
from jobsim.queue import Queue
from jobsim.storage.memory import MemoryStorage


@pytest.fixture
def queue() -> Iterator[Queue]:
    """Return a queue in memory."""
    with Queue(MemoryStorage()) as queue:
        yield queue


def send(order_id: int, note: str = "") -> None:
    """Send."""


def test_making_a_queue_touches_nothing(tmp_path: Any) -> None:
    """The store is opened when it is needed, not when the queue is made."""
    queue = Queue(f"sqlite:///{tmp_path}/jobs.db")
    queue.job(send)
    assert list(tmp_path.iterdir()) == []
    assert repr(queue) == f"Queue('sqlite:///{tmp_path}/jobs.db')"


@pytest.mark.parametrize("url", ["jobs.db", None, Path("jobs.db")])
def test_what_is_no_url_and_no_store_is_refused(url: Any) -> None:
    """A queue needs the URL of a store, or a store."""
    with pytest.raises(ConfigError, match=r"write sqlite:///jobs\.db"):
        Queue(url)


def test_job_is_stored_with_the_terms_of_its_kind(queue: Queue) -> None:
    """Kind, queue, priority and limit come from the declaration."""
    handler = queue.job(name="mail.send", retry="river", max_attempts=3, queue="mail", priority=5)(send)
    job = queue.get(handler.enqueue(42))
    assert (job.kind, job.queue, job.priority, job.max_attempts) == ("mail.send", "mail", 5, 3)
    assert job.payload == '{"order_id":42}'
    assert job.state is State.PENDING
    assert job.run_at == job.created


def test_options_go_before_the_terms(queue: Queue) -> None:
    """What is said at enqueue is what counts for that job."""
    handler = queue.job(queue="mail", priority=5, max_attempts=3)(send)
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    job = queue.get(handler.enqueue(1, run_at=moment, priority=0, queue="slow", max_attempts=None))
    assert (job.queue, job.priority, job.max_attempts) == ("slow", 0, UNLIMITED)
    assert job.run_at == moment.timestamp() * SECOND


def test_a_delay_counts_from_now(queue: Queue) -> None:
    """`delay` is the wait between enqueue and the earliest start."""
    job = queue.get(queue.job(send).enqueue(1, delay="5m"))
    assert job.run_at - job.created == 300 * SECOND


def test_wrong_arguments_write_nothing(queue: Queue) -> None:
    """What a handler could not take is refused before anything is stored, one or many, by any way in."""
    handler = queue.job(send)
    with pytest.raises(PayloadError):
        handler.enqueue("seven")
    with pytest.raises(PayloadError):
        handler.enqueue_many([{"order_id": 1}, {"order": 2}])
    with pytest.raises(PayloadError, match="did you mean 'order_id'"):
        queue.enqueue("send", oder_id=1)
    with pytest.raises(ConfigError):
        queue.enqueue("send", order_id=1, priority=2**40)
    assert sum(queue.storage.counts().values()) == 0


def test_enqueue_many_of_none_is_none(queue: Queue) -> None:
    """No calls are no jobs."""
    assert queue.job(send).enqueue_many([]) == []


def test_ids_sort_by_time_and_never_repeat(queue: Queue) -> None:
    """Ids come in the order of enqueueing, and two queues never mint the same."""
    handler = queue.job(send)
    ids = handler.enqueue_many([{"order_id": 1}] * 100)
    more = [handler.enqueue(1) for _ in range(20)]
    other = Queue(MemoryStorage()).job(send).enqueue_many([{"order_id": 1}] * 100)
    assert len({*ids, *more, *other}) == 220
    assert len({job.key for job in (*ids, *more, *other)}) == 220
    assert max(ids) >> 64 <= min(more) >> 64


def test_jobs_can_be_enqueued_by_name(queue: Queue) -> None:
    """A process without the handler stores what it is given, under the default terms."""
    job = queue.get(queue.enqueue("elsewhere", order=1, when=datetime(2026, 1, 1, tzinfo=UTC), delay=1))
    assert job.payload == '{"order":1,"when":"2026-01-01T00:00:00Z"}'
    assert (job.queue, job.max_attempts) == ("default", RetryPolicy().max_attempts)
    assert len(queue.enqueue_many("elsewhere", [{"order": n} for n in range(3)], priority=1)) == 3
    assert queue.policy("elsewhere") == RetryPolicy()


@pytest.mark.parametrize(
    ("arguments", "error"), [({"a": object()}, PayloadError), ({"a": float("nan")}, PayloadError)]
)
def test_by_name_only_json_is_taken(queue: Queue, arguments: dict[str, Any], error: type[Exception]) -> None:
    """Without a handler to ask, what has no JSON form is still refused."""
    with pytest.raises(error, match=r"^elsewhere: "):
        queue.enqueue("elsewhere", **arguments)


def test_by_name_the_kind_must_be_one(queue: Queue) -> None:
    """A text that cannot name a kind is refused."""
    with pytest.raises(ConfigError, match="cannot name a kind"):
        queue.enqueue("no spaces please")


def test_job_is_found_by_id_or_text(queue: Queue) -> None:
    """A job is had by its id, or by what its id prints as; none, and no id, are told."""
    job = queue.job(send).enqueue(1)
    assert queue.get(job).id == queue.get(str(job)).id == job
    with pytest.raises(NotFound, match="there is no job 00000000-"):
        queue.get(JobId(7))
    for text in ("seven", 7):
        with pytest.raises(ConfigError, match=f"'{text}' is not a job id"):
            queue.get(text)  # type: ignore[arg-type]


def test_a_kind_has_one_handler(queue: Queue) -> None:
    """Two functions for one kind are a mistake; the same again is a notebook's cell, run again."""
    queue.job(send)
    again = queue.job(max_attempts=9)(send)
    assert queue.handlers["send"] is again

    def other(order_id: int) -> None: ...

    with pytest.raises(
        ConfigError, match=r"'send' is the kind of .*send already; give .*other another name="
    ):
        queue.job(name="send")(other)
    assert queue.handlers["send"] is again


def test_job_needs_no_parentheses(queue: Queue) -> None:
    """Bare or called, the decorator declares the same."""
    assert queue.job(send).kind == queue.job()(send).kind == "send"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"concurrency": 0}, "concurrency: must be a whole number, at least 1; not 0"),
        ({"concurrency": True}, "concurrency: must be"),
        ({"queues": "mail"}, "queues: 'mail' is one name"),
        ({"queues": []}, "queues: must be names, at least one"),
        ({"queues": ["a b"]}, "queue: 'a b' cannot name a queue"),
        ({"lease": "60"}, "lease: '60' has no unit"),
        ({"lease": 0}, "longer than 0s"),
        ({"poll": -1}, "poll: a duration cannot be negative"),
        ({"shutdown_timeout": "soon"}, "shutdown_timeout: 'soon' is not a duration"),
    ],
)
def test_settings_of_a_worker_are_checked(queue: Queue, settings: dict[str, Any], said: str) -> None:
    """A wrong setting is named before anything runs."""
    queue.job(send)
    with pytest.raises(ConfigError) as error:
        queue.worker(**settings)
    assert said in str(error.value)


def test_a_worker_without_handlers_is_refused(queue: Queue) -> None:
    """It would fail every job for want of a handler."""
    with pytest.raises(ConfigError, match="no handlers; import the modules"):
        queue.run_worker(burst=True)


def test_a_worker_checks_annotations_first(queue: Queue) -> None:
    """An annotation that JSON cannot give is found before a job is claimed."""

    def broken(other: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821

    queue.job(broken)
    with pytest.raises(ConfigError, match="'Nowhere' is not defined"):
        queue.worker()


def test_a_worker_serves_the_queues_of_the_handlers(queue: Queue) -> None:
    """Unless told otherwise, no queue that a handler is declared for is left unserved."""
    queue.job(queue="mail")(send)
    assert queue.worker().settings.queues == ("default", "mail")
    assert queue.worker(queues=["mail"]).settings.queues == ("mail",)


def test_a_closed_queue_says_so(queue: Queue) -> None:
    """After `close` nothing is enqueued into nowhere; closing twice is harmless."""
    handler = queue.job(send)
    queue.close()
    queue.close()
    with pytest.raises(StorageError, match="was closed"):
        handler.enqueue(1)


def test_a_unique_key_is_held_by_one_job(queue: Queue) -> None:
    """Of those enqueued under it, one waits; the caller says what becomes of the others."""
    handler = queue.job(send)
    first = handler.enqueue(1, unique_key="receipt-1")
    assert handler.enqueue(2, unique_key="receipt-1") == first
    assert queue.enqueue("other", unique_key="receipt-1", on_conflict="skip") == first
    with pytest.raises(KeyTaken, match=f"job {first} holds the unique key 'receipt-1'"):
        handler.enqueue(2, unique_key="receipt-1", on_conflict="raise")
    second = handler.enqueue(2, unique_key="receipt-1", on_conflict="replace")
    assert [queue.get(job).state for job in (first, second)] == [State.CANCELLED, State.PENDING]
    assert queue.get(second).unique_key == "receipt-1"


def test_keys_of_many_calls_come_from_their_arguments(queue: Queue) -> None:
    """Two calls of one key are one job; in a kind without a handler, too."""
    ids = queue.enqueue_many(
        "mail",
        [{"to": "a", "shop": 1}, {"to": "b", "shop": 2}, {"to": "a", "shop": 3}],
        unique_key=lambda to: f"mail-{to}",
        limit_key=lambda shop: f"shop-{shop}",
    )
    assert ids[0] == ids[2] != ids[1]
    assert [queue.get(job).limit_key for job in ids[:2]] == ["shop-1", "shop-2"]
    with pytest.raises(PayloadError, match="call 1: unique_key: its function needs 'to'"):
        queue.enqueue_many("mail", [{"to": "c"}, {"too": "d"}], unique_key=lambda to: to)
    assert sum(queue.storage.counts().values()) == 2


def test_a_declaration_may_give_the_keys(queue: Queue) -> None:
    """Keys and what a conflict means, said once for all jobs of the kind."""
    handler = queue.job(
        unique_key=lambda order_id: f"receipt-{order_id}", on_conflict="raise", limit_key=lambda note: note
    )(send)
    job = queue.get(handler.enqueue(7, "é"))
    assert (job.unique_key, job.limit_key) == ("receipt-7", "é")
    with pytest.raises(KeyTaken):
        queue.enqueue("send", order_id=7, note="other")
    assert handler.enqueue(7, "other", on_conflict="skip") == job.id


def test_batches_leave_what_they_committed(queue: Queue) -> None:
    """With `batch`, calls before the one that is wrong stay, batch by batch, and the error says how many."""
    calls = [{"order_id": 1}] * 5 + [{"order": 1}]
    with pytest.raises(PayloadError, match=r"^call 5: send: .*; the first 4 calls are enqueued, no others$"):
        queue.job(send).enqueue_many(iter(calls), batch=2)
    assert queue.storage.counts()[State.PENDING] == 4
    assert len(queue.enqueue_many("other", ({"n": n} for n in range(5)), batch=3)) == 5
    with pytest.raises(ConfigError, match="batch: must be a whole number"):
        queue.enqueue_many("other", [], batch=0)


def test_batches_of_a_long_row_of_calls_need_little_memory(tmp_path: Path) -> None:
    """Calls are streamed: neither they, nor payloads, nor jobs pile up (20 MB here) beside the ids (2 MB)."""
    with Queue(f"sqlite:///{tmp_path}/jobs.db") as queue:
        handler = queue.job(send)
        handler.enqueue(0)
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            ids = handler.enqueue_many(({"order_id": n} for n in range(30_000)), batch=1_000)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert len(ids) == 30_000
        assert peak - before < 8_000_000
        assert queue.storage.counts()[State.PENDING] == 30_001


def test_a_payload_limit_is_the_queues(queue: Queue) -> None:
    """A queue may allow less or more than others, with a handler or without."""
    small = Queue(queue.storage, payload_limit=30)
    small.job(send)
    with pytest.raises(PayloadError, match="send: as JSON this is 35 bytes long; the limit is 30"):
        small.enqueue("send", order_id=1, note="x" * 11)
    with pytest.raises(PayloadError, match=r"other: .* the limit is 30"):
        small.enqueue("other", note="x" * 30)
    assert small.enqueue("other", note="x" * 19)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"payload_limit": 0}, "payload_limit: must be a whole number of bytes"),
        ({"limits": 5}, "limits: write"),
        ({"limits": {"a b": jobsim.Limit(running=1)}}, "cannot name a queue"),
        ({"limits": {"mail": 2}}, r"limits: mail: write jobsim\.Limit\(running=5\), not 2"),
        ({"retention": "7d"}, "retention: write"),
        ({"retention": {"pending": "7d"}}, "'pending' is no state in which jobs end; those are succeeded"),
        ({"retention": {"suceeded": "7d"}}, r"did you mean 'succeeded'\?"),
        ({"retention": {"succeeded": "7"}}, "retention: succeeded: '7' has no unit"),
    ],
)
def test_settings_of_a_queue_are_checked(settings: dict[str, Any], said: str) -> None:
    """A wrong setting is named where the queue is made."""
    with pytest.raises(ConfigError, match=said):
        Queue(MemoryStorage(), **settings)


def test_a_misspelt_setting_of_a_handler_is_told(queue: Queue) -> None:
    """A setting that there is not is refused with what could be meant."""
    with pytest.raises(ConfigError, match=r"no setting 'max_atempts' \(did you mean 'max_attempts'\?\)"):
        queue.job(max_atempts=3)  # type: ignore[call-overload]  # the mistake


@pytest.mark.live
def test_a_worker_puts_limits_in_force() -> None:
    """Those of its kinds, also that they have none any more, and those said of its queues; no others."""
    store = MemoryStorage()
    rate = jobsim.Limit(rate=jobsim.Rate(100, per="1m"))
    before = {Scope(By.KIND, "send"): rate, Scope(By.KIND, "x"): rate, Scope(By.QUEUE, "default"): rate}
    store.set_limits(before)
    queue = Queue(store, limits={"mail": jobsim.Limit(running=2), "other": rate})
    queue.job(queue="mail")(send)
    queue.job(name="two", limit=jobsim.Limit(running=1, running_per_key=1))(send)
    assert store.limits() == before
    queue.run_worker(burst=True)
    del before[Scope(By.KIND, "send")]
    assert store.limits() == before | {
        Scope(By.KIND, "two"): jobsim.Limit(running=1, running_per_key=1),
        Scope(By.QUEUE, "mail"): jobsim.Limit(running=2),
    }


@pytest.mark.live
def test_a_limit_holds(queue: Queue) -> None:
    """Of a kind that may run once at a time, no two run together; each runs in the end."""
    together, most = 0, 0

    @queue.job(limit=jobsim.Limit(running=1))
    async def alone() -> None:
        nonlocal together, most
        together += 1
        most = max(most, together)
        await asyncio.sleep(0.001)  # noqa: TID251  # a handler's own
        together -= 1

    alone.enqueue_many([{}] * 20)
    queue.run_worker(burst=True, concurrency=8)
    assert most == 1
    assert queue.storage.counts()[State.SUCCEEDED] == 20


@pytest.mark.live
def test_a_burst_runs_all_that_is_due(queue: Queue) -> None:
    """A burst ends by itself: what is due has run, sync and async, what is not is left."""
    seen: list[int] = []

    @queue.job(keep_result=True)
    def twice(number: int) -> int:
        seen.append(number)
        return 2 * number

    @queue.job
    async def later(number: int) -> None:
        seen.append(number)

    first = twice.enqueue(1)
    later.enqueue(2)
    waits = twice.enqueue(3, delay="1h")
    queue.run_worker(burst=True)
    assert sorted(seen) == [1, 2]
    assert queue.get(first).result == "2"
    assert queue.get(waits).state is State.PENDING


@pytest.mark.live
def test_the_policy_of_the_handler_decides(queue: Queue) -> None:
    """A failing job is retried as its policy says, and ends as a dead letter; others go on."""
    runs: list[int] = []

    @queue.job(retry=jobsim.NoBackoff(), max_attempts=3)
    def fails() -> None:
        runs.append(1)
        raise SystemExit("no")

    @queue.job(retry=RetryPolicy(dead_letter_on=[ValueError]))
    def hopeless() -> None:
        raise ValueError

    job, other, unknown = fails.enqueue(), hopeless.enqueue(), queue.enqueue("unknown", max_attempts=1)
    queue.run_worker(burst=True)
    assert len(runs) == 3
    assert queue.get(job).state is State.DEAD_LETTER
    assert queue.get(job).last_error == "SystemExit: no"
    assert (queue.get(other).attempt, queue.get(other).state) == (1, State.DEAD_LETTER)
    assert queue.get(unknown).last_error == "jobsim.UnknownKind: this worker has no handler for 'unknown'"


@pytest.mark.live
def test_a_handler_may_enqueue(queue: Queue) -> None:
    """A handler's own jobs are taken up by the same burst."""

    @queue.job
    def count(left: int) -> None:
        if left:
            count.enqueue(left - 1)

    count.enqueue(3)
    queue.run_worker(burst=True)
    assert queue.storage.counts()[State.SUCCEEDED] == 4
