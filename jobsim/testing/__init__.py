"""Public tools for tests: of handlers and stores, of workers that crash, and of the histories that all leave.

Names are imported when first used: the plugin of pytest, which every run of it loads, needs few of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from jobsim.testing.app import App, Clock, EnqueuedJob, staged
    from jobsim.testing.assertions import (
        all_enqueued,
        assert_dead_lettered,
        assert_enqueued,
        assert_no_lost_jobs,
        assert_not_enqueued,
        assert_succeeded,
    )
    from jobsim.testing.everywhere import crash_everywhere, explore_crashes
    from jobsim.testing.injector import Injector
    from jobsim.testing.invariants import check, verify

__all__ = [
    "App",
    "Clock",
    "EnqueuedJob",
    "Injector",
    "all_enqueued",
    "assert_dead_lettered",
    "assert_enqueued",
    "assert_no_lost_jobs",
    "assert_not_enqueued",
    "assert_succeeded",
    "check",
    "crash_everywhere",
    "explore_crashes",
    "staged",
    "verify",
]

_NAMES: Final = {
    "app": "App Clock EnqueuedJob staged",
    "assertions": "all_enqueued assert_dead_lettered assert_enqueued assert_no_lost_jobs assert_not_enqueued "
    "assert_succeeded",
    "everywhere": "crash_everywhere explore_crashes",
    "injector": "Injector",
    "invariants": "check verify",
}
_HOMES: Final = {name: f"{__name__}.{home}" for home, names in _NAMES.items() for name in names.split()}


if not TYPE_CHECKING:  # a type checker would take every misspelt name for an object

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_HOMES[name]), name)
        return value


def __dir__() -> list[str]:
    return __all__
