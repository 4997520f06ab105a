"""The tables say what the events say, for every log."""

import math
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobsim.analysis import frames
from jobsim.core.decide import Why
from jobsim.core.events import Event, EventLog, fold
from jobsim.core.job import UNLIMITED, JobId, State, WorkerId
from jobsim.core.time import SECOND, Instant
from jobsim.core.transitions import TRANSITIONS, Kind

TABLES = [frames.events, frames.attempts, frames.jobs]
ENDS = {Kind.SUCCEED, Kind.RETRY, Kind.DEAD_LETTER, Kind.RELEASE, Kind.CANCEL}


@st.composite
def logs(draw: st.DrawFn) -> list[Event]:
    """Events of a few jobs, each walking the transition table, in one interleaved log."""
    state: dict[int, State | None] = dict.fromkeys(range(draw(st.integers(0, 4))))
    limit = {job: draw(st.sampled_from([5, UNLIMITED])) for job in state}
    attempt, token = dict.fromkeys(state, 0), dict.fromkeys(state, 0)
    events: list[Event] = []
    now = draw(st.integers(0, 2 * SECOND))
    for _ in range(draw(st.integers(0, 25)) if state else 0):
        job = draw(st.sampled_from(sorted(state)))
        kinds = [kind for (source, kind) in TRANSITIONS if source is state[job]]
        if not kinds:
            continue
        kind = draw(st.sampled_from(kinds))
        now += draw(st.integers(0, SECOND))
        attempt[job] += {Kind.CLAIM: 1, Kind.RELEASE: -1}.get(kind, 0)
        token[job] += kind is Kind.CLAIM
        state[job] = TRANSITIONS[state[job], kind]
        due = None if kind in ENDS - {Kind.RETRY, Kind.RELEASE} else Instant(now + draw(st.integers(0, 9)))
        events.append(
            Event(
                len(events) + 1,
                Instant(now),
                JobId(job),
                kind,
                attempt[job],
                limit[job],
                token[job],
                WorkerId("w") if kind is Kind.CLAIM else None,
                due,
                Why(*draw(st.sampled_from([("failed", "x", "y"), ("lost", "", ""), ("", "", "")]))),
            )
        )
    return events


@settings(max_examples=150)
@given(logs())
def test_jobs_agree_with_the_fold(events: list[Event]) -> None:
    """The table of jobs has each job in the state, and finished at the time, that the fold finds."""
    table = frames.jobs(EventLog.of(events), Instant(0)).set_index("job")
    found = fold(events)
    assert list(table.index) == [str(job) for job in dict.fromkeys(e.job for e in events)]
    for job, standing in found.items():
        row = table.loc[str(job)]
        assert row["state"] == standing.state.value
        assert row["attempts"] == standing.token
        assert _same(row["finished_s"], standing.finished)
        limit = standing.max_attempts
        assert row["max_attempts"] == (math.inf if limit == UNLIMITED else limit)


@settings(max_examples=150)
@given(logs())
def test_attempts_agree_with_a_walk_over_the_events(events: list[Event]) -> None:
    """There is a row a claim, in their order, ended by the job's next move."""
    table = frames.attempts(EventLog.of(events), Instant(0))
    expected = []
    for claim in (e for e in events if e.kind is Kind.CLAIM):
        later = [e for e in events if e.job == claim.job and e.seq > claim.seq and e.kind in ENDS]
        expected.append((claim, later[0] if later else None))
    assert len(table) == len(expected)
    for row, (claim, end) in zip(table.to_dict("records"), expected, strict=True):
        assert (row["job"], row["attempt"], row["token"]) == (str(claim.job), claim.attempt, claim.token)
        assert _same(row["started_s"], claim.at)
        assert _same(row["finished_s"], end.at if end else None)
        assert row["outcome"] == _outcome(end)
        assert _same(row["retry_delay_s"], end.due - end.at if end and end.due is not None else None)


def _same(seconds: Any, micros: int | None) -> bool:
    return math.isnan(seconds) if micros is None else seconds == pytest.approx(micros / SECOND)


def _outcome(end: Event | None) -> str:
    if end is None:
        return "running"
    told = {Kind.SUCCEED: "succeeded", Kind.CANCEL: "cancelled"}.get(end.kind, end.why.outcome)
    return told or ("released" if end.kind is Kind.RELEASE else "failed")


