"""Where a worker can die in a test: points by name, what befalls it there, and tokens to replay that."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final, NamedTuple, Self

from jobsim.core.errors import ConfigError

CALLS: Final = ("claim", "settle", "rescue", "extend", "enqueue")
"""What a worker asks of its store that changes something: dying around what only reads shows nothing more."""


class Act(StrEnum):
    """What befalls a worker at a point."""

    DIE = "die"
    """It runs no further; another gets its job when the lease has ended."""

    STALL = "stall"
    """It stands still for longer than its lease, others do its job meanwhile, and then it goes on."""


class Point(NamedTuple):
    """A moment in a run: when `name` is reached for the `nth` time, from 1.

    Names are ``handler:FUNCTION:LINE``, before that line, and ``engine:before:CALL`` or ``engine:after:CALL``
    of a call of the store: claim, settle, rescue (of a dead worker's jobs), extend or enqueue.
    """

    name: str
    nth: int = 1

    def __str__(self) -> str:
        return self.name if self.nth == 1 else f"{self.name}@{self.nth}"

    @property
    def in_handler(self) -> bool:
        """Whether it is a line of a handler."""
        return self.name.startswith("handler:")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the point that `text` spells.

        Raises:
            ConfigError: it spells none.
        """
        name, at, number = text.partition("@")
        if not _is_name(name) or (at and not (number.isdecimal() and int(number))):
            raise ConfigError(
                f"{text!r} is no crash point; those read handler:charge:14 or engine:before:settle@2"
            )
        return cls(name, int(number or 1))


def _is_name(text: str) -> bool:
    match text.split(":"):
        case ["handler", function, line]:
            return bool(function) and line.isdecimal()
        case ["engine", "before" | "after", call]:
            return call in CALLS
    return False


class Strike(NamedTuple):
    """What befalls the worker at a point."""

    point: Point
    act: Act = Act.DIE

    def __str__(self) -> str:
        return str(self.point) if self.act is Act.DIE else f"{_STALLS}{self.point}"

    @property
    def told(self) -> str:
        """What happens, in words."""
        return f"{_VERBS[self.act]} at {self.point}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the strike that `text` spells.

        Raises:
            ConfigError: it spells none.
        """
        stalls = text.startswith(_STALLS)
        point = Point.parse(text.removeprefix(_STALLS))
        return cls(point, Act.STALL if stalls else Act.DIE)


_STALLS: Final = "stall:"
_VERBS: Final = {Act.DIE: "dies", Act.STALL: "stalls"}

Plan = tuple[Strike, ...]
"""What befalls the workers of one run, in this order; nothing, in a clean one."""


def told(plan: Plan) -> str:
    """Return what happens, in words."""
    return f"worker {', then '.join(strike.told for strike in plan)}" if plan else "no worker dies"


class Token(NamedTuple):
    """One run of a test, to be repeated: ``handler:charge:14+engine:before:settle@2/sqlite/seed=7``."""

    plan: Plan
    storage: str
    seed: int

    def __str__(self) -> str:
        return f"{'+'.join(map(str, self.plan))}/{self.storage}/seed={self.seed}"

    @classmethod
    def parse(cls, text: str, storages: Iterable[str]) -> Self:
        """Return the run that `text` spells, on one of `storages`.

        Raises:
            ConfigError: it spells none.
        """
        plan, _, rest = text.partition("/")
        storage, _, seed = rest.partition("/seed=")
        if storage not in storages or not seed.isdecimal():
            raise ConfigError(
                f"{text!r} is no token of a run; copy it as the failure prints it, "
                "such as handler:charge:14/memory/seed=1"
            )
        return cls(tuple(Strike.parse(strike) for strike in plan.split("+") if strike), storage, int(seed))
