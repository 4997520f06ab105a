"""Retry budgets: a bucket of tokens that successes fill and retries empty. Values and pure functions."""

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from jobsim.core.checks import word_of
from jobsim.core.errors import ConfigError
from jobsim.core.fields import OptionalDurationField, default
from jobsim.core.time import MAX_DURATION, SECOND, Instant, duration
from jobsim.core.windows import SKEW, Window

_FINEST: Final = 1_000_000
TOKEN: Final = _FINEST * SECOND
"""How many of the whole numbers that balances are kept in make a token.

Amounts are in millionths of a token, and those by the second come in by the microsecond: so nothing is ever
rounded, and a balance is the same in every store and process, however often it is looked at.
"""

_MOST: Final = 1e9


class WhenEmpty(StrEnum):
    """What becomes of a retry that its budget cannot pay."""

    WAIT = "wait"
    """It is put off until the tokens that come in by the second have paid for it and for those before it."""

    DEAD_LETTER = "dead_letter"
    """The job becomes a dead letter, with the reason "budget"."""


class Ending(StrEnum):
    """How an attempt ended, as budgets and breakers see it."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"


class Purse(NamedTuple):
    """What is left of a budget: `balance` as it was `at` a moment, by `TOKEN`; below zero it is owed.

    With a time to live, `recent` holds what went in and out of late, and `balance` stays what it began with.
    """

    balance: int
    at: Instant
    recent: Window = Window()


if TYPE_CHECKING:

    class WhenEmptyField:
        """Written as a word, read as a `WhenEmpty`."""

        def __get__(self, owner: object, kind: type | None = None) -> WhenEmpty: ...
        def __set__(self, owner: object, value: WhenEmpty | str) -> None: ...

else:
    WhenEmptyField = str


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How many retries all jobs of a kind, or of a queue, may make together: a bucket of tokens.

    It begins with `capacity` tokens, and holds no more. Tokens come in: `first_try` when the first attempt of
    a job has ended in any way, `success` and `late_success` when a first attempt or a later one succeeds, and
    `per_second` as time passes. They go out: `cost` when a retry is granted, or `timeout_cost` (`None`: the
    same) after an attempt that timed out; and `failure_cost`, if it is there, for each that fails at all. A
    retry is granted where `threshold` tokens are there (`None`: what it costs). With a `ttl`, what came in or
    went out is forgotten after that time, and the balance may pass `capacity`.

    Where a retry is not granted, `when_empty` says what becomes of it; to wait, tokens must come in by the
    second. Attempts that were lost with their worker, or given back, neither pay nor earn.

    Raises:
        ConfigError: a number is negative or not finite, or two of them contradict each other.
    """

    capacity: float = 100.0
    first_try: float = 0.1
    success: float = 0.0
    late_success: float = 0.0
    per_second: float = 1.0
    cost: float = 1.0
    timeout_cost: float | None = None
    failure_cost: float = 0.0
    threshold: float | None = None
    ttl: OptionalDurationField = default(None)
    when_empty: WhenEmptyField = default(WhenEmpty.WAIT)

    def __post_init__(self) -> None:
        for name in _AMOUNTS:
            _check_amount(getattr(self, name), name)
        object.__setattr__(self, "when_empty", word_of(self.when_empty, WhenEmpty, "when_empty"))
        if self.ttl is not None:
            object.__setattr__(self, "ttl", duration(self.ttl, "ttl"))
            self._check_ttl()
        if not self.capacity:
            raise ConfigError("capacity: must be above 0, else no retry can ever be paid")
        if self.when_empty is WhenEmpty.WAIT and not self.per_second:
            raise ConfigError(
                "per_second: must be above 0 where retries wait for the budget, else they might wait for "
                "ever; or write when_empty='dead_letter'"
            )
        if self.ttl is None and max(map(self._needed, Ending)) > _units(self.capacity):
            raise ConfigError("capacity: is less than one retry needs")

    def _check_ttl(self) -> None:
        if not self.ttl:
            raise ConfigError("ttl: must be longer than 0s")
        if self.per_second:
            raise ConfigError("per_second: with a ttl, write per_second * ttl as the capacity and 0 here")

    def __repr__(self) -> str:
        given = (f"{f.name}={_shown(getattr(self, f.name))}" for f in fields(self) if _told(self, f.name))
        return f"Budget({', '.join(given)})"

    def open(self, now: Instant) -> Purse:
        """Return the full purse of a budget that begins `now`."""
        return Purse(_units(self.capacity), now)

    def available(self, purse: Purse, now: Instant) -> float:
        """Return the tokens there are `now`; below zero, those that waiting retries owe."""
        purse = self._refilled(purse, now)
        return (purse.balance + purse.recent.total) / TOKEN

    def ended(self, purse: Purse, ending: Ending, *, first: bool, now: Instant) -> Purse:
        """Return the purse after an attempt, the `first` of its job or not, that has ended `now`."""
        amount = self.first_try if first else 0.0
        if ending is Ending.SUCCEEDED:
            amount += self.success if first else self.late_success
        else:
            amount -= self.failure_cost
        change = _units(amount)
        if change < 0:  # no failure leaves debts
            purse = self._refilled(purse, now)
            change = max(change, -max(0, purse.balance + purse.recent.total))
        return self._moved(purse, change, now)

    def grants(self, purse: Purse, ending: Ending, now: Instant) -> bool:
        """Return whether there is enough for a retry after an attempt that ended so."""
        purse = self._refilled(purse, now)
        return purse.balance + purse.recent.total >= self._needed(ending)

    def pay(self, purse: Purse, ending: Ending, now: Instant) -> tuple[Purse, Instant]:
        """Return the purse after a retry was paid, and when there is enough for it: `now`, if it is granted.

        For one that is not, the purse comes to owe.
        """
        purse = self._refilled(purse, now)
        lacking = self._needed(ending) - purse.balance
        wait = min(max(0, -(-lacking // self._rate)), MAX_DURATION) if self._rate else 0
        return self._moved(purse, -self._price(ending), now), Instant(now + wait)

    def _price(self, ending: Ending) -> int:
        if ending is Ending.TIMED_OUT and self.timeout_cost is not None:
            return _units(self.timeout_cost)
        return _units(self.cost)

    def _needed(self, ending: Ending) -> int:
        return self._price(ending) if self.threshold is None else _units(self.threshold)

    @property
    def _rate(self) -> int:
        """What comes in by the microsecond."""
        return _units(self.per_second) // SECOND

    def _refilled(self, purse: Purse, now: Instant) -> Purse:
        """Return the purse with what time has brought, and without what is forgotten."""
        if self.ttl is not None:
            return purse._replace(recent=purse.recent.at(now, self.ttl))
        since = purse.at
        if not self._rate or now <= since <= now + SKEW:
            return purse
        came = max(0, now - since) * self._rate  # nothing, by a clock that has been set back
        return Purse(min(purse.balance + came, _units(self.capacity)), now)

    def _moved(self, purse: Purse, amount: int, now: Instant) -> Purse:
        purse = self._refilled(purse, now)
        if self.ttl is not None:
            return purse._replace(recent=purse.recent.add(amount)) if amount else purse
        return purse._replace(balance=min(purse.balance + amount, _units(self.capacity)))


_AMOUNTS: Final = tuple(f.name for f in fields(Budget) if f.name not in ("ttl", "when_empty"))
_DEFAULTS: Final = {f.name: f.default for f in fields(Budget)}


def _units(tokens: float) -> int:
    return round(tokens * _FINEST) * SECOND


def _check_amount(value: object, name: str) -> None:
    if value is None and _DEFAULTS[name] is None:
        return
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= _MOST:
        raise ConfigError(f"{name}: must be a number of tokens, from 0 to a thousand million; not {value!r}")
    if 0 < value < 1 / _FINEST:
        raise ConfigError(f"{name}: tokens are counted in millionths, and {value!r} is less than one")


def _told(budget: Budget, name: str) -> bool:
    return bool(getattr(budget, name) != _DEFAULTS[name])


def _shown(value: object) -> str:
    return repr(value) if isinstance(value, float) or type(value) is int else repr(str(value))
