import logging
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsim.core.backoff import Backoff, Exponential, Fixed
from jobsim.core.decide import REPLACED, Decision, Why, decide, for_replaced
from jobsim.core.job import UNLIMITED, Lease, State
from jobsim.core.outcome import (
    SUCCEEDED,
    Cancelled,
    Error,
    Failed,
    Lost,
    Outcome,
    Released,
    Snoozed,
    Succeeded,
    TimedOut,
)
from jobsim.core.policy import DEFAULT_BACKOFF, RetryPolicy
from jobsim.core.streams import Stream
from jobsim.core.time import MAX_DURATION, SECOND, Duration, Instant, duration
from jobsim.core.transitions import TRANSITIONS, Kind
from tests.core.values import LEASE, NOW, durations, policies

POLICY = RetryPolicy(Fixed("30s"))
BOOM = Error.of(ValueError("boom"))
LAST = LEASE._replace(attempt=5)


def after(seconds: float) -> Instant:
    return Instant(NOW + round(seconds * SECOND))


def decided(outcome: Outcome, policy: RetryPolicy = POLICY, lease: Lease = LEASE) -> Decision:
    return decide(lease, outcome, policy, NOW, Stream(1))


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (SUCCEEDED, Decision(Kind.SUCCEED, Why("succeeded"))),
        (Succeeded("[1]"), Decision(Kind.SUCCEED, Why("succeeded"), result="[1]")),
        (
            Failed(BOOM),
            Decision(Kind.RETRY, Why("failed", "backoff", "ValueError: boom"), after(30), duration("30s")),
        ),
        (
            TimedOut(duration("5s")),
            Decision(
                Kind.RETRY,
                Why("timed_out", "backoff", "jobsim.TimedOut: ran longer than 5s"),
                after(30),
                duration("30s"),
            ),
        ),
        (
            Lost(),
            Decision(
                Kind.RETRY,
                Why("lost", "backoff", "jobsim.Lost: the lease ended without a settlement"),
                after(30),
                duration("30s"),
            ),
        ),
        (Released(), Decision(Kind.RELEASE, Why("released", "shutdown"), NOW)),
        (Snoozed(duration("9s")), Decision(Kind.RELEASE, Why("snoozed"), after(9))),
        (Cancelled("obsolete"), Decision(Kind.CANCEL, Why("cancelled", "handler", "obsolete"))),
    ],
    ids=lambda value: type(value).__name__,
)
def test_decide_answers_every_outcome(outcome: Outcome, expected: Decision) -> None:
    """Each outcome of a first attempt has its transition, its reason and its next start."""
    assert decided(outcome) == expected


@pytest.mark.parametrize("outcome", [Failed(BOOM), TimedOut(duration("5s")), Lost()], ids=repr)
def test_decide_buries_the_last_attempt(outcome: Outcome) -> None:
    """Whatever ended it, no attempt follows the last one of the budget."""
    decision = decided(outcome, lease=LAST)
    assert decision.kind is Kind.DEAD_LETTER
    assert decision.why.reason == "exhausted"
    assert decision.due is None


def test_decide_counts_attempts_by_the_lease_not_by_the_policy() -> None:
    """A job's own limit goes before its policy's."""
    assert decided(Failed(BOOM), RetryPolicy(max_attempts=99), LAST).kind is Kind.DEAD_LETTER
    assert decided(Failed(BOOM), RetryPolicy(max_attempts=1)).kind is Kind.RETRY


def test_decide_backs_off_anew_after_a_requeue() -> None:
    """A requeued job keeps its attempts, but its delays start again from the first."""
    again = LEASE._replace(attempt=6, max_attempts=10, budget=5)
    decision = decided(Failed(BOOM), RetryPolicy(Exponential("1s")), again)
    assert again.tries == 1
    assert decision.delay == 1 * SECOND


@pytest.mark.parametrize(
    "policy", [RetryPolicy(dead_letter_on=ValueError), RetryPolicy(retry_on=OSError)], ids=repr
)
def test_decide_buries_what_no_retry_can_mend(policy: RetryPolicy) -> None:
    """An error the policy does not retry ends the job at once, with that reason, attempts left or not."""
    for lease in (LEASE, LAST):
        decision = decided(Failed(BOOM), policy, lease)
        assert decision.kind is Kind.DEAD_LETTER
        assert decision.why == Why("failed", "not_retryable", "ValueError: boom")


def test_decide_buries_what_its_handler_discards() -> None:
    """A final failure ends the job at once, whatever the policy says, attempts left or not."""
    for lease in (LEASE, LAST):
        decision = decided(Failed(BOOM, final=True), RetryPolicy(retry_on=ValueError), lease)
        assert decision.kind is Kind.DEAD_LETTER
        assert decision.why == Why("failed", "discarded", "ValueError: boom")


def test_decide_retries_a_lost_worker_whatever_errors_are_listed() -> None:
    """A lost worker is not the handler's error, so no list of errors applies to it."""
    policy = RetryPolicy(retry_on=OSError, dead_letter_on="jobsim.Lost")
    assert decided(Lost(), policy).kind is Kind.RETRY


def test_decide_treats_a_timeout_as_a_timeout_error() -> None:
    """Lists of errors may name it as jobsim's or as Python's."""
    timed_out = TimedOut(duration("5s"))
    for name in ("jobsim.TimedOut", "TimeoutError"):
        assert decided(timed_out, RetryPolicy(dead_letter_on=name)).kind is Kind.DEAD_LETTER
    assert decided(timed_out, RetryPolicy(dead_letter_on=ValueError)).kind is Kind.RETRY


