"""How long a retry policy goes on, found by asking the engine: what decides who survives an outage."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from jobsim.analysis.wording import time_span
from jobsim.core.decide import decide
from jobsim.core.errors import ConfigError
from jobsim.core.job import DEFAULT_QUEUE, JobId, Lease, WorkerId
from jobsim.core.outcome import Lost
from jobsim.core.policy import RetryPolicy
from jobsim.core.streams import Purpose, Streams
from jobsim.core.time import Duration, Instant

Floats = NDArray[np.float64]

_DRAWS: Final = 400
_BEGAN: Final = Instant(0)


def delays(policy: RetryPolicy, retries: int | None = None, draws: int = _DRAWS, seed: int = 0) -> Floats:
    """Return the delays before the retries of jobs whose every attempt fails, in seconds.

    Shape (draws, retries); `retries` is as many as the policy grants unless given. The delays are those that
    the engine decides on, attempts taking no time; NaN where `max_age` ends a job before.

    Raises:
        ConfigError: the policy has no limit of attempts, and `retries` is not given.
    """
    if retries is None:
        if policy.max_attempts is None:
            raise ConfigError(
                f"{policy.label} has no limit of attempts; give the number of retries to look at"
            )
        retries = policy.max_attempts - 1
    streams = Streams(seed)
    return np.array([_one(policy, retries, streams, draw) for draw in range(draws)]).reshape(draws, retries)


def _one(policy: RetryPolicy, retries: int, streams: Streams, draw: int) -> list[float]:
    """Return the delays that one job meets."""
    found, now, delay = [math.nan] * retries, _BEGAN, Duration(0)
    for attempt in range(1, retries + 1):
        # A worker lost each time: no list of errors stops that.
        lease = _lease(policy, attempt, delay)
        decision = decide(lease, Lost(), policy, now, streams.stream(Purpose.JITTER, draw, attempt))
        if decision.due is None:
            break
        now, delay = decision.due, decision.delay
        found[attempt - 1] = delay.seconds
    return found


def _lease(policy: RetryPolicy, attempt: int, delay: Duration) -> Lease:
    return Lease(
        key=0,
        id=JobId(0),
        kind="",
        queue=DEFAULT_QUEUE,
        attempt=attempt,
        max_attempts=policy.limit,
        budget=policy.limit,
        token=attempt,
        enqueued=_BEGAN,
        delay=delay,
        until=_BEGAN,
        worker=WorkerId(""),
        payload="{}",
    )


def patience_s(policy: RetryPolicy) -> tuple[float, float]:
    """Return when a job that always fails is given up: seconds from its first attempt to its last.

    The least and the most of 400 draws of the policy's jitter; attempts take no time. Infinite where it never
    gives up.
    """
    if policy.max_attempts is None:
        age = math.inf if policy.max_age is None else policy.max_age.seconds
        return age, age
    last_s = np.nansum(delays(policy), axis=1)
    return float(last_s.min()), float(last_s.max())


def patience(policy: RetryPolicy) -> str:
    """Return the same in words, such as ``20-27 min``."""
    return time_span(*patience_s(policy))
