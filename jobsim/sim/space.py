"""The space of policies that a search looks through: which keys of a policy vary, and within what."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Final, NamedTuple

from pydantic import PlainSerializer, PlainValidator, ValidationInfo, WithJsonSchema, field_validator

from jobsim.analysis.measure import Better
from jobsim.analysis.measures import MEASURES
from jobsim.core.errors import ConfigError, did_you_mean
from jobsim.core.policy import RetryPolicy
from jobsim.core.time import Duration, duration
from jobsim.models.base import Model
from jobsim.models.fields import Text, default, from_file
from jobsim.models.problems import not_one_of, shown
from jobsim.sim.expectations import Expectation, ExpectationsField
from jobsim.sim.tree import put


class Choice(NamedTuple):
    """One of some values."""

    values: tuple[Any, ...]


class Whole(NamedTuple):
    """A whole number, both ends included."""

    low: int
    high: int


class Real(NamedTuple):
    """A number, both ends included."""

    low: float
    high: float


class Length(NamedTuple):
    """A duration above zero, searched by its logarithm and rounded to two digits."""

    low: Duration
    high: Duration

    def at(self, seconds: float) -> Duration:
        """Return the readable duration next to `seconds` that lies in the range."""
        rounded = float(f"{seconds:.2g}")
        return min(max(duration(rounded), self.low), self.high)


Dimension = Choice | Whole | Real | Length
Space = dict[str, Dimension]

WIDE: Final[dict[str, object]] = {
    "max_attempts": (1, 40),
    "backoff.base": ("100ms", "5m"),
    "backoff.cap": ("5m", "1h"),
    "backoff.jitter": ["none", "equal", "full"],
}
"""The space of an exponential backoff where none is given."""


def space(written: Mapping[str, object]) -> Space:
    """Return the space that ``{"max_attempts": (2, 20), "backoff.jitter": ["none", "full"]}`` spells.

    A pair, or a table ``{from = "1s", to = "1m"}``, is a range; a list is a choice. Tables may nest.

    Raises:
        ConfigError: it makes none.
    """
    if not isinstance(written, Mapping):
        raise ConfigError(f"must map keys of a policy to ranges or lists, not {shown(written)}")
    found = dict(_dimensions(written, ()))
    if not found:
        raise ConfigError("is empty; give for example max_attempts = { from = 2, to = 20 }")
    return found


def _dimensions(node: Mapping[str, object], path: Sequence[str]) -> Iterator[tuple[str, Dimension]]:
    for key, value in node.items():
        here = ".".join((*path, key))
        if isinstance(value, (Choice, Whole, Real, Length)):
            yield here, value
        elif isinstance(value, Mapping) and not {"from", "to"} & value.keys():
            yield from _dimensions(value, (*path, key))
        else:
            yield here, _dimension(here, value)


def _dimension(key: str, value: object) -> Dimension:
    if isinstance(value, Mapping):
        if value.keys() != {"from", "to"}:
            raise ConfigError(f"{key}: a range is {{ from = ..., to = ... }}, not {shown(dict(value))}")
        return _range(key, value["from"], value["to"])
    if isinstance(value, tuple) and len(value) == 2:
        return _range(key, *value)
    if isinstance(value, list) and value:
        return Choice(tuple(value))
    raise ConfigError(f"{key}: must be a range or a list of values, not {shown(value)}")


def _range(key: str, low: Any, high: Any) -> Dimension:
    if isinstance(low, bool) or isinstance(high, bool):
        raise ConfigError(f"{key}: a range goes from one number or duration to another")
    found: Dimension
    try:
        if isinstance(low, int) and isinstance(high, int) and not isinstance(low, Duration):
            found = Whole(low, high)
        elif (
            isinstance(low, (int, float)) and isinstance(high, (int, float)) and not isinstance(low, Duration)
        ):
            found = Real(float(low), float(high))
        else:
            found = Length(duration(low), duration(high))
    except ConfigError as error:
        raise ConfigError(f"{key}: {error}") from None
    if not found.low < found.high or not math.isfinite(found.high):
        raise ConfigError(f"{key}: a range goes from the lower value to the higher: {shown((low, high))}")
    if isinstance(found, Length) and found.low == 0:
        raise ConfigError(
            f"{key}: a range of durations is searched by its logarithm, so it begins above zero"
        )
    return found


def varied(policy: RetryPolicy, changes: Mapping[str, object]) -> RetryPolicy:
    """Return `policy` with the values of dotted keys; those of one part, its backoff mostly, change together.

    Raises:
        ConfigError: no such key, or values that contradict each other.
    """
    whole = {key: value for key, value in changes.items() if "." not in key}
    changed: RetryPolicy = policy
    for key, value in whole.items():
        changed = put(changed, key, value)
    parts: dict[str, dict[str, object]] = {}
    for key, value in changes.items():
        first, dot, rest = key.partition(".")
        if dot:
            parts.setdefault(first, {})[rest] = value
    for part, values in parts.items():
        changed = put(changed, part, _part(changed, part, values))
    return changed


def _part(policy: RetryPolicy, part: str, values: Mapping[str, object]) -> object:
    old = getattr(policy, part, None)
    known = list(getattr(old, "__dataclass_fields__", ()))
    for name in values:
        if name not in known:
            raise ConfigError(
                f"{part}.{name}: {type(old).__name__} has no {name!r}{did_you_mean(name, known)}"
            )
    return replace(old, **values)  # type: ignore[type-var]  # it has fields, so it is a dataclass


def check_space(start: RetryPolicy, found: Space) -> None:
    """Refuse keys that `start` has not, and values that none of its parts takes.

    Raises:
        ConfigError: there is one.
    """
    for key, one in found.items():
        for value in one.values if isinstance(one, Choice) else one:
            try:
                varied(start, {key: value})
            except ConfigError as error:
                if not _contradicts(str(error)):
                    raise ConfigError(f"space: {error}") from None


def _contradicts(message: str) -> bool:
    """Return whether a value is refused only beside another, which may vary as well."""
    return "the cap (" in message


def _written(found: Mapping[str, Dimension]) -> dict[str, Any]:
    """Return the table that `space` reads back."""
    return {key: _entry(one) for key, one in found.items()}


def _entry(one: Dimension) -> object:
    match one:
        case Choice(values=values):
            return list(values)
        case Length(low=low, high=high):
            return {"from": str(low), "to": str(high)}
        case Whole(low=low, high=high) | Real(low=low, high=high):
            return {"from": low, "to": high}


def _space(value: Any, info: ValidationInfo) -> Space:
    found = space(value)
    if from_file(info):
        for key, one in found.items():
            if isinstance(one, (Whole, Real)) and key.rpartition(".")[2] in _DURATIONS:
                raise ConfigError(f"{key}: {one.low:g} has no unit; write for example '{one.low:g}s'")
    return found


_DURATIONS: Final = {"base", "cap", "plus", "step", "max_age"}

SpaceField = Annotated[
    dict[str, Any], PlainValidator(_space), PlainSerializer(_written), WithJsonSchema({"type": "object"})
]


def _measure(name: str) -> str:
    if name not in MEASURES:
        raise ConfigError(f"no measure is called {shown(name)}{did_you_mean(name, MEASURES)}")
    if MEASURES[name].better is Better.NEITHER:
        raise ConfigError(f"{name} is neither better where it is low nor where it is high")
    return name


class Goal(Model):
    """What a search is for: the policy of `space`, varied from `policy`, that is best by `objective`.

    Among those that keep the `constraint`: the bound lies beyond the confidence interval.
    """

    policy: Text = "full_jitter"
    objective: Text = "attempts_per_job"
    constraint: ExpectationsField = default({"dead_letter_rate": {"below": 0.001}})
    space: SpaceField = default(WIDE)

    @field_validator("objective")
    @classmethod
    def _objective(cls, name: str) -> str:
        return _measure(name)

    @field_validator("constraint")
    @classmethod
    def _of_no_policy(cls, found: tuple[Expectation, ...]) -> tuple[Expectation, ...]:
        if any(one.policy is not None for one in found):
            raise ConfigError("a constraint is on every policy tried; leave out policy = ...")
        return found

    def check(self, policies: Mapping[str, RetryPolicy]) -> None:
        """Refuse a `policy` that is none of `policies`, and a space that it does not have.

        Raises:
            ConfigError: it is so.
        """
        if self.policy not in policies:
            raise ConfigError(f"policy: {not_one_of(self.policy, policies)}")
        check_space(policies[self.policy], self.space)

    @property
    def upwards(self) -> bool:
        """Whether the objective is better where it is high."""
        return MEASURES[self.objective].better is Better.HIGHER
