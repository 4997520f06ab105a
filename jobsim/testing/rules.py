"""What must hold of every event, given where its job stood before it: the rules of the history checker.

Each returns what is wrong, or `None`. None raises for an event that is `well_formed`.
"""

from collections.abc import Callable
from typing import Any, Final

from jobsim.core.decide import LOST, Why
from jobsim.core.errors import IllegalTransition
from jobsim.core.events import Event, Standing
from jobsim.core.time import Duration
from jobsim.core.transitions import FINAL, Kind, transition

Rule = Callable[[Event, Standing | None], str | None]

_HELD: Final = {Kind.CLAIM, Kind.EXTEND, Kind.RETRY, Kind.RELEASE}
_DUE: Final = _HELD | {Kind.ENQUEUE, Kind.REQUEUE}
_WORKED: Final = _HELD | {Kind.SUCCEED, Kind.DEAD_LETTER}
_STATED: Final = {"exhausted", "not_retryable", "discarded", "too_old", "budget", "breaker"}
_ATTEMPTS: Final = {Kind.CLAIM: 1, Kind.RELEASE: -1}


def well_formed(event: Any) -> str | None:
    """Every field is of its type and range, and those are there that the kind of event needs."""
    numbers = (event.seq, event.at, event.job, event.attempt, event.max_attempts, event.token)
    if not all(_is_number(n) and n >= 0 for n in numbers):
        return "a number is missing, or negative"
    if not isinstance(event.kind, Kind):
        return "its kind is unknown"
    if not (isinstance(event.why, Why) and all(isinstance(part, str) for part in event.why)):
        return "its reason is not made of texts"
    if _is_number(event.due) != (event.kind in _DUE) or not (event.due is None or _is_number(event.due)):
        return "it does not say when it is due" if event.kind in _DUE else "it cannot be due"
    if not isinstance(event.worker, str) and (event.worker is not None or event.kind in _WORKED):
        return "it does not name the worker"
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def legal(event: Event, before: Standing | None) -> str | None:
    """Every event is one that the transition table allows in the state its job is in."""
    if event.kind is Kind.REFUSE:
        return None if before else "a settlement was refused of a job that does not exist"
    try:
        transition(before.state if before else None, event.kind)
    except IllegalTransition as error:
        return str(error)
    return None


def attempts_counted(event: Event, before: Standing | None) -> str | None:
    """A claim adds one to the attempt, a release gives it back, and nothing else changes it."""
    if event.kind is Kind.REFUSE:
        return None
    expected = (before.attempt if before else 0) + _ATTEMPTS.get(event.kind, 0)
    return None if event.attempt == expected else f"attempt {event.attempt}, where {expected} was due"


def attempts_bounded(event: Event, _: Standing | None) -> str | None:
    """No attempt passes the limit in force, and one that reached it is not to be retried."""
    if event.attempt > event.max_attempts:
        return f"attempt {event.attempt} of at most {event.max_attempts}"
    if event.kind is Kind.RETRY and event.attempt == event.max_attempts:
        return f"a retry after the last of {event.max_attempts} attempts"
    return None


def limit_kept(event: Event, before: Standing | None) -> str | None:
    """The limit of attempts changes only by a requeue, which grants at least one more."""
    if event.kind is Kind.REQUEUE:
        return None if event.max_attempts > event.attempt else "requeued without an attempt to make"
    if before is None or event.kind is Kind.REFUSE or event.max_attempts == before.max_attempts:
        return None
    return f"the limit of {before.max_attempts} attempts became {event.max_attempts}"


def token_grows(event: Event, before: Standing | None) -> str | None:
    """Every claim has a token above all earlier ones of its job."""
    old = before.token if before else 0
    return f"token {event.token} after {old}" if event.kind is Kind.CLAIM and event.token <= old else None


def one_lease(event: Event, before: Standing | None) -> str | None:
    """Between two claims the lease is settled, or expires, which it cannot before its end."""
    if before is None or before.lease_until is None or event.kind is Kind.REFUSE:
        return None
    left = before.lease_until - event.at
    if event.kind is Kind.CLAIM:
        return f"claimed while {before.worker} holds token {before.token} for {span(left)}"
    if event.why.outcome == LOST and left > 0:
        return f"settled as lost {span(left)} before the lease of {before.worker} ends"
    return None


def fenced(event: Event, before: Standing | None) -> str | None:
    """Only the lease in force settles or renews: same token, and by the worker that holds it."""
    if before is None or event.kind in (Kind.CLAIM, Kind.REFUSE):
        return None
    if event.token != before.token:
        return f"came with token {event.token} while {before.token} was in force"
    if event.worker is not None and event.worker != before.worker:
        return f"came from {event.worker} under a lease of {before.worker}"
    return None


def refused_rightly(event: Event, before: Standing | None) -> str | None:
    """A settlement is refused only where its lease is no longer in force, or not yet over."""
    if event.kind is not Kind.REFUSE or before is None or before.lease_until is None:
        return None
    renewed = event.why.outcome == LOST and event.at <= before.lease_until
    return "the lease was in force" if event.token == before.token and not renewed else None


def not_early(event: Event, before: Standing | None) -> str | None:
    """No attempt starts before the job is due."""
    early = before.run_at - event.at if before and event.kind is Kind.CLAIM else 0
    return f"claimed {span(early)} before it was due" if early > 0 else None


def lease_kept(event: Event, before: Standing | None) -> str | None:
    """A renewal never shortens a lease."""
    if event.kind is not Kind.EXTEND or before is None or event.due is None or before.lease_until is None:
        return None
    cut = before.lease_until - event.due
    return f"the lease was shortened by {span(cut)}" if cut > 0 else None


def buried_for_a_reason(event: Event, _: Standing | None) -> str | None:
    """A job becomes a dead letter only where its attempts are used up, or by a stated rule."""
    if event.kind is not Kind.DEAD_LETTER:
        return None
    if event.why.reason not in _STATED:
        return f"buried for {event.why.reason or 'no reason'!r}"
    if event.why.reason == "exhausted" and event.attempt < event.max_attempts:
        return f"buried as exhausted after {event.attempt} of {event.max_attempts} attempts"
    return None


def final_stays(event: Event, before: Standing | None) -> str | None:
    """Only an operator moves a job out of a final state."""
    if before is None or before.state not in FINAL or event.kind is Kind.REFUSE:
        return None
    operator = event.kind in (Kind.REQUEUE, Kind.CANCEL) and event.worker is None
    return None if operator else f"{event.kind.value} after it was {before.state.value}"


RULES: Final[tuple[Rule, ...]] = (
    legal,
    attempts_counted,
    attempts_bounded,
    limit_kept,
    token_grows,
    one_lease,
    fenced,
    refused_rightly,
    not_early,
    lease_kept,
    buried_for_a_reason,
    final_stays,
)
"""What `History.add` asks of every event."""


def span(micros: int) -> str:
    """Return a length of time for people, with its sign."""
    return f"-{Duration(-micros)}" if micros < 0 else f"+{Duration(micros)}"
