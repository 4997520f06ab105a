"""One clean run of a test, then one for each point at which a worker could die."""

import linecache
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import KW_ONLY, dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from jobsim.core.errors import ConfigError, JobsimError, did_you_mean
from jobsim.core.streams import Purpose, Streams
from jobsim.core.time import DurationLike, duration
from jobsim.testing.app import App, Rehearsed, staged
from jobsim.testing.injector import Injector
from jobsim.testing.killing import KillingInjector
from jobsim.testing.lines import codes_of
from jobsim.testing.options import STORAGES, Options, check_storage, in_force
from jobsim.testing.points import Act, Plan, Point, Strike, Token, told
from jobsim.testing.venue import check_shared

Body = Callable[[App], object]
"""A test: it makes its world anew at each call, and asserts on it."""

Report = Callable[[str], AbstractContextManager[object]]
"""Takes what befalls the workers of a run, in words; returns what the run is made within."""


class Mode(StrEnum):
    """How a worker dies."""

    RAISE = "raise"
    """In the test's own process, by an exception that is no `Exception`: quick, and `finally` is run."""

    KILL = "kill"
    """In a process of its own, by SIGKILL: what is kept in memory goes with it."""


class NotReached(JobsimError):
    """A point that a run met before was not met again: equal runs of the test are not equal."""


@dataclass(frozen=True, slots=True)
class Crashes:
    """Which crashes a test is put through.

    `points` are patterns of names (see `Point`), and `through` functions, classes or modules whose lines
    are points, too. Up to `deaths` workers die one after the other. With `duplicate_delivery`, workers also
    stall at each line of a handler for longer than their lease, and wake up when another has done the job.
    `max_points` bounds the crashes tried on each store, by number of deaths. A dead worker's jobs come back
    after `lease`.

    Raises:
        ConfigError: a value cannot be used.
    """

    queue: Rehearsed | None = None
    _: KW_ONLY
    points: Sequence[str] = ("*",)
    deaths: int = 1
    duplicate_delivery: bool = False
    storage: Sequence[str] = ()
    mode: Mode | str = Mode.RAISE
    max_points: int | None = None
    through: Iterable[object] = ()
    lease: DurationLike = "60s"

    def __post_init__(self) -> None:
        for name in ("points", "storage", "through"):
            value = getattr(self, name)
            if isinstance(value, str) or not isinstance(value, Iterable):
                raise ConfigError(
                    f"{name}: write a list, such as [{getattr(value, '__name__', repr(value))}]"
                )
            object.__setattr__(self, name, tuple(value))
        if not self.points:
            raise ConfigError('points: name some, such as ["handler:*"]; without any, no worker would die')
        for name in self.storage:
            check_storage(name, "storage")
        for name in ("deaths", "max_points"):
            _check_number(getattr(self, name), name)
        if self.mode not in list(Mode):
            raise ConfigError(f"mode: {self.mode!r} is neither raise nor kill{did_you_mean(self.mode, Mode)}")
        object.__setattr__(self, "mode", Mode(self.mode))
        for thing in self.through:
            if not codes_of(thing):
                raise ConfigError(
                    f"through: {thing!r} has no lines of Python; name functions, classes or modules"
                )
        duration(self.lease, "lease")
        if self.queue is not None and not hasattr(self.queue, "rehearsed"):
            raise ConfigError(
                f"{self.queue!r} is no queue; write crash_everywhere() or crash_everywhere(queue)"
            )


def _check_number(number: object, name: str) -> None:
    if name == "max_points" and number is None:
        return
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise ConfigError(f"{name}: must be a whole number, at least 1; not {number!r}")