@pytest.mark.parametrize("table", TABLES)
def test_frames_have_the_same_columns_and_dtypes_for_every_log(table: Any, story: Any) -> None:
    """An empty log and a full one give tables of the same columns and dtypes."""
    story.enqueue(1, 0)
    story.claim(1, 1)
    story.retry(1, 2, due=5)
    pd.testing.assert_series_equal(table(EventLog()).dtypes, table(story.log).dtypes)


@pytest.mark.parametrize("table", TABLES)
def test_frames_name_their_columns(table: Any) -> None:
    """Each column of a table is described in the docstring of the function that makes it."""
    assert [c for c in table(EventLog()).columns if f"`{c}`" not in table.__doc__] == []


def test_events_count_seconds_from_the_first_moment(story: Any, began: Instant) -> None:
    """Times are seconds since `began`, which is the first event's where it is not given."""
    story.enqueue(1, 10)
    story.claim(1, 12.5)
    assert frames.events(story.log, began)["at_s"].tolist() == [10.0, 12.5]
    assert frames.events(story.log)["at_s"].tolist() == [0.0, 2.5]
    assert frames.events(story.log)["due_s"].tolist() == [0.0, 62.5]


def test_events_tell_the_kind_of_job_apart_from_the_reason(story: Any) -> None:
    """Every event carries its job's kind; the reason of an enqueue is none."""
    story.enqueue(1, 0, kind="refund")
    story.claim(1, 1)
    story.bury(1, 2, reason="not_retryable")
    table = frames.events(story.log)
    assert table["kind"].tolist() == ["refund"] * 3
    assert table["reason"].isna().tolist() == [True, True, False]
    assert table["reason"].iloc[2] == "not_retryable"
    assert table["event"].tolist() == ["enqueue", "claim", "dead_letter"]


def test_frames_of_a_store_come_from_its_events(story: Any) -> None:
    """A log rebuilt from events, as a live store yields them, gives the same tables."""
    story.done(1, 0, latency=3)
    story.done(2, 1, latency=4, kind="refund")
    for table in TABLES:
        pd.testing.assert_frame_equal(table(EventLog.of(iter(story.log))), table(story.log))


def test_attempts_of_a_lost_worker_end_when_the_loss_is_noticed(story: Any) -> None:
    """A lost attempt has the outcome lost, the delay of its retry, and ends at the settlement."""
    story.enqueue(1, 0)
    story.claim(1, 0)
    story.extend(1, 20)
    story.retry(1, 80, due=83.5, outcome="lost")
    [row] = frames.attempts(story.log).to_dict("records")
    assert (row["outcome"], row["duration_s"], row["retry_delay_s"]) == ("lost", 80.0, 3.5)


def test_jobs_keep_their_creation_over_a_requeue(story: Any) -> None:
    """The latency of a requeued job counts from its first enqueue, and nothing of the burial stays."""
    story.enqueue(1, 0)
    story.claim(1, 1)
    story.bury(1, 2)
    assert frames.jobs(story.log)["reason"].tolist() == ["exhausted"]
    story.requeue(1, 50)
    story.claim(1, 51)
    story.succeed(1, 52)
    [row] = frames.jobs(story.log).to_dict("records")
    assert (row["state"], row["latency_s"], row["wait_s"], row["attempts"]) == ("succeeded", 52.0, 1.0, 2)
    assert pd.isna(row["reason"])
    assert pd.isna(row["error"])


def test_jobs_have_a_latency_only_where_they_succeeded(story: Any) -> None:
    """A dead letter and a job under way have none."""
    story.done(1, 0, latency=2)
    story.enqueue(2, 0)
    story.claim(2, 0)
    story.bury(2, 3)
    story.enqueue(3, 0)
    assert frames.jobs(story.log)["latency_s"].isna().tolist() == [False, True, True]
    assert frames.jobs(story.log)["finished_s"].isna().tolist() == [False, False, True]


def test_log_can_grow_after_it_was_read(story: Any) -> None:
    """Reading a log leaves it free to take more events."""
    story.done(1, 0, latency=2)
    log = story.log
    before = frames.events(log)
    log.append(0, -1, 0, 1, 5, 1, 0, 0, 0)
    assert len(frames.events(log)) == len(before) + 1


def test_states_after_a_kind_do_not_depend_on_the_state_before() -> None:
    """The transition table names one target for each kind, which the decoding relies on."""
    targets: dict[Kind, set[State]] = {}
    for (_, kind), target in TRANSITIONS.items():
        targets.setdefault(kind, set()).add(target)
    assert {kind for kind, found in targets.items() if len(found) > 1} == set()
