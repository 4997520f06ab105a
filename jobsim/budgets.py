"""Ready-made retry budgets and circuit breakers: other systems' defaults, number for number.

Those are of clients that cannot wait, so a retry that is not granted is given up: the job becomes a dead
letter. `dataclasses.replace(budgets.grpc, per_second=1, when_empty="wait")` lets it wait.
"""

from collections.abc import Mapping
from typing import Final, TypeVar

from jobsim.core.breaker import Breaker
from jobsim.core.budget import Budget, WhenEmpty
from jobsim.core.errors import ConfigError, did_you_mean

T = TypeVar("T")


def _quota(capacity: float, *, success: float, late: float, cost: float, timeout: float | None) -> Budget:
    """Return a bucket that successes alone fill."""
    return Budget(
        capacity=capacity,
        first_try=0,
        success=success,
        late_success=late,
        per_second=0,
        cost=cost,
        timeout_cost=timeout,
        when_empty=WhenEmpty.DEAD_LETTER,
    )


# Source: botocore, retries/standard.py, RetryQuotaChecker: capacity 500, a retry 5, after a timeout 10, back
# 1 for a success at once. A success after retries gives back what the last of them cost: here always 5.
aws_sdk: Final = _quota(500, success=1, late=5, cost=5, timeout=10)

# Source: the same file, "2.1", opt-in by AWS_NEW_RETRIES_2026: a transient error costs 14. A throttled call
# costs 5 there; which errors throttle is not told apart here.
aws_sdk_2026: Final = _quota(500, success=1, late=14, cost=14, timeout=None)

# Source: gRPC, proposal A6-client-retries.md: maxTokens 10, tokenRatio 0.1, a failure takes 1 whether retried
# or not, and retries are off at half of them or less; tokens count in thousandths.
grpc: Final = Budget(
    capacity=10,
    first_try=0,
    success=0.1,
    late_success=0.1,
    per_second=0,
    cost=0,
    failure_cost=1,
    threshold=5.001,
    when_empty=WhenEmpty.DEAD_LETTER,
)

# Source: Finagle, "Retry Budgets", 2016: a fifth of the calls, and 10 a second, which are 100 within the 10 s
# after which all is forgotten. Linkerd: retryRatio 0.2, minRetriesPerSecond 10, ttl 10s.
finagle: Final = Budget(
    capacity=100, first_try=0.2, per_second=0, ttl="10s", when_empty=WhenEmpty.DEAD_LETTER
)
linkerd: Final = finagle

# Source: Envoy, circuit_breaker.proto, RetryBudget: of the calls under way a fifth may be retries, and
# always 3. A bucket counts no calls under way: where retries take as long as first tries, a fifth of all is
# a quarter of the first tries, which is kept here on average; `Limit.running` bounds what is under way.
envoy: Final = Budget(capacity=3, first_try=0.25, per_second=0, when_empty=WhenEmpty.DEAD_LETTER)

# Source: MongoDB, specifications, client-backpressure.md: 1000 tokens, 0.1 back for a success, and what the
# retry cost as well where it is one.
mongodb: Final = _quota(1000, success=0.1, late=1.1, cost=1, timeout=None)

BUDGETS: Final[Mapping[str, Budget]] = {
    "aws_sdk": aws_sdk,
    "aws_sdk_2026": aws_sdk_2026,
    "grpc": grpc,
    "finagle": finagle,
    "linkerd": linkerd,
    "envoy": envoy,
    "mongodb": mongodb,
}

# Source: Polly 8, CircuitBreakerStrategyOptions: FailureRatio 0.1, MinimumThroughput 100, SamplingDuration
# 30 s, BreakDuration 5 s, one probe.
polly: Final = Breaker(threshold=0.1, window="30s", min_calls=100, open_for="5s")

# Source: resilience4j, CircuitBreakerConfig, with slidingWindowType TIME_BASED: failureRateThreshold 50,
# slidingWindowSize 100 (seconds), minimumNumberOfCalls 100, waitDurationInOpenState 60 s, 10 calls when half
# open; it closes when fewer than half of those fail, where here all must succeed.
resilience4j: Final = Breaker(threshold=0.5, window="100s", min_calls=100, open_for="60s", probes=10)

BREAKERS: Final[Mapping[str, Breaker]] = {"polly": polly, "resilience4j": resilience4j}


def budget_named(name: str) -> Budget:
    """Return the budget called `name`.

    Raises:
        ConfigError: there is none of that name.
    """
    return _named(name, BUDGETS, "budget")


def breaker_named(name: str) -> Breaker:
    """Return the breaker called `name`.

    Raises:
        ConfigError: there is none of that name.
    """
    return _named(name, BREAKERS, "breaker")


def _named(name: str, presets: Mapping[str, T], what: str) -> T:
    try:
        return presets[name]
    except KeyError:
        hint = did_you_mean(name, presets)
        raise ConfigError(
            f"{what}: no {what} is called {name!r}{hint}; there are: {', '.join(presets)}"
        ) from None