@dataclass(slots=True)
class Explorer:
    """Runs a test under `crashes`, as the `options` of this run of pytest have it.

    `dsn` returns where a PostgreSQL server is. `met` counts the points at which a worker died or stalled,
    `left` those that were left out for their number.
    """

    crashes: Crashes
    options: Options
    dsn: Callable[[], str]
    met: int = 0
    left: int = 0

    def explore(self, body: Body, report: Report) -> None:
        """Make all runs; each with a crash is made within what `report` returns for it.

        Raises:
            ConfigError: no worker would die at any of the points, so that the test could not fail.
            Exception: what `body` raises in a clean run.
        """
        if self.options.replay:
            token = Token.parse(self.options.replay, STORAGES)
            self.met += 1
            self._play(body, token)
            return
        storages = self.crashes.storage or self.options.storages
        if self.crashes.mode is Mode.KILL:
            check_shared(storages)
        for storage in storages:
            where = f" on {storage}" if len(storages) > 1 else ""
            self._explore(body, storage, _reporting(report, where))

    def _explore(
        self, body: Body, storage: str, report: Callable[[Plan], AbstractContextManager[object]]
    ) -> None:
        frontier: list[tuple[Plan, list[Point]]] = [((), self._clean(body, storage))]
        for _ in range(self.crashes.deaths):
            plans = [(*plan, strike) for plan, points in frontier for strike in self._strikes(plan, points)]
            frontier = []
            for plan in self._chosen(plans):
                with report(plan):
                    self.met += 1
                    reached = self._play(body, Token(plan, storage, self.options.seed))
                    if plan[-1].act is Act.DIE:
                        frontier.append((plan, _after(plan[-1].point, reached)))

    def _clean(self, body: Body, storage: str) -> list[Point]:
        """Make two runs in which nobody dies, and return the points that workers reached.

        What the first leaves behind would be taken for the doing of workers that die.
        """
        token, kills = Token((), storage, self.options.seed), self.crashes.mode is Mode.KILL
        first = self._play(body, token, Mode.RAISE)
        try:
            reached = self._play(body, token)
        except Exception as error:
            error.add_note(_IN_MEMORY if kills else _LEFT_BEHIND)
            raise
        if not kills and (odd := set(first) ^ set(reached)):
            raise NotReached(_NOT_REACHED.format(", ".join(map(str, sorted(odd))), "one of two runs"))
        self._check_points(reached)
        return reached

    def _check_points(self, reached: list[Point]) -> None:
        """Refuse a test that would try nothing."""
        if not reached:
            raise ConfigError("no worker ran in this test, so that none can die: call app.drain()")
        names = list(dict.fromkeys(point.name for point in reached))
        for pattern in self.crashes.points:
            if not any(fnmatchcase(name, pattern) for name in names):
                hint = did_you_mean(pattern, names)
                raise ConfigError(
                    f"points: no worker reached {pattern!r}{hint}; there are {', '.join(names)}"
                )

    def _strikes(self, plan: Plan, points: list[Point]) -> Iterator[Strike]:
        for point in points:
            if any(fnmatchcase(point.name, pattern) for pattern in self.crashes.points):
                yield Strike(point)
                if self.crashes.duplicate_delivery and point.in_handler and not plan:
                    yield Strike(point, Act.STALL)

    def _chosen(self, plans: list[Plan]) -> list[Plan]:
        """Return as many of `plans` as are asked for, always the same ones of them under one seed."""
        bounds = [n for n in (self.crashes.max_points, self.options.crashes) if n is not None]
        most = min(bounds, default=len(plans))
        self.left += max(0, len(plans) - most)
        if most >= len(plans):
            return plans
        lots = Streams(self.options.seed).numbers(Purpose.CRASH)
        return [plans[n] for n in sorted(sorted(range(len(plans)), key=lots)[:most])]

    def _play(self, body: Body, token: Token, mode: Mode | None = None) -> list[Point]:
        """Make the run that `token` tells of, check its history, and return the points that were reached."""
        crashes, kills = self.crashes, (mode or self.crashes.mode) is Mode.KILL
        injector = (KillingInjector if kills else Injector)(token.plan, crashes.through)
        dsn = self.dsn() if token.storage == "postgres" else ""
        with staged(
            crashes.queue,
            storage=token.storage,
            injector=injector,
            seed=token.seed,
            lease=crashes.lease,
            dsn=dsn,
            shared=kills,
        ) as app:
            with _explained(token, injector):
                body(app)
                if injector.missed:
                    raise NotReached(
                        _NOT_REACHED.format(
                            ", ".join(str(each.point) for each in injector.missed), "this run"
                        )
                    )
                app.check()
            return injector.reached


def _reporting(report: Report, where: str) -> Callable[[Plan], AbstractContextManager[object]]:
    return lambda plan: report(f"{told(plan)}{where}")


_NOT_REACHED: Final = (
    "no worker reached {} in {}: equal runs must be equal, so does the test depend on chance, on the "
    "real clock, or on what an earlier run left behind? Build its world inside of it"
)
_LEFT_BEHIND: Final = (
    "it passed when it was called first, and fails when it is called again, though no worker dies: what it "
    "asserts on is older than a run; build that inside of the test, as fixtures other than tmp_path are made "
    "once for all runs"
)
_IN_MEMORY: Final = (
    'it failed with mode="kill" before any worker was killed, and passes with mode="raise": what it asserts '
    "on lives in the memory of the worker's process, or of the test's; keep it in a file or a database "
    "(tmp_path is a new directory in each run)"
)


def _after(point: Point, reached: list[Point]) -> list[Point]:
    return reached[reached.index(point) + 1 :]


@contextmanager
def _explained(token: Token, injector: Injector) -> Iterator[None]:
    """Add to what is raised where workers died, and how to repeat that."""
    try:
        yield
    except BaseException as error:
        if token.plan:
            for strike in token.plan:
                error.add_note(_explanation(strike, injector))
            error.add_note(f"replay with: pytest {_test()}--jobsim-replay={token}")
        raise


def _explanation(strike: Strike, injector: Injector) -> str:
    if strike in injector.missed:
        return f"no worker reached {strike.point}, where it was to {strike.act}"
    place = injector.places.get(strike.point.name)
    if place is None:
        return f"the worker {strike.told}"
    file, line = place
    source = linecache.getline(file, line).strip()
    time = "" if strike.point.nth == 1 else f", reached for the {strike.point.nth}. time"
    return f"the worker {strike.act}s before line {line} of {Path(file).name}{time}: {source}"


def _test() -> str:
    """Return the id of the test that is under way, as pytest takes it where it was called."""
    file, colons, name = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0].partition("::")
    options = in_force()
    if not name or not options.root:
        return ""
    test = f"{os.path.relpath(Path(options.root, file), options.here)}{colons}{name}"
    escaped = test.replace("'", r"'\''")
    return f"'{escaped}' "
