"""What a scenario's author expects of its policies, and whether the runs of a comparison bear it out."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Self

from pydantic import (
    PlainSerializer,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails

from jobsim.analysis.measures import MEASURES
from jobsim.core.errors import ConfigError, did_you_mean
from jobsim.core.policy import RetryPolicy
from jobsim.models.base import Model
from jobsim.models.fields import Text, checked_duration, from_file
from jobsim.models.problems import not_one_of, shown

if TYPE_CHECKING:
    import pandas as pd

    from jobsim.analysis.statistics import Interval


class Finding(Enum):
    """What runs say of an expectation."""

    KEPT = "kept"
    """The whole confidence interval lies where the value is expected."""
    BROKEN = "broken"
    """The whole interval lies elsewhere."""
    OPEN = "cannot tell"
    """The interval lies on both sides: more replications would tell."""


class Expectation(Model):
    """The mean of `measure` over runs of `policy` (`None`: of each) lies below, above or between bounds.

    A bound is in the measure's unit (shares between 0 and 1); ``"0.1 %"`` and ``"5m"`` are understood
    where the unit is % or s.
    """

    measure: Text
    policy: Text | None = None
    below: float | str | None = None
    above: float | str | None = None

    @field_validator("measure")
    @classmethod
    def _known_measure(cls, name: str) -> str:
        if name not in MEASURES:
            raise ConfigError(f"no measure is called {shown(name)}{did_you_mean(name, MEASURES)}")
        return name

    @field_validator("below", "above", mode="before")
    @classmethod
    def _bound(cls, value: object, info: ValidationInfo) -> object:
        unit = MEASURES[info.data["measure"]].unit if "measure" in info.data else ""
        return bound(value, unit) if value is not None and "measure" in info.data else None

    @model_validator(mode="after")
    def _some_bound(self) -> Self:
        if self.below is None and self.above is None:
            raise ConfigError("says nothing; give below, above or both")
        if self.low >= self.high:
            raise ConfigError(f"nothing lies above {self.low:g} and below {self.high:g}")
        return self

    @property
    def low(self) -> float:
        """The lower bound, minus infinity where there is none."""
        return -math.inf if self.above is None else float(self.above)

    @property
    def high(self) -> float:
        """The upper bound, infinity where there is none."""
        return math.inf if self.below is None else float(self.below)

    def judge(self, found: "Interval") -> Finding:
        """Return what the interval of a mean says."""
        mean, low, high, _ = found
        if math.isinf(mean):  # in a run it was never reached, so the mean is infinite for certain
            low = high = mean
        if low > self.low and high < self.high:
            return Finding.KEPT
        if low >= self.high or high <= self.low:
            return Finding.BROKEN
        return Finding.OPEN

    def __str__(self) -> str:
        measure = MEASURES[self.measure]
        scale, unit = (100, " %") if measure.unit == "%" else (1, f" {measure.unit}".rstrip())
        sides = (("above", self.above), ("below", self.below))
        said = " and ".join(f"{side} {scale * float(b):.6g}{unit}" for side, b in sides if b is not None)
        return f"{self.measure} {said}"


def bound(value: object, unit: str) -> float:
    """Return a bound as a number in `unit`, shares between 0 and 1.

    Raises:
        ConfigError: it is neither a number nor text that spells one in that unit.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        if unit == "%" and not 0 <= value <= 1:
            raise ConfigError(f"{shown(value)} is no share between 0 and 1; percentages are text: '0.1 %'")
        return float(value)
    if isinstance(value, str) and unit == "s":
        return checked_duration(value, from_file=False).seconds
    if isinstance(value, str) and unit == "%" and value.endswith("%"):
        try:
            return bound(float(value.removesuffix("%")) / 100, unit)
        except ValueError:
            pass
    example = {"s": " or a duration such as '5m'", "%": " or a share such as '0.1 %'"}.get(unit, "")
    raise ConfigError(f"must be a finite number{example}, not {shown(value)}")


def _read(value: object, info: ValidationInfo) -> tuple[Expectation, ...]:
    """Return the expectations of a table ``{measure = {...} or [{...}]}`` or of a list of them."""
    found: list[Expectation] = []
    errors: list[InitErrorDetails] = []
    for place, entry in _entries(value):
        if isinstance(entry, Expectation):
            found.append(entry)
            continue
        try:
            found.append(Expectation.model_validate(entry, context=info.context))
        except ValidationError as error:
            errors += [
                InitErrorDetails(
                    type=e["type"], loc=_place(place, e["loc"]), input=e["input"], ctx=e.get("ctx", {})
                )
                for e in error.errors(include_url=False)
            ]
    if not errors and from_file(info):
        errors = list(_of_unknown_policies(found, info.data.get("policies")))
    if errors:
        raise ValidationError.from_exception_data("expect", errors)
    return tuple(found)


