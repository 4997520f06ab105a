"""What befalls the workers of a test: the points that they reach are named, and some are struck."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from types import CodeType
from typing import Any, Final, NoReturn
from weakref import WeakSet

from jobsim.core.errors import ConfigError, PowerLost, did_you_mean
from jobsim.core.job import JobId
from jobsim.live.handler import Handler
from jobsim.live.inline import Clocked, Life
from jobsim.storage.faulty import lose_power
from jobsim.storage.troubles import Mishap, Trouble
from jobsim.testing.lines import Codes, codes_of, watched
from jobsim.testing.points import CALLS, Act, Plan, Point, Strike

_AROUND: Final = (("before", Mishap.DIES_BEFORE), ("after", Mishap.DIES_AFTER))


class Injector:
    """The peril of a rehearsal, and the troubles of its store.

    `plan` says what befalls the workers. `through` are functions, classes or modules whose lines are
    points, too, where a handler calls them. `reached` are the points that were met so far, outside of what
    others did while a worker stood still; `accepted` the jobs that the store took.
    """

    def __init__(self, plan: Plan = (), through: Iterable[object] = ()) -> None:
        self.reached: list[Point] = []
        self.places: dict[str, tuple[str, int]] = {}
        self.accepted: list[JobId] = []
        self.here: Clocked | None = None
        self.overtake: Callable[[], object] = lambda: None
        self.moved_in: Callable[[], object] = lambda: None
        self._plan = {strike.point: strike.act for strike in plan}
        self._through: Final = codes_of(*through)
        self._counts: Counter[str] = Counter()
        self._deadly: list[str] = []
        self._mishaps: list[tuple[str, Mishap]] = []
        self._at_work = self._dead = self._aside = self._unsettled = False
        self._felt = 0  # the thread that was told of the death last
        self._ghosts: WeakSet[threading.Thread] = WeakSet()

    @property
    def missed(self) -> Plan:
        """What was planned, and never happened."""
        return tuple(Strike(point, act) for point, act in self._plan.items())

    @property
    def idle(self) -> list[str]:
        """What `befall` and `kill_worker` were told, and never happened."""
        return [*self._deadly, *(f"{mishap} of {call or 'any call'}" for call, mishap in self._mishaps)]

    def befall(self, mishap: Mishap | str, call: str = "", *, times: int = 1) -> None:
        """Let the next calls that workers make of their store go wrong, all or those named `call`.

        The calls are claim, settle, rescue, extend and enqueue; a worker tries again after what may pass.

        Raises:
            ConfigError: there is no such mishap, or no such call.
        """
        if mishap not in list(Mishap):
            raise ConfigError(
                f"{mishap!r} is no mishap{did_you_mean(mishap, Mishap)}; those are {', '.join(Mishap)}"
            )
        if call and call not in CALLS:
            raise ConfigError(f"{call!r} is no call{did_you_mean(call, CALLS)}; those are {', '.join(CALLS)}")
        self._mishaps += [(call, Mishap(mishap))] * times

    def kill_worker(self, at: str) -> None:
        """Let the next worker die that reaches a point `at`: its name or a pattern, ``engine:before:settle``.

        Raises:
            ConfigError: it cannot match the name of a point.
        """
        if not at.startswith(("handler:", "engine:", "*")):
            raise ConfigError(
                f"{at!r} is no crash point; those read handler:charge:14 or engine:before:settle"
            )
        self._deadly.append(at)

    def live(self, life: Life, ends: Counter[str]) -> bool:
        """Let a worker live its `life`; return whether it came to its own end."""
        if self._aside:
            return life(ends)
        self._at_work, self._dead, self._unsettled = True, False, False
        others, ended = set(threading.enumerate()), False
        try:
            ended = life(ends)
        finally:
            if not ended:
                self._ghosts.update(set(threading.enumerate()) - others)
            self._at_work = self._dead = False
        return ended

    @contextmanager
    def handling(self, handler: Handler[..., Any]) -> Iterator[None]:
        """Watch over a handler, which runs within; `PowerLost` is raised where that ends its worker."""
        if self._aside:
            yield
            return
        self._unsettled = False
        with watched(self._codes(handler), self._line):
            yield
        self._unsettled = True
        if self._dead:  # the handler has swallowed it
            lose_power()

    def _codes(self, handler: Handler[..., Any]) -> Codes:
        return {**codes_of(handler.fn), **self._through}

    def _line(self, code: CodeType, line: int) -> None:
        if self._dead and self._felt != threading.get_ident():
            self.die()  # as another thread of this worker has
        if self._dead or self._aside:
            return
        name = f"handler:{code.co_name.strip('<>')}:{line}"
        self.places[name] = code.co_filename, line
        match self.reach(name):
            case Act.DIE:
                self.die()
            case Act.STALL:
                self._stall()
            case None:
                pass

    def _stall(self) -> None:
        self._aside = True
        try:
            self.overtake()
        finally:
            self._aside = False

    def troubles(self, call: str) -> Trouble | None:
        """Return what befalls a `call` of the store."""
        if self._dead or threading.current_thread() in self._ghosts:
            lose_power()  # what runs on of a dead worker's handler reaches nothing
        name = self._named(call)
        if name not in CALLS or not self._at_work or self._aside:
            return None
        for when, mishap in _AROUND:
            if self.reach(f"engine:{when}:{name}") is Act.DIE:
                return Trouble(mishap)
        return self._ordered(name)

    def _named(self, call: str) -> str:
        """Return what a call is for; one exchange settles what has ended and claims what comes next."""
        if call == "exchange":
            return "settle" if self._unsettled else "claim"
        return "rescue" if call == "settle" else call

    def _ordered(self, name: str) -> Trouble | None:
        for order in self._mishaps:
            if order[0] in ("", name):
                self._mishaps.remove(order)
                return Trouble(order[1])
        return None

    def reach(self, name: str) -> Act | None:
        """Note that a worker is at the point `name`, and return what befalls it there."""
        self._counts[name] += 1
        point = Point(name, self._counts[name])
        self.reached.append(point)
        deadly = next((pattern for pattern in self._deadly if fnmatchcase(name, pattern)), None)
        if deadly is not None:
            self._deadly.remove(deadly)
            return Act.DIE
        return self._plan.pop(point, None)

    def die(self) -> NoReturn:
        """End the worker that calls this.

        Raises:
            PowerLost: always.
        """
        self._dead, self._felt = True, threading.get_ident()
        lose_power()


@contextmanager
def unheard() -> Iterator[None]:
    """Have nobody told of threads that end because their worker is dead."""
    before = threading.excepthook

    def told(what: threading.ExceptHookArgs) -> None:
        if what.exc_type is not PowerLost:
            before(what)

    threading.excepthook = told
    try:
        yield
    finally:
        threading.excepthook = before
