"""The rule that waits lie within the policy: what engines decide passes, and what lies outside does not."""

import pytest

from jobsim import policies
from jobsim.core.backoff import Backoff, Decorrelated, Exponential, Fixed, Linear, NoBackoff, Polynomial
from jobsim.core.decide import Why, decide
from jobsim.core.events import Event
from jobsim.core.jitter import Added, Proportional
from jobsim.core.job import JobId, Lease, WorkerId
from jobsim.core.outcome import Error, Failed
from jobsim.core.policy import RetryPolicy
from jobsim.core.streams import Purpose, Streams
from jobsim.core.time import SECOND, Duration, Instant
from jobsim.core.transitions import Kind
from jobsim.testing.backoffs import within_policy
from jobsim.testing.rules import Rule

STREAMS = Streams(4)
ANN = WorkerId("ann")
TIGHT = RetryPolicy(Exponential(base="2s", cap="10s", jitter="equal"), max_attempts=9)
BACKOFFS: list[Backoff] = [
    NoBackoff(),
    Fixed("3s"),
    Linear("2s", jitter="full"),
    Exponential("1s", cap="1m", jitter="full"),
    Exponential("1s", cap="1m", jitter="equal"),
    Exponential("1s", cap="50s", jitter="stretched"),
    Exponential("1s", cap="1m", jitter=Proportional(0.1)),
    Polynomial(4, "1s", jitter=Added("10s", step="1s", grows="range")),
    Decorrelated("1s", cap="1m"),
    policies.sidekiq.backoff,
    policies.dramatiq.backoff,
]


def event(kind: Kind, at: int, attempt: int, due: int | None = None, reason: str = "backoff") -> Event:
    """Return an event of one job, whose limit is 9; times are in microseconds."""
    why = Why("", "work") if kind is Kind.ENQUEUE else Why("failed", reason)
    moment = None if due is None else Instant(due)
    return Event(1, Instant(at), JobId(1), kind, attempt, 9, attempt, ANN, moment, why)


def asked(rule: Rule, *events: Event) -> list[str | None]:
    """Return what `rule` says of each event."""
    return [rule(each, None) for each in events]


@pytest.mark.parametrize("backoff", BACKOFFS, ids=repr)
def test_backoff_kept_accepts_what_the_engine_decides(backoff: Backoff) -> None:
    """Whatever the draw, for eight retries of a hundred jobs each, a decision lies within the bounds."""
    policy = RetryPolicy(backoff, max_attempts=9)
    for job in map(JobId, range(100)):
        rule, now, delay = within_policy(lambda _: policy), Instant(0), Duration(0)
        rule(event(Kind.ENQUEUE, 0, 0, 0), None)
        for attempt in range(1, 9):
            lease = Lease(
                1, job, "work", "default", attempt, 9, 9, attempt, Instant(0), delay, now, ANN, "{}"
            )
            jitter = STREAMS.stream(Purpose.JITTER, job.key, attempt)
            decision = decide(lease, Failed(Error("ValueError")), policy, now, jitter)
            assert decision.due is not None
            assert rule(event(Kind.RETRY, now, attempt, decision.due), None) is None
            now, delay = decision.due, decision.delay


@pytest.mark.parametrize("wait", [0, 1.9, 4.1, 60])
def test_backoff_kept_finds_a_wait_out_of_bounds(wait: float) -> None:
    """The second wait of 2 s doubled, half of it jitter, is from 2 s to 4 s."""
    retry = event(Kind.RETRY, 0, 2, round(wait * SECOND))
    _, said = asked(within_policy(lambda _: TIGHT), event(Kind.ENQUEUE, 0, 0, 0), retry)
    assert said is not None
    assert "where the policy waits" in said


def test_backoff_kept_never_passes_the_cap() -> None:
    """However many attempts there were, a microsecond beyond the cap is too long."""
    late = event(Kind.RETRY, 0, 8, 10 * SECOND + 1)
    assert asked(within_policy(lambda _: TIGHT), event(Kind.ENQUEUE, 0, 0, 0), late)[1] is not None


def test_backoff_kept_allows_for_what_is_no_decision_of_the_policy() -> None:
    """A handler may ask for more, a budget put a retry off, and a commit come late, if that is said."""
    enqueue, late = event(Kind.ENQUEUE, 0, 0, 0), event(Kind.RETRY, 0, 1, 60 * SECOND)
    asks = within_policy(lambda _: TIGHT, retry_after=Duration(60 * SECOND))
    assert asked(asks, enqueue, late) == [None, None]
    put_off = event(Kind.RETRY, 0, 1, 60 * SECOND, "budget")
    assert asked(within_policy(lambda _: TIGHT), enqueue, put_off) == [None, None]
    slow = within_policy(lambda _: TIGHT, lag=Duration(SECOND))
    assert asked(slow, enqueue, event(Kind.RETRY, 0, 1, SECOND // 10)) == [None, None]


def test_backoff_kept_knows_the_default_that_replaces_a_broken_policy() -> None:
    """Where the policy failed, the default backoff's bounds hold."""
    enqueue = event(Kind.ENQUEUE, 0, 0, 0)
    short, long = (event(Kind.RETRY, 0, 1, wait * SECOND // 10, "policy_failed") for wait in (1, 20))
    assert asked(within_policy(lambda _: TIGHT), enqueue, short) == [None, None]
    assert asked(within_policy(lambda _: TIGHT), enqueue, long)[1] is not None
