"""A rule for histories whose retry policies are known: every wait lies within what the policy allows."""

from collections.abc import Callable
from typing import Final, NamedTuple

from jobsim.core.backoff import Backoff
from jobsim.core.events import Event, Standing
from jobsim.core.job import JobId
from jobsim.core.policy import DEFAULT_BACKOFF, RetryPolicy
from jobsim.core.streams import Stream
from jobsim.core.time import Duration
from jobsim.core.transitions import Kind
from jobsim.testing.rules import Rule, span

_STEPS: Final = 64
_UNIFORMS: Final = (*(step / _STEPS for step in range(_STEPS)), 1 - 2**-53)
"""Where on [0, 1) delays are looked at: in between, no jitter of `core.jitter` strays by more than a step of
the longest delay."""

_NO_TIME: Final = Duration(0)


class _Course(NamedTuple):
    """What the enqueue of a job says for all its retries, and its last delay."""

    kind: str
    budget: int
    previous: Duration


class _Fixed(Stream):
    """A stream that gives the same number for ever."""

    __slots__ = ("_number",)

    def __init__(self, number: float) -> None:
        super().__init__(0)
        self._number = number

    def random(self) -> float:
        return self._number


def within_policy(
    policies: Callable[[str], RetryPolicy],
    *,
    lag: Duration = _NO_TIME,
    retry_after: Duration = _NO_TIME,
) -> Rule:
    """Return the rule ``backoff_kept`` for one history: no retry is due earlier or later than allowed.

    `policies` gives the policy of a kind. `lag` is the longest that it took from the decision to the commit,
    by the clock of the worker (nothing, where simulated calls take no time); `retry_after` the longest wait
    that a handler ever asked for. Jobs that wait for a budget may be due later.
    """
    courses: dict[JobId, _Course] = {}

    def backoff_kept(event: Event, _: Standing | None) -> str | None:
        """Every wait before a retry lies within the bounds of the job's policy."""
        if event.kind is Kind.ENQUEUE:
            courses[event.job] = _Course(event.why.reason, event.max_attempts, _NO_TIME)
        elif event.kind in (Kind.SUCCEED, Kind.CANCEL):
            courses.pop(event.job, None)
        course = courses.get(event.job)
        if event.kind is not Kind.RETRY or event.due is None or course is None:
            return None
        tries = event.attempt - (event.max_attempts - course.budget)
        broken = event.why.reason == "policy_failed"
        backoff = DEFAULT_BACKOFF if broken else policies(course.kind).backoff
        shortest, longest = _bounds(backoff, tries, course.previous, lag)
        wait = event.due - event.at
        courses[event.job] = course._replace(previous=Duration(max(wait, 0)))
        put_off = event.why.reason == "budget"
        return _outside(wait, shortest - lag, None if put_off else max(longest, retry_after))

    return backoff_kept


def _bounds(backoff: Backoff, tries: int, previous: Duration, lag: Duration) -> tuple[int, int]:
    """Return the shortest and the longest delay that `backoff` may give, or a little beyond."""
    # What led to the previous wait may have been longer by the lag.
    longer = Duration(previous + lag)
    delays = [backoff.delay(tries, before, _Fixed(u)) for before in {previous, longer} for u in _UNIFORMS]
    shortest, longest = min(delays), max(delays)
    cap = getattr(backoff, "cap", None)
    slack = longest // _STEPS if longest > shortest else 0
    return shortest - slack, longest + slack if cap is None else min(longest + slack, cap)


def _outside(wait: int, shortest: int, longest: int | None) -> str | None:
    if wait < shortest:
        return f"to be tried again after {span(wait)}, where the policy waits {span(shortest)} or longer"
    if longest is not None and wait > longest:
        return f"to be tried again after {span(wait)}, where the policy waits {span(longest)} at most"
    return None
