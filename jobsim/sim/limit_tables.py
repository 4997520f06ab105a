"""Limits in a scenario, and which are in force in a run of it: the same objects as live."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any, Final, Self, TypeVar

from pydantic import PlainSerializer, PlainValidator, ValidationInfo, WithJsonSchema, model_validator

from jobsim.budgets import BREAKERS, BUDGETS, breaker_named, budget_named
from jobsim.core.breaker import Breaker
from jobsim.core.budget import Budget
from jobsim.core.errors import ConfigError
from jobsim.core.guards import guarded
from jobsim.core.limits import NO_LIMIT, By, Limit, Rate, Scope
from jobsim.core.policy import RetryPolicy
from jobsim.models.base import Model
from jobsim.models.fields import Count, Text, checked_duration, default, from_file
from jobsim.models.problems import shown, unknown_key

T = TypeVar("T", Budget, Breaker)

PRESETS: Final[Mapping[type, Mapping[str, Budget] | Mapping[str, Breaker]]] = {
    Budget: BUDGETS,
    Breaker: BREAKERS,
}
"""The names that stand in a file for budgets and for breakers."""

_TIMES: Final = ("ttl", "window", "open_for")


def guard_table(guard: Budget | Breaker) -> str | dict[str, object]:
    """Return what stands for `guard` in a file: a preset's name, or a table of what is not as by default."""
    for name, preset in PRESETS[type(guard)].items():
        if preset == guard:
            return name
    plain = type(guard)()
    given = {f.name: v for f in fields(guard) if (v := getattr(guard, f.name)) != getattr(plain, f.name)}
    return {name: v if isinstance(v, float) or type(v) is int else str(v) for name, v in given.items()}


def _guard(cls: type[T], value: Any, info: ValidationInfo) -> T:
    if isinstance(value, cls):
        return value
    if not isinstance(value, Mapping):
        raise ConfigError(f"must be a table, or one of {', '.join(PRESETS[cls])}; not {shown(value)}")
    known = {f.name for f in fields(cls)}
    given = dict(value)
    for key, entry in value.items():
        if key not in known:
            raise ConfigError(f"{key}: {unknown_key(key, known)}")
        if key in _TIMES:
            try:
                given[key] = checked_duration(entry, from_file=from_file(info))
            except ConfigError as error:
                raise ConfigError(f"{key}: {error}") from None
    return cls(**given)


def _budget(value: Any, info: ValidationInfo) -> Budget:
    return budget_named(value) if isinstance(value, str) else _guard(Budget, value, info)


def _breaker(value: Any, info: ValidationInfo) -> Breaker:
    return breaker_named(value) if isinstance(value, str) else _guard(Breaker, value, info)


def _rate(value: Any) -> Rate:
    if not isinstance(value, str):
        raise ConfigError(f"{shown(value)} is no rate; write for example '100/1m' or '5/s'")
    return Rate.parse(value)


if TYPE_CHECKING:

    class _RateField:
        """Written as text such as ``"100/1m"``, read as a `Rate`."""

        def __get__(self, model: object, owner: type | None = None) -> Rate | None: ...
        def __set__(self, model: object, value: str | None) -> None: ...

    class _BudgetField:
        """Written as a budget, a preset's name or a table, read as a `Budget`."""

        def __get__(self, model: object, owner: type | None = None) -> Budget | None: ...
        def __set__(self, model: object, value: Budget | str | Mapping[str, Any] | None) -> None: ...

    class _BreakerField:
        """Written as a breaker, a preset's name or a table, read as a `Breaker`."""

        def __get__(self, model: object, owner: type | None = None) -> Breaker | None: ...
        def __set__(self, model: object, value: Breaker | str | Mapping[str, Any] | None) -> None: ...

else:
    _NAMED = WithJsonSchema({"type": ["string", "object"]})
    _RateField = (
        Annotated[Rate, PlainValidator(_rate), PlainSerializer(str), WithJsonSchema({"type": "string"})]
        | None
    )
    _BudgetField = Annotated[Budget, PlainValidator(_budget), PlainSerializer(guard_table), _NAMED] | None
    _BreakerField = Annotated[Breaker, PlainValidator(_breaker), PlainSerializer(guard_table), _NAMED] | None


class LimitTable(Model):
    """A limit for the jobs of a `kind`, or for those on a `queue`, where kinds that share a dependency stand.

    The fields are those of `jobsim.Limit`; a `rate` is text such as ``"100/1m"``, with its `burst` apart.
    """

    kind: Text | None = None
    queue: Text | None = None
    running: Count | None = None
    running_per_key: Count | None = None
    rate: _RateField = default(None)
    burst: Count | None = None
    budget: _BudgetField = default(None)
    breaker: _BreakerField = default(None)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.kind is None) == (self.queue is None):
            raise ConfigError("give one of kind and queue: whose limit it is")
        if self.burst is not None and self.rate is None:
            raise ConfigError("burst goes with rate")
        if not self.limit:
            raise ConfigError("limits nothing; give running, running_per_key, rate, budget or breaker")
        return self

    @property
    def scope(self) -> Scope:
        """Whose limit it is."""
        return Scope(By.KIND, str(self.kind)) if self.queue is None else Scope(By.QUEUE, self.queue)

    @property
    def limit(self) -> Limit:
        """What it says."""
        rate = self.rate
        if rate is not None and self.burst is not None:
            rate = Rate(rate.starts, rate.per, self.burst)
        return Limit(
            running=self.running,
            running_per_key=self.running_per_key,
            rate=rate,
            budget=self.budget,
            breaker=self.breaker,
        )


def limits_of(tables: Iterable[LimitTable], kinds: Iterable[str], policy: RetryPolicy) -> dict[Scope, Limit]:
    """Return the limits in force in a run: those of `tables`, and what `policy` brings for each kind."""
    limits = {table.scope: table.limit for table in tables}
    for kind in kinds:
        scope = Scope(By.KIND, kind)
        limits[scope] = guarded(limits.get(scope, NO_LIMIT), policy.budget, policy.breaker)
    return {scope: limit for scope, limit in limits.items() if limit}
