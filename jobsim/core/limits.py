"""Limits on how many attempts run at once, how often they start and are tried again; who may start so."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple, Self

from jobsim.core.breaker import Breaker, Circuit, Phase
from jobsim.core.budget import Budget
from jobsim.core.checks import check_count
from jobsim.core.errors import ConfigError
from jobsim.core.time import SECOND, DurationLike, Instant, duration
from jobsim.core.windows import SKEW

_TOGETHER: Final = SECOND // 10
_EVER: Final = Instant(-(2**62))
_RATE: Final = re.compile(r"(\d+)/(.+)", re.ASCII)


class By(StrEnum):
    """What a limit is for."""

    KIND = "kind"
    QUEUE = "queue"


class Scope(NamedTuple):
    """The jobs that a limit is for: those of a kind, or those on a queue."""

    by: By
    name: str


class Lane(NamedTuple):
    """All that limits tell apart: jobs of one lane are held back together."""

    queue: str
    kind: str
    key: str

    @property
    def scopes(self) -> tuple[Scope, Scope]:
        """The scopes whose limits hold for it."""
        return Scope(By.QUEUE, self.queue), Scope(By.KIND, self.kind)


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `starts` attempts begin per `per`, evenly spaced but for `burst` at once after a pause.

    In any `per`, `starts + burst` can begin. Where no `burst` is given, it is what comes together in a
    tenth of a second, at least 1.

    Source: the generic cell rate algorithm, ITU-T I.371, annex A.

    Raises:
        ConfigError: a number below 1, or a `per` of no length.
    """

    starts: int
    per: DurationLike
    burst: int | None = None

    def __post_init__(self) -> None:
        per = duration(self.per, "per")
        object.__setattr__(self, "per", per)
        check_count(self.starts, "starts")
        if not per:
            raise ConfigError("per: must be longer than 0s")
        if self.burst is None:
            object.__setattr__(self, "burst", max(1, self.starts * _TOGETHER // per))
        check_count(self.burst, "burst")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the rate that `text` spells, such as ``"100/1m"`` or ``"5/s"``.

        Raises:
            ConfigError: it spells none.
        """
        match = _RATE.fullmatch(text)
        if match is None:
            raise ConfigError(f"{text!r} is no rate; write for example 100/1m or 5/s")
        per = match[2] if match[2][:1].isdigit() else f"1{match[2]}"
        return cls(int(match[1]), duration(per, "per"))

    def __str__(self) -> str:
        return f"{self.starts}/{self.per}"

    @property
    def interval(self) -> int:
        """Microseconds from one start to the next, rounded up, so that never more begin than is said."""
        return -(-duration(self.per) // self.starts)

    @property
    def tolerance(self) -> int:
        """Microseconds by which a start may come before its turn."""
        return (int(self.burst or 1) - 1) * self.interval


def check_guards(budget: object, breaker: object) -> None:
    """Refuse what is no budget or no breaker.

    Raises:
        ConfigError: one of them is not.
    """
    if budget is not None and not isinstance(budget, Budget):
        raise ConfigError(f"budget: write Budget(per_second=1), or one of jobsim.budgets; not {budget!r}")
    if breaker is not None and not isinstance(breaker, Breaker):
        raise ConfigError(f"breaker: write Breaker(threshold=0.5), or one of jobsim.budgets; not {breaker!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """At most `running` attempts at once, `running_per_key` of them with one limit key, begun at `rate`.

    It holds across workers and processes. What is `None` is not limited; jobs without a limit key share one.
    `budget` is what retries are paid from, and `breaker` stops what fails too often.

    Raises:
        ConfigError: a number below 1.
    """

    running: int | None = None
    running_per_key: int | None = None
    rate: Rate | None = None
    budget: Budget | None = None
    breaker: Breaker | None = None

    def __post_init__(self) -> None:
        for name in ("running", "running_per_key"):
            if getattr(self, name) is not None:
                check_count(getattr(self, name), name)
        if self.rate is not None and not isinstance(self.rate, Rate):
            raise ConfigError(f"rate: write Rate(100, per='1m'), not {self.rate!r}")
        check_guards(self.budget, self.breaker)

    @property
    def holds(self) -> bool:
        """Whether it can hold a claim back."""
        if self.breaker is not None and self.breaker.holds:
            return True
        return not (self.running is None and self.running_per_key is None and self.rate is None)

    @property
    def guards(self) -> bool:
        """Whether it asks how attempts end."""
        return self.budget is not None or self.breaker is not None

    def __bool__(self) -> bool:
        return self != NO_LIMIT


NO_LIMIT: Final = Limit()


class Gate:
    """Who may start under `limits`, given how many attempts of each lane are `running`.

    `turns` says when the next attempt of a scope that has a rate has its turn; `moved` holds those turns that
    `enter` has moved. `circuits` says how breakers stand.
    """

    __slots__ = ("_circuits", "_keys", "_limits", "_scopes", "_turns", "moved")

    def __init__(
        self,
        limits: Mapping[Scope, Limit],
        running: Mapping[Lane, int],
        turns: Mapping[Scope, Instant],
        circuits: Mapping[Scope, Circuit] = MappingProxyType({}),
    ) -> None:
        self._limits = limits
        self._circuits = circuits
        self._turns = dict(turns)
        self.moved: dict[Scope, Instant] = {}
        self._scopes: Counter[Scope] = Counter()
        self._keys: Counter[tuple[Scope, str]] = Counter()
        for lane, number in running.items():
            self._count(lane, number)

    def _count(self, lane: Lane, number: int) -> None:
        for scope in lane.scopes:
            self._scopes[scope] += number
            self._keys[scope, lane.key] += number

    def room(self, lane: Lane, now: Instant) -> int | None:
        """Return how many attempts of `lane` may start now; `None` where nothing limits them."""
        rooms = [room for scope in lane.scopes for room in self._rooms(scope, lane.key, now)]
        return max(0, min(rooms)) if rooms else None

    def _rooms(self, scope: Scope, key: str, now: Instant) -> list[int]:
        limit, rooms = self._limits.get(scope, NO_LIMIT), []
        if limit.running is not None:
            rooms.append(limit.running - self._scopes[scope])
        if limit.running_per_key is not None:
            rooms.append(limit.running_per_key - self._keys[scope, key])
        if limit.rate is not None:
            turn = self._turn(scope, limit.rate, now)
            rooms.append((now + limit.rate.tolerance - turn) // limit.rate.interval + 1)
        if limit.breaker is not None and limit.breaker.holds and scope in self._circuits:
            rooms += self._probes(scope, limit.breaker, now)
        return rooms

    def _probes(self, scope: Scope, breaker: Breaker, now: Instant) -> list[int]:
        """Return how many attempts a breaker lets through; nothing where it is closed."""
        circuit = self._circuits[scope]
        match breaker.phase(circuit, now):
            case Phase.OPEN:
                return [0]
            case Phase.HALF_OPEN:
                return [breaker.left(circuit) - self._scopes[scope]]
            case _:
                return []

    def _turn(self, scope: Scope, rate: Rate, now: Instant) -> Instant:
        """Return when the next turn is: now, where the one kept is past, or was given by a wrong clock."""
        turn = self._turns.get(scope, now)
        return now if turn > now + rate.tolerance + rate.interval + SKEW else max(turn, now)

    def enter(self, lane: Lane, now: Instant) -> bool:
        """Let one attempt of `lane` start now, if it may."""
        if self.room(lane, now) == 0:
            return False
        self._count(lane, 1)
        for scope in lane.scopes:
            rate = self._limits.get(scope, NO_LIMIT).rate
            if rate is not None:
                turn = Instant(self._turn(scope, rate, now) + rate.interval)
                self._turns[scope] = self.moved[scope] = turn
        return True

    def opens(self, lane: Lane) -> Instant | None:
        """Return from when on an attempt of `lane` may start; `None`: not before another ends."""
        opens = _EVER
        for scope in lane.scopes:
            limit = self._limits.get(scope, NO_LIMIT)
            if _full(limit.running, self._scopes[scope]):
                return None
            if _full(limit.running_per_key, self._keys[scope, lane.key]):
                return None
            if limit.rate is not None and scope in self._turns:
                opens = max(opens, Instant(self._turns[scope] - limit.rate.tolerance))
            circuit = self._circuits.get(scope)
            if limit.breaker is not None and circuit is not None and circuit.until is not None:
                if _full(limit.breaker.left(circuit), self._scopes[scope]):
                    return None
                opens = max(opens, circuit.until)
        return opens


def _full(limit: int | None, running: int) -> bool:
    return limit is not None and running >= limit
