"""What becomes of a finished attempt: the only place that chooses between retry and dead letter."""

import logging
from typing import Final, NamedTuple, assert_never

from jobsim.core.job import Lease
from jobsim.core.outcome import (
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
from jobsim.core.time import MAX_DURATION, Duration, Instant
from jobsim.core.transitions import Kind

_log: Final = logging.getLogger("jobsim.decide")


class Why(NamedTuple):
    """Why an event happened: how the attempt ended, what decided, and the error's text.

    A named tuple so that equal reasons are stored once in an event log.
    """

    outcome: str = ""
    reason: str = ""
    error: str = ""


class Decision(NamedTuple):
    """What a store writes for a finished attempt: `kind` names the transition.

    `due` is when the job may run again (retry and release only), `delay` the backoff that led to
    it, `result` the JSON text to keep. `latest` is when a retry must have started, whatever puts it off.
    A named tuple, as `Lease` is, for its speed.
    """

    kind: Kind
    why: Why
    due: Instant | None = None
    delay: Duration = Duration(0)
    result: str | None = None
    latest: Instant | None = None


class Settlement(NamedTuple):
    """A decision about the attempt that `lease` gave the right to run."""

    lease: Lease
    decision: Decision


_tuple: Final = tuple.__new__
_RETRY: Final = Kind.RETRY
SUCCESS: Final = Decision(Kind.SUCCEED, Why("succeeded"))
"""The usual decision."""

_LOST_ERROR: Final = Error("jobsim.Lost", "the lease ended without a settlement")
LOST: Final = "lost"
"""The `Why.outcome` of an attempt whose lease ended; stores write it only once the lease is over."""


REPLACED: Final = "replaced"
"""The `Why.reason` where a job is cancelled because another has taken its unique key."""


def for_replaced(decision: Decision) -> Decision:
    """Return what is written in place of `decision` for a job that gave its unique key up while it ran.

    It never waits again: what would put it back is a cancellation, with the error that led to it.
    """
    if decision.due is None:
        return decision
    return Decision(Kind.CANCEL, Why("cancelled", REPLACED, decision.why.error))


def decide(lease: Lease, outcome: Outcome, policy: RetryPolicy, now: Instant, random: Stream) -> Decision:
    """Return what becomes of the attempt under `lease` that ended in `outcome` at `now`.

    Pure but for `random`, this attempt's own jitter stream. Never raises for what a policy does: one
    that raises or returns nonsense is replaced by the default backoff, and the reason says so.
    """
    match outcome:
        case Succeeded(result=result):
            return SUCCESS if result is None else SUCCESS._replace(result=result)
        case Failed(error=error, final=True):
            return Decision(Kind.DEAD_LETTER, Why("failed", "discarded", str(error)))
        case Failed(error=error, retry_after=retry_after):
            return _retry_or_bury(lease, "failed", error, retry_after, policy, now, random)
        case TimedOut(after=after):
            error = Error("jobsim.TimedOut", f"ran longer than {after}", ("jobsim.TimedOut", "TimeoutError"))
            return _retry_or_bury(lease, "timed_out", error, None, policy, now, random)
        case Lost():
            return _retry_or_bury(lease, LOST, _LOST_ERROR, None, policy, now, random)
        case Released():
            return Decision(Kind.RELEASE, Why("released", "shutdown"), due=now, delay=lease.delay)
        case Snoozed(delay=delay):
            return Decision(Kind.RELEASE, Why("snoozed"), due=Instant(now + delay), delay=lease.delay)
        case Cancelled(reason=reason):
            return Decision(Kind.CANCEL, Why("cancelled", "handler", reason))
        case _:
            assert_never(outcome)


def _retry_or_bury(
    lease: Lease,
    outcome: str,
    error: Error,
    retry_after: Duration | None,
    policy: RetryPolicy,
    now: Instant,
    random: Stream,
) -> Decision:
    text = str(error)
    # A lost worker is not the handler's error, so no list of errors applies to it.
    if outcome != LOST and not policy.retries(error):
        return Decision(Kind.DEAD_LETTER, Why(outcome, "not_retryable", text))
    if lease.attempt >= lease.max_attempts:
        return Decision(Kind.DEAD_LETTER, Why(outcome, "exhausted", text))
    delay, reason = _delay(lease, policy, random)
    if retry_after is not None:
        delay = Duration(max(delay, retry_after))
    due = Instant(now + delay)
    latest = None if policy.max_age is None else Instant(lease.enqueued + policy.max_age)
    if latest is not None and due > latest:
        return Decision(Kind.DEAD_LETTER, Why(outcome, "too_old", text))
    # Past the constructors, which cost more than all that is decided here.
    return _tuple(Decision, (_RETRY, _tuple(Why, (outcome, reason, text)), due, delay, None, latest))


def _delay(lease: Lease, policy: RetryPolicy, random: Stream) -> tuple[Duration, str]:
    """Return the policy's delay and why; the default backoff's where the policy is broken."""
    try:
        delay: object = policy.backoff.delay(lease.tries, lease.delay, random)
    except Exception as problem:  # noqa: BLE001  # whatever a user's policy raises
        flaw = f"raised {type(problem).__name__}"
    else:
        if isinstance(delay, Duration) and 0 <= delay <= MAX_DURATION:
            return delay, "backoff"
        flaw = f"returned {int(delay)} us" if isinstance(delay, int) else f"returned a {type(delay).__name__}"
    _log.warning(
        "job %s: the backoff of type %s %s; the default backoff is used instead",
        lease.id,
        type(policy.backoff).__name__,
        flaw,
        extra={"job_id": str(lease.id), "attempt": lease.attempt},
    )
    return DEFAULT_BACKOFF.delay(lease.tries, lease.delay, random), "policy_failed"