@pytest.mark.parametrize(
    ("max_age", "kind"), [("40s", Kind.RETRY), ("39.999999s", Kind.DEAD_LETTER), ("0s", Kind.DEAD_LETTER)]
)
def test_decide_buries_a_job_whose_retry_would_come_too_late(max_age: str, kind: Kind) -> None:
    """Age is from the enqueue, here 10 s ago, to the next start, here in 30 s; the limit itself is fine."""
    decision = decided(Failed(BOOM), RetryPolicy(Fixed("30s"), max_age=max_age))
    assert decision.kind is kind
    assert decision.why.reason == ("backoff" if kind is Kind.RETRY else "too_old")


@pytest.mark.parametrize(("wanted", "delay"), [("5s", "30s"), ("30s", "30s"), ("10m", "10m")])
def test_decide_never_shortens_a_retry_after(wanted: str, delay: str) -> None:
    """The longer of the error's wait and the backoff counts, beyond the backoff's cap too."""
    decision = decided(Failed(BOOM, retry_after=duration(wanted)), RetryPolicy(Fixed("30s", cap="1m")))
    assert decision.delay == duration(delay)
    assert decision.due == NOW + decision.delay


def test_decide_keeps_the_last_delay_through_release_and_snooze() -> None:
    """An attempt given back leaves no trace in what the next backoff starts from."""
    lease = LEASE._replace(delay=duration("7s"))
    assert decided(Released(), lease=lease).delay == duration("7s")
    assert decided(Snoozed(duration("1h")), lease=lease).delay == duration("7s")


@dataclass(frozen=True)
class Broken:
    """A backoff of a user's own that raises, or returns whatever it was given."""

    returns: object = None
    raises: type[Exception] | None = None

    def delay(self, attempt: int, previous: Duration, random: Stream) -> Duration:
        if self.raises is not None:
            raise self.raises("secret")
        return self.returns  # type: ignore[return-value]

    def __repr__(self) -> str:
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("backoff", "flaw"),
    [
        (Broken(raises=KeyError), "raised KeyError"),
        (Broken(raises=RecursionError), "raised RecursionError"),
        (Broken(None), "returned a NoneType"),
        (Broken("5s"), "returned a str"),
        (Broken(5.0), "returned a float"),
        (Broken(5), "returned 5 us"),
        (Broken(True), "returned 1 us"),
        (Broken(Duration(-1)), "returned -1 us"),
        (Broken(Duration(MAX_DURATION + 1)), f"returned {MAX_DURATION + 1} us"),
    ],
    ids=["raises", "recurses", "None", "text", "float", "int", "bool", "negative", "too long"],
)
def test_decide_replaces_a_broken_backoff_and_says_so(
    backoff: Backoff, flaw: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It falls back to the default delay, in the event's reason and in the log with the job's id."""
    with caplog.at_level(logging.WARNING, "jobsim.decide"):
        decision = decide(LEASE, Failed(BOOM), RetryPolicy(backoff), NOW, Stream(1))
    assert decision.kind is Kind.RETRY
    assert decision.why.reason == "policy_failed"
    assert decision.delay == DEFAULT_BACKOFF.delay(1, Duration(0), Stream(1))
    (record,) = caplog.records
    assert flaw in record.getMessage()
    assert str(LEASE.id) in record.getMessage()


errors = st.builds(Error, st.text(), st.text(), st.lists(st.text()).map(tuple))
outcomes: st.SearchStrategy[Outcome] = st.one_of(
    st.builds(Succeeded, st.none() | st.text()),
    st.builds(Failed, errors, st.none() | durations),
    st.builds(TimedOut, durations),
    st.builds(Lost),
    st.builds(Released),
    st.builds(Snoozed, durations),
    st.builds(Cancelled, st.text()),
)


@st.composite
def leases(draw: st.DrawFn) -> Lease:
    budget = draw(st.integers(1, UNLIMITED))
    earlier = draw(st.integers(0, 2**31 - 1 - budget))
    return LEASE._replace(
        attempt=earlier + draw(st.integers(1, budget)),
        max_attempts=earlier + budget,
        budget=budget,
        delay=draw(durations),
    )


@given(leases(), outcomes, policies | st.just(RetryPolicy(Broken())), st.integers(0, 2**64 - 1))
def test_decide_never_raises(lease: Lease, outcome: Outcome, policy: RetryPolicy, state: int) -> None:
    """Any outcome under any policy gives a move out of running, with a next start exactly where needed."""
    decision = decide(lease, outcome, policy, NOW, Stream(state))
    after = TRANSITIONS[State.RUNNING, decision.kind]
    assert (decision.due is not None) is (after in (State.PENDING, State.FAILED))
    assert decision.due is None or decision.due >= NOW
    assert after is not State.FAILED or lease.attempt < lease.max_attempts
    assert decide(lease, outcome, policy, NOW, Stream(state)) == decision


@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        (Failed(BOOM), "ValueError: boom"),
        (Lost(), "jobsim.Lost: the lease ended without a settlement"),
        (Released(), ""),
        (Snoozed(duration("9s")), ""),
    ],
    ids=lambda value: type(value).__name__,
)
def test_for_replaced_cancels_what_would_wait(outcome: Outcome, error: str) -> None:
    """A job that gave its unique key up is never put back, and its error is kept."""
    assert for_replaced(decided(outcome)) == Decision(Kind.CANCEL, Why("cancelled", REPLACED, error))


@pytest.mark.parametrize("outcome", [SUCCEEDED, Succeeded("[1]"), Cancelled("obsolete")], ids=repr)
def test_for_replaced_leaves_what_has_ended(outcome: Outcome) -> None:
    """It ends as any other job, a dead letter included."""
    assert for_replaced(decided(outcome)) == decided(outcome)
    assert for_replaced(decided(Failed(BOOM), lease=LAST)) == decided(Failed(BOOM), lease=LAST)
