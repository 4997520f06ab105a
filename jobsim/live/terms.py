"""How the jobs of one kind are run: what is said where a handler is declared."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final, Self, TypedDict

from jobsim.budgets import breaker_named, budget_named
from jobsim.core.backoff import Backoff
from jobsim.core.breaker import Breaker
from jobsim.core.budget import Budget
from jobsim.core.errors import ConfigError
from jobsim.core.guards import guarded
from jobsim.core.job import DEFAULT_QUEUE, Conflict
from jobsim.core.limits import NO_LIMIT, Limit, check_guards
from jobsim.core.policy import ErrorsLike, RetryPolicy
from jobsim.core.time import Duration, DurationLike, duration
from jobsim.live.keys import Key, KeyLike
from jobsim.live.payload import SIZE_LIMIT
from jobsim.live.placement import Attempts, check_known, check_priority, check_queue, conflict
from jobsim.policies import named

RetryLike = RetryPolicy | Backoff | str


class Isolation(StrEnum):
    """Where handlers of a kind run."""

    THREAD = "thread"
    """In the worker's process: a sync one in a thread, an async one on a loop that all share."""
    PROCESS = "process"
    """In a process that can be killed: its crash, or a time limit, ends one attempt and nothing else."""


class Settings(TypedDict, total=False):
    """What `Queue.job` takes beside the name of a kind, for signatures that pass it on."""

    retry: RetryLike | None
    max_attempts: Attempts
    retry_on: ErrorsLike
    dead_letter_on: ErrorsLike
    isolation: Isolation | str
    timeout: DurationLike | None
    queue: str
    priority: int
    keep_result: bool
    unique_key: KeyLike | None
    on_conflict: Conflict | str
    limit_key: KeyLike | None
    limit: Limit
    budget: Budget | str | None
    breaker: Breaker | str | None


_SETTINGS: Final = frozenset(Settings.__annotations__)


_POLICY: Final = frozenset({"retry", "max_attempts", "retry_on", "dead_letter_on"})
"""Those of them that make the policy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How jobs of one kind are run. `timeout` is for one attempt; `keep_result` stores what it returns.

    Their keys, if any, come from `unique_key` and `limit_key`, and `limit` holds for all of them together,
    with the budget and the breaker that are said here, or else by the policy.
    `payload_limit` is in bytes, for the arguments and for the result.

    Raises:
        ConfigError: a value cannot be used.
    """

    policy: RetryPolicy
    timeout: DurationLike | None = None
    queue: str = DEFAULT_QUEUE
    priority: int = 0
    keep_result: bool = False
    unique_key: KeyLike | None = None
    on_conflict: Conflict | str | None = None
    limit_key: KeyLike | None = None
    limit: Limit = NO_LIMIT
    payload_limit: int = SIZE_LIMIT
    isolation: Isolation | str = Isolation.THREAD
    budget: Budget | str | None = None
    breaker: Breaker | str | None = None

    def __post_init__(self) -> None:
        if self.timeout is not None:
            object.__setattr__(self, "timeout", duration(self.timeout, "timeout"))
            if not self.timeout:
                raise ConfigError("timeout: must be longer than 0s; None for no limit")
        check_queue(self.queue)
        check_priority(self.priority)
        for name in ("unique_key", "limit_key"):
            object.__setattr__(self, name, Key.of(getattr(self, name), name))
        object.__setattr__(self, "on_conflict", conflict(self.on_conflict))
        check_limit(self.limit, "limit")
        object.__setattr__(self, "limit", self._guarded())
        object.__setattr__(self, "isolation", _isolation(self.isolation))

    def _guarded(self) -> Limit:
        """Return the limit with the budget and the breaker of the kind."""
        own, policy = self.limit, self.policy
        for name in ("budget", "breaker"):
            if getattr(own, name) is not None and getattr(self, name) is not None:
                raise ConfigError(f"{name}: give it once, beside the limit or within")
        budget = budget_named(self.budget) if isinstance(self.budget, str) else self.budget
        breaker = breaker_named(self.breaker) if isinstance(self.breaker, str) else self.breaker
        check_guards(budget, breaker)
        return guarded(own, budget or policy.budget, breaker or policy.breaker)

    @classmethod
    def of(cls, settings: Mapping[str, Any], payload_limit: int) -> Self:
        """Return the terms that `settings`, such as a declaration's keyword arguments, ask for.

        Raises:
            ConfigError: there is no such setting, or its value cannot be used.
        """
        check_known(settings, _SETTINGS, "setting")
        rest = {name: settings[name] for name in settings if name not in _POLICY}
        policy = policy_of(settings.get("retry"), settings.get("max_attempts", ...))
        lists = {name: settings[name] for name in ("retry_on", "dead_letter_on") if name in settings}
        policy = replace(policy, **lists) if lists else policy
        return cls(policy=policy, payload_limit=payload_limit, **rest)

    @property
    def time_limit(self) -> Duration | None:
        """How long one attempt may take."""
        return None if self.timeout is None else duration(self.timeout)


def policy_of(retry: RetryLike | None, max_attempts: Attempts) -> RetryPolicy:
    """Return the policy that `retry` means, with `max_attempts` in place of its own where given.

    Raises:
        ConfigError: `retry` is neither a policy, a backoff nor a preset's name.
    """
    match retry:
        case None:
            policy = RetryPolicy()
        case RetryPolicy():
            policy = retry
        case str():
            policy = named(retry)
        case type():
            raise ConfigError(f"retry: {retry.__name__} is a class; write {retry.__name__}(...)")
        case Backoff():
            policy = RetryPolicy(retry)
        case _:
            raise ConfigError(
                f"retry: {retry!r} is no policy; give a RetryPolicy, a backoff such as "
                "jobsim.Exponential(base='1s'), or the name of a preset"
            )
    return policy if max_attempts is ... else replace(policy, max_attempts=max_attempts)


def _isolation(written: object) -> Isolation:
    if isinstance(written, str) and written in list(Isolation):
        return Isolation(written)
    raise ConfigError(f"isolation: must be 'thread' or 'process', not {written!r}")


def check_limit(limit: object, name: str) -> None:
    """Refuse what is no limit.

    Raises:
        ConfigError: it is not.
    """
    if not isinstance(limit, Limit):
        raise ConfigError(f"{name}: write jobsim.Limit(running=5), not {limit!r}")
