"""Decides what becomes of an attempt that has just ended: the policy of its kind, its own jitter, now."""

from collections.abc import Callable
from typing import Final

from jobsim.core.decide import Settlement, decide
from jobsim.core.job import KEY_MASK, Lease
from jobsim.core.outcome import SUCCEEDED, Outcome
from jobsim.core.policy import RetryPolicy
from jobsim.core.streams import Purpose, Streams
from jobsim.runtime.base import Runtime

Judge = Callable[[Lease, Outcome], Settlement]
"""Returns the decision about an attempt, for the store to write."""

_tuple: Final = tuple.__new__


def judge(runtime: Runtime, policies: Callable[[str], RetryPolicy], streams: Streams) -> Judge:
    """Return the judge of all attempts of a worker; `policies` gives the policy of every kind."""
    jitter, now = streams.opener(Purpose.JITTER), runtime.now
    unused = jitter(0, 0)

    def settlement(lease: Lease, outcome: Outcome) -> Settlement:
        # Nothing is drawn for a success, the usual outcome.
        random = unused if outcome is SUCCEEDED else jitter(lease.id & KEY_MASK, lease.attempt)
        decision = decide(lease, outcome, policies(lease.kind), now(), random)
        return _tuple(Settlement, (lease, decision))  # its constructor does the same in twice the time

    return settlement
