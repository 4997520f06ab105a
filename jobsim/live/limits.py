"""Limits as a queue and its handlers declare them, and how a worker puts them in force."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any, Final

from jobsim.core.breaker import Phase
from jobsim.core.errors import ConfigError
from jobsim.core.limits import NO_LIMIT, By, Limit, Scope
from jobsim.core.time import Instant, to_datetime
from jobsim.live.handler import Handler
from jobsim.live.placement import check_queue
from jobsim.live.terms import check_limit
from jobsim.storage.base import Storage

_log: Final = logging.getLogger("jobsim.worker")


def queue_limits(written: Mapping[str, Limit]) -> dict[str, Limit]:
    """Return the limits of queues that were `written`.

    Raises:
        ConfigError: a name cannot be a queue's, or has no limit.
    """
    if not isinstance(written, Mapping):
        raise ConfigError(f'limits: write {{"mail": jobsim.Limit(running=2)}}, not {written!r}')
    for name, limit in written.items():
        check_queue(name)
        check_limit(limit, f"limits: {name}")
    return dict(written)


def declared(
    handlers: Mapping[str, Handler[..., Any]], limits: Mapping[str, Limit], queues: Iterable[str]
) -> dict[Scope, Limit]:
    """Return the limits that a worker of `queues` answers for.

    Those of kinds are said where their handlers are, so that one without a limit has none. A queue is shared
    by many, and who says nothing of it leaves it as it is.
    """
    kinds = {Scope(By.KIND, kind): handler.terms.limit for kind, handler in handlers.items()}
    return kinds | {Scope(By.QUEUE, name): limits[name] for name in queues if name in limits}


def put_in_force(storage: Storage, limits: Mapping[Scope, Limit]) -> None:
    """Put `limits` in force where others are, or none.

    Raises:
        StorageError: the store could not do it.
    """
    there = storage.limits()
    changed = {scope: limit for scope, limit in limits.items() if there.get(scope, NO_LIMIT) != limit}
    if not changed:
        return
    storage.set_limits(changed)
    for scope, limit in changed.items():
        _log.info("%s %s: %s", scope.by, scope.name, described(limit))


def broken(storage: Storage, now: Instant) -> dict[Scope, str]:
    """Return the breakers that are not closed `now`, and in words how each stands."""
    limits, found = storage.limits(), {}
    for scope, tally in sorted(storage.tallies().items()):
        breaker, circuit = limits.get(scope, NO_LIMIT).breaker, tally.circuit
        if breaker is None or circuit is None:
            continue
        match breaker.phase(circuit, now):
            case Phase.OPEN if circuit.until is not None:
                found[scope] = f"open until {to_datetime(circuit.until):%Y-%m-%d %H:%M:%S} UTC"
            case Phase.OPEN:
                found[scope] = "stops retries"
            case Phase.HALF_OPEN:
                found[scope] = f"half open, {circuit.passed} of {breaker.probes} probes have succeeded"
            case Phase.CLOSED:
                pass
    return found


def described(limit: Limit) -> str:
    """Return what `limit` says, in words."""
    words = []
    if limit.running is not None:
        words.append(f"at most {limit.running} running")
    if limit.running_per_key is not None:
        words.append(f"at most {limit.running_per_key} a key running")
    if limit.rate is not None:
        words.append(f"at most {limit.rate.starts} in {limit.rate.per}, {limit.rate.burst} together")
    words += [repr(guard) for guard in (limit.budget, limit.breaker) if guard is not None]
    return "; ".join(words) or "no limit"
