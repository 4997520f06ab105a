"""Ready-made retry policies: the common ones, and other systems' defaults, formula for formula.

`max_attempts` counts runs, so a system that counts retries has one more here.
"""

import math
from typing import Final

from jobsim.core.backoff import Backoff, Decorrelated, Exponential, Fixed, NoBackoff, Polynomial
from jobsim.core.errors import ConfigError, did_you_mean
from jobsim.core.jitter import Added, Full, Growth, JitterLike, Proportional
from jobsim.core.policy import RetryPolicy

PRESETS: Final[dict[str, RetryPolicy]] = {}


def _preset(name: str, backoff: Backoff, max_attempts: int | None) -> RetryPolicy:
    PRESETS[name] = RetryPolicy(backoff, max_attempts=max_attempts, name=name)
    return PRESETS[name]


def _doubling(jitter: JitterLike) -> Exponential:
    return Exponential(base="1s", cap="5m", jitter=jitter)


none = _preset("none", NoBackoff(), 8)
fixed = _preset("fixed", Fixed("30s"), 8)
exponential = _preset("exponential", _doubling("none"), 8)
full_jitter = _preset("full_jitter", _doubling("full"), 8)
equal_jitter = _preset("equal_jitter", _doubling("equal"), 8)
decorrelated = _preset("decorrelated", Decorrelated(base="1s", cap="5m"), 8)

# The widely read tutorial's own code cuts its jitter to whole seconds, so that it is always 0, and
# overflows at 32 retries; this is what its text says.
tutorial = _preset("tutorial", Exponential(base="1s", cap="30s", jitter=Added("100ms")), 5)

# Source: Oban, lib/oban/worker.ex and backoff.ex: 15 + 2^attempt s, +0..10 % in whole seconds.
oban = _preset(
    "oban", Exponential(base="1s", first=1, plus="15s", jitter=Proportional(0.1, down=0, step="1s")), 20
)
# Source: River, internal/retrypolicy: n^4 s, ±10 %.
river = _preset("river", Polynomial(power=4, jitter=Proportional(0.1)), 25)
# Source: Sidekiq, job_retry.rb: count^4 + 15 + rand(10 * (count + 1)) s, count from 0; 25 retries.
sidekiq = _preset(
    "sidekiq",
    Polynomial(power=4, first=0, plus="15s", jitter=Added("10s", step="1s", grows=Growth.RANGE)),
    26,
)
# Source: Faktory, manager/retry.go: count^4 + 15 + rand(30) * (count + 1) s, count from 0; 25 retries.
faktory = _preset(
    "faktory",
    Polynomial(power=4, first=0, plus="15s", jitter=Added("30s", step="1s", grows=Growth.DRAW)),
    26,
)
# Source: Celery, app/task.py: default_retry_delay 180 s, max_retries 3.
celery = _preset("celery", Fixed("180s"), 4)
# Source: Celery, utils/time.py: with retry_backoff=True, whole seconds on 0..min(2^retries, 600).
celery_backoff = _preset("celery_backoff", Exponential(base="1s", cap="10m", jitter=Full(step="1s")), 4)
# Source: Dramatiq, middleware/retries.py and common.py: 15 s * 2^n * U(1, 2), n from 0; where that
# passes 7 d, 7 d * U(0.5, 1); 20 retries.
dramatiq = _preset("dramatiq", Exponential(base="15s", cap="7d", jitter="stretched"), 21)
# Source: Graphile Worker, sql/failJobs.ts: exp(least(attempts, 10)) s; 25 attempts.
graphile = _preset("graphile", Exponential(base="1s", factor=math.e, first=1, cap=math.exp(10)), 25)
# Source: Temporal, RetryPolicy: 1 s * 2^n, n from 0, at most 100 times the initial interval, no limit.
temporal = _preset("temporal", Exponential(base="1s", cap="100s"), None)
# Source: botocore, retries/standard.py: U(0, 1) * min(2^(attempt - 1), 20) s, 3 attempts. Its retry
# quota is `budgets.aws_sdk`: RetryPolicy(..., budget=budgets.aws_sdk).
aws_sdk = _preset("aws_sdk", Exponential(base="1s", cap="20s", jitter="full"), 3)


def named(name: str) -> RetryPolicy:
    """Return the preset called `name`.

    Raises:
        ConfigError: there is none of that name.
    """
    try:
        return PRESETS[name]
    except KeyError:
        raise ConfigError(
            f"no policy is called {name!r}{did_you_mean(name, PRESETS)}; there are: {', '.join(PRESETS)}"
        ) from None