def _entries(value: object) -> Iterator[tuple[tuple[str | int, ...], object]]:
    """Yield each written expectation, and where it is written."""
    if isinstance(value, Mapping):
        for measure, entries in value.items():
            several = isinstance(entries, (list, tuple))
            for index, entry in enumerate(entries if isinstance(entries, (list, tuple)) else [entries]):
                named = {**entry, "measure": measure} if isinstance(entry, Mapping) else entry
                yield (measure, index) if several else (measure,), named
    elif isinstance(value, (list, tuple)):
        yield from (((index,), entry) for index, entry in enumerate(value))
    else:
        raise ConfigError(f"must be a table [expect] of measures, not {shown(value)}")


def _place(place: tuple[str | int, ...], loc: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Return where an error lies; the measure is the key of the table and no key in it."""
    return place if loc == ("measure",) else (*place, *loc)


def _of_unknown_policies(
    found: Iterable[Expectation], policies: Mapping[str, RetryPolicy] | None
) -> Iterator[InitErrorDetails]:
    for one in found:
        if policies is not None and one.policy is not None and one.policy not in policies:
            text = f"of the policies compared, {not_one_of(one.policy, policies)}"
            yield InitErrorDetails(
                type="value_error", loc=(one.measure, "policy"), input=one.policy, ctx={"error": text}
            )


def _written(expectations: Sequence[Expectation]) -> dict[str, Any]:
    """Return the table that `_read` reads back."""
    tables: dict[str, list[dict[str, Any]]] = {}
    for one in expectations:
        table = one.model_dump(exclude={"measure"}, exclude_none=True)
        tables.setdefault(one.measure, []).append(table)
    return {measure: many[0] if len(many) == 1 else many for measure, many in tables.items()}


if TYPE_CHECKING:

    class ExpectationsField:
        """Written as a table by measure or a list of expectations, read as a tuple of them."""

        def __get__(self, model: object, owner: type | None = None) -> tuple[Expectation, ...]: ...
        def __set__(self, model: object, value: Mapping[str, object] | Iterable[Expectation]) -> None: ...

else:
    ExpectationsField = Annotated[
        tuple[Expectation, ...],
        PlainValidator(_read),
        PlainSerializer(_written),
        WithJsonSchema({"type": "object"}),
    ]


class Judgement(NamedTuple):
    """What the runs of one policy say of one expectation."""

    expectation: Expectation
    policy: str
    interval: "Interval"
    finding: Finding

    def __str__(self) -> str:
        from jobsim.analysis.wording import with_unit

        found = with_unit(self.expectation.measure, self.interval)
        return f"{self.policy}: {self.expectation}: {self.finding.value}; it is {found}"


def judged(runs: "pd.DataFrame", expectations: Iterable[Expectation], ci: float = 0.95) -> list[Judgement]:
    """Return what a table of runs says of each expectation, policy by policy.

    Each is judged for itself: of twenty that lie on their bound, one is called broken or kept by chance.
    Expectations of policies that have no runs are left out.
    """
    from jobsim.analysis.summary import check_ci, interval, policies

    check_ci(ci)
    pairs = [
        (expectation, label)
        for expectation in expectations
        for label in policies(runs)
        if expectation.policy in (None, label)
    ]
    found = [(one, label, interval(runs, label, one.measure, ci)) for one, label in pairs]
    return [Judgement(one, label, value, one.judge(value)) for one, label, value in found]


def judgements_table(judgements: Iterable[Judgement]) -> "pd.DataFrame":
    """Return a row a judgement: `policy`, `measure`, `above`, `below`, `mean`, `low`,
    `high`, `n`, `finding`."""
    import pandas as pd

    rows = [
        (j.policy, j.expectation.measure, j.expectation.low, j.expectation.high, *j.interval, j.finding.value)
        for j in judgements
    ]
    columns = ["policy", "measure", "above", "below", "mean", "low", "high", "n", "finding"]
    return pd.DataFrame(rows, columns=columns)
