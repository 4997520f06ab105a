"""Crash tests of users' own handlers: a decorator for pytest, and a function for everything else."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import wraps
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack

from jobsim.core.errors import ConfigError
from jobsim.core.time import DurationLike
from jobsim.testing.app import App, Rehearsed
from jobsim.testing.exploring import Crashes, Explorer, NotReached
from jobsim.testing.options import in_force, search

if TYPE_CHECKING:
    import pytest

Test = Callable[..., object]

APP: Final = ("app", "jobsim_app")
"""What the parameter of a test may be called that is given the app."""

_FIXTURES: Final = ("request", "subtests", "jobsim_queue")


class Settings(TypedDict, total=False):
    """What may be said of crashes; `Crashes` tells what it means."""

    points: Sequence[str]
    deaths: int
    duplicate_delivery: bool
    storage: Sequence[str]
    mode: str
    max_points: int | None
    through: Iterable[object]
    lease: DurationLike


def crash_everywhere(
    queue: Rehearsed | None = None, /, **settings: Unpack[Settings]
) -> Callable[[Test], Callable[..., None]]:
    """Return a decorator that runs a test once as it is, then once for each point where a worker can die.

    The test takes `app` (or `jobsim_app`), an `App` that is new in each run: of `queue`, or of what the
    fixture ``jobsim_queue`` returns, or else with handlers that the test registers. All that it asserts on
    must be made within it, for other fixtures are made once; ``tmp_path`` alone is another directory in each
    run. `Crashes` tells of the settings. Each crash is a subtest; one that fails says how to repeat it.
    Called without pytest, the test raises what fails first.

    Raises:
        ConfigError: a setting cannot be used, or the test cannot be run again and again.
    """
    if inspect.isfunction(queue):
        raise ConfigError("crash_everywhere: write @crash_everywhere(), with parentheses")
    crashes = Crashes(queue, **settings)
    return lambda test: _decorated(test, crashes)


def explore_crashes(
    body: Callable[[App], object], queue: Rehearsed | None = None, /, **settings: Unpack[Settings]
) -> int:
    """Call `body` once as it is, then once for each point where a worker can die; return how often one did.

    For tests that are called with ever other input, as those of Hypothesis are. The settings are those of
    `crash_everywhere`. With ``--jobsim-replay`` a test fails if none of its input leads to the run to replay.

    Raises:
        ConfigError: a setting cannot be used, or no worker ran.
        Exception: what `body` raised first, with notes that say where the worker died and how to repeat it.
    """
    options = in_force()
    explorer = Explorer(Crashes(queue, **settings), options, lambda: options.dsn)
    try:
        explorer.explore(body, nullcontext)
    except NotReached:
        if not options.replay:
            raise
        search().missed = True  # other input may lead there
    else:
        search().met = True
    return explorer.met


def _decorated(test: Test, crashes: Crashes) -> Callable[..., None]:
    parameters = inspect.signature(test).parameters
    app_name = _checked(test, parameters)

    @wraps(test)
    def crashing(*args: Any, **fixtures: Any) -> None:
        __tracebackhide__ = True
        asked = {name: value for name, value in fixtures.items() if name in parameters}
        runs = count(1)

        def body(app: App) -> None:
            __tracebackhide__ = True
            test(*args, **_fresh(asked, next(runs)), **{app_name: app})

        request = fixtures.get("request")
        if request is None:
            explorer = Explorer(crashes, in_force(), lambda: in_force().dsn)
            explorer.explore(body, nullcontext)
        else:
            _explore(crashes, body, request, fixtures["subtests"], fixtures["jobsim_queue"])

    kept = [parameter for name, parameter in parameters.items() if name != app_name]
    more = [inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY) for n in _FIXTURES if n not in parameters]
    crashing.__signature__ = inspect.Signature([*kept, *more])  # type: ignore[attr-defined]  # what pytest reads
    return crashing


def _checked(test: Test, parameters: Mapping[str, object]) -> str:
    """Return what the parameter for the app is called.

    Raises:
        ConfigError: there is none, or the test is not to be called like that.
    """
    name = getattr(test, "__name__", repr(test))
    if inspect.iscoroutinefunction(test):
        raise ConfigError(f"{name}: a test of crashes is no coroutine; async handlers are run by app.drain()")
    if hasattr(test, "hypothesis"):
        raise ConfigError(f"{name}: Hypothesis calls it many times; call explore_crashes(body) in it instead")
    found = next((each for each in reversed(APP) if each in parameters), None)
    if found is None:
        raise ConfigError(
            f"{name}: give it a parameter `app`, through which it runs the workers that are to die"
        )
    return found


def _explore(
    crashes: Crashes,
    body: Callable[[App], None],
    request: "pytest.FixtureRequest",
    subtests: "pytest.Subtests",
    queue: Rehearsed | None,
) -> None:
    """Make all runs of a test of pytest, each with a crash as a subtest."""
    __tracebackhide__ = True
    import pytest

    crashes = crashes if crashes.queue is not None else replace(crashes, queue=queue)
    explorer = Explorer(crashes, in_force(), lambda: str(request.getfixturevalue("jobsim_postgres_dsn")))
    try:
        explorer.explore(body, subtests.test)
    except NotReached as error:
        if not in_force().replay or len(request.session.items) == 1:
            raise  # a test that is run by itself is the one
        pytest.skip(f"this is not the test to replay: {error}")
    finally:
        request.node.user_properties += [("jobsim_crashes", explorer.met), ("jobsim_left", explorer.left)]


def _fresh(fixtures: dict[str, Any], run: int) -> dict[str, Any]:
    """Return the fixtures with an empty directory of this run's own in the place of ``tmp_path``."""
    if "tmp_path" not in fixtures:
        return fixtures
    place: Path = fixtures["tmp_path"] / f"run-{run}"
    place.mkdir()
    return {**fixtures, "tmp_path": place}
