"""What is explored: who takes part, for how long, with how many faults; and the moves that this allows."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Final, NamedTuple, Self, assert_never

from jobsim.core.errors import ConfigError
from jobsim.core.outcome import Error, Failed
from jobsim.core.time import SECOND, Duration, Instant
from jobsim.testing.interleaving_process import Waiting
from jobsim.testing.interleaving_verbs import Wants

BEGAN: Final = Instant(1_767_225_600 * SECOND)
LEASE: Final = Duration(2 * SECOND)
TICK: Final = Duration(LEASE // 2 + 1)
"""What the clock advances by: one leaves a lease in force and every timer due, two end it."""

CLOCK: Final = -1
"""Who moves when time passes."""

WRITES: Final = frozenset({"enqueue", "claim", "settle", "exchange", "extend"})
"""Transactions whose answer may be lost; the last argument of each is the time."""

FAILED: Final = Failed(Error("ValueError"))

_NEEDED: Final = frozenset({"workers", "reapers", "enqueuers", "jobs", "attempts"})
_LETTERS: Final = re.compile(r"([a-z])(\d+)")


class How(StrEnum):
    """How a move goes."""

    PLAIN = "."
    """As it should."""

    DIES = "d"
    """The process dies where it stands."""

    DIES_AFTER = "a"
    """The process dies after the commit of its transaction, of which it does not hear."""

    LOST = "l"
    """The transaction is made, and the answer lost; the process goes on."""

    FAILS = "f"
    """The attempt fails."""


class Move(NamedTuple):
    """One step of a schedule: which process, from 0; what of it, as in `Waiting`; and how."""

    who: int
    number: int = 0
    how: How = How.PLAIN


class Spent(NamedTuple):
    """How many ticks have passed, and how many faults there were."""

    ticks: int = 0
    crashes: int = 0
    lost_replies: int = 0
    failures: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Who takes part, for how long, and how many faults there may be.

    Each worker has one slot and renews its leases; each reaper brings back what others lost; each of the
    `enqueuers` enqueues `jobs`, one by one or, with `batch`, at once, of `attempts` at most; with `keyed` all
    of them enqueue jobs with the same unique keys. The clock advances by `ticks` of half a lease; until then
    `crashes` processes die, `lost_replies` commits are not heard of, and `failures` attempts fail: at most so
    many, at every moment where they can. Calls and attempts may take any number of ticks; with `drowsy`
    timers may be late, too, and without it they are on time.

    Raises:
        ConfigError: a number is negative, or nobody is there to enqueue or to work.
    """

    workers: int = 2
    reapers: int = 1
    enqueuers: int = 1
    jobs: int = 1
    attempts: int = 3
    ticks: int = 3
    crashes: int = 0
    lost_replies: int = 0
    failures: int = 0
    batch: bool = False
    keyed: bool = False
    drowsy: bool = False

    def __post_init__(self) -> None:
        for field in fields(self):
            least = int(field.name in _NEEDED)
            if getattr(self, field.name) < least:
                raise ConfigError(f"{field.name}: must be at least {least}, not {getattr(self, field.name)}")

    def __str__(self) -> str:
        return "".join(f"{field.name[0]}{int(getattr(self, field.name))}" for field in fields(self))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the scope that `text` stands for.

        Raises:
            ConfigError: it stands for none.
        """
        named = {field.name[0]: field for field in fields(cls)}
        pairs = _LETTERS.findall(text)
        if "".join(map("".join, pairs)) != text or {letter for letter, _ in pairs} != named.keys():
            raise ConfigError(f"{text!r} stands for no scope; copy the whole token")
        values: dict[str, Any] = {named[letter].name: int(number) for letter, number in pairs}
        return cls(**values)


def clock(ticks: int) -> Instant:
    """Return the moment after so many `ticks`."""
    return Instant(BEGAN + ticks * TICK)


_SPENDS: Final = {
    How.PLAIN: Spent(),
    How.DIES: Spent(crashes=1),
    How.DIES_AFTER: Spent(crashes=1),
    How.LOST: Spent(lost_replies=1),
    How.FAILS: Spent(failures=1),
}
_ANSWERS: Final = (How.PLAIN, How.DIES_AFTER, How.LOST)
_OUTCOMES: Final = (How.PLAIN, How.FAILS)


def spend(spent: Spent, move: Move) -> Spent:
    """Return what is spent after `move`."""
    if move.who == CLOCK:
        return spent._replace(ticks=spent.ticks + 1)
    return Spent(*map(sum, zip(spent, _SPENDS[move.how], strict=True)))


def is_due(waiting: Waiting, now: Instant) -> bool:
    """Return whether the moment has come that is waited for."""
    return waiting.due is not None and waiting.due <= now


def first_due(waiting: Iterable[Waiting], now: Instant) -> Waiting | None:
    """Return the timer that runs out next, of those that are due."""
    due = (each for each in waiting if is_due(each, now))
    return min(due, key=lambda each: (each.due, each.number), default=None)


def allowed(scope: Scope, spent: Spent, how: How) -> bool:
    """Return whether a move of this kind may still be made."""
    after = spend(spent, Move(0, 0, how))
    limits = (scope.crashes, scope.lost_replies, scope.failures)
    return all(used <= limit for used, limit in zip(after[1:], limits, strict=True))


def ways(scope: Scope, spent: Spent, waiting: Waiting) -> Iterator[How]:
    """Yield how `waiting` may come to an end by a move: a timer by none, unless it may be late."""
    match waiting.wants:
        case Wants.CALL:
            yield from (how for how in _ANSWERS if allowed(scope, spent, how))
        case Wants.END:
            yield from (how for how in _OUTCOMES if allowed(scope, spent, how))
        case Wants.TIME:
            if scope.drowsy and is_due(waiting, clock(spent.ticks)):
                yield How.PLAIN
        case _:
            assert_never(waiting.wants)
