"""A persistent job queue, and a simulator that runs the same engine.

Names are imported when first used, so that a worker loads no tables, plots or simulation.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from jobsim import budgets, policies
    from jobsim.core.backoff import Backoff, Decorrelated, Exponential, Fixed, Linear, NoBackoff, Polynomial
    from jobsim.core.breaker import Breaker
    from jobsim.core.budget import Budget
    from jobsim.core.errors import (
        Abandoned,
        ConfigError,
        IllegalTransition,
        JobsimError,
        KeyTaken,
        NotFound,
        PayloadError,
        SelfCheckFailed,
        StorageBusy,
        StorageError,
        StorageForeign,
        StorageFull,
        StorageReadOnly,
        UnknownKind,
    )
    from jobsim.core.jitter import Added, Equal, Full, Growth, Jitter, NoJitter, Proportional, Stretched
    from jobsim.core.job import Conflict, Job, JobId, State
    from jobsim.core.limits import Limit, Rate
    from jobsim.core.outcome import Cancel, Discard, RetryAfter, Snooze
    from jobsim.core.policy import RetryPolicy
    from jobsim.core.time import Duration, Instant
    from jobsim.live.context import JobContext, current_job
    from jobsim.live.handler import Handler
    from jobsim.live.rehearsal import Rehearsal
    from jobsim.live.worker import LiveWorker
    from jobsim.models.traces import Trace
    from jobsim.queue import Queue
    from jobsim.sim import (
        Comparison,
        EqualRisk,
        Fit,
        Scenario,
        SimResult,
        Sweep,
        Tuned,
        compare,
        equal_risk,
        fit_history,
        simulate,
        sweep,
        tune,
    )

    __version__: str

__all__ = [
    "Abandoned",
    "Added",
    "Backoff",
    "Breaker",
    "Budget",
    "Cancel",
    "Comparison",
    "ConfigError",
    "Conflict",
    "Decorrelated",
    "Discard",
    "Duration",
    "Equal",
    "EqualRisk",
    "Exponential",
    "Fit",
    "Fixed",
    "Full",
    "Growth",
    "Handler",
    "IllegalTransition",
    "Instant",
    "Jitter",
    "Job",
    "JobContext",
    "JobId",
    "JobsimError",
    "KeyTaken",
    "Limit",
    "Linear",
    "LiveWorker",
    "NoBackoff",
    "NoJitter",
    "NotFound",
    "PayloadError",
    "Polynomial",
    "Proportional",
    "Queue",
    "Rate",
    "Rehearsal",
    "RetryAfter",
    "RetryPolicy",
    "Scenario",
    "SelfCheckFailed",
    "SimResult",
    "Snooze",
    "State",
    "StorageBusy",
    "StorageError",
    "StorageForeign",
    "StorageFull",
    "StorageReadOnly",
    "Stretched",
    "Sweep",
    "Trace",
    "Tuned",
    "UnknownKind",
    "budgets",
    "compare",
    "current_job",
    "equal_risk",
    "fit_history",
    "policies",
    "simulate",
    "sweep",
    "tune",
]

_NAMES: Final = {
    "core.backoff": "Backoff Decorrelated Exponential Fixed Linear NoBackoff Polynomial",
    "core.breaker": "Breaker",
    "core.budget": "Budget",
    "core.errors": "Abandoned ConfigError IllegalTransition JobsimError KeyTaken NotFound PayloadError "
    "SelfCheckFailed StorageBusy StorageError StorageForeign StorageFull StorageReadOnly UnknownKind",
    "core.jitter": "Added Equal Full Growth Jitter NoJitter Proportional Stretched",
    "core.job": "Conflict Job JobId State",
    "core.limits": "Limit Rate",
    "core.outcome": "Cancel Discard RetryAfter Snooze",
    "core.policy": "RetryPolicy",
    "core.time": "Duration Instant",
    "live.context": "JobContext current_job",
    "live.handler": "Handler",
    "live.rehearsal": "Rehearsal",
    "live.worker": "LiveWorker",
    "models.traces": "Trace",
    "queue": "Queue",
    "sim": "Comparison EqualRisk Fit Scenario SimResult Sweep Tuned compare equal_risk fit_history simulate "
    "sweep tune",
}
_HOMES: Final = {name: f"{__name__}.{home}" for home, names in _NAMES.items() for name in names.split()}


if not TYPE_CHECKING:  # a type checker would take every misspelt name for an object

    def __getattr__(name: str) -> object:
        if name in ("budgets", "policies"):
            return import_module(f"{__name__}.{name}")
        if name == "__version__":
            from importlib.metadata import version

            return version("jobsim")
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_HOMES[name]), name)
        return value


def __dir__() -> list[str]:
    return __all__
