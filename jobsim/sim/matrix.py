"""The matrix of a sweep: which keys of a scenario take which values, and the cells that this makes."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Self

from pydantic import model_serializer, model_validator

from jobsim.core.errors import ConfigError
from jobsim.core.time import Duration
from jobsim.models.base import Model
from jobsim.models.problems import shown

if TYPE_CHECKING:
    from jobsim.sim.scenario import Scenario

_FIXED: Final = {
    "schema": "is the version of the file format",
    "name": "changes nothing that is measured",
    "description": "changes nothing that is measured",
    "expect": "changes nothing that is measured",
    "sweep": "is the matrix itself",
    "tune": "changes nothing that is measured",
    "seed": "is the same in all cells, so that they meet the same random numbers",
    "compare": "is no key of its own: every policy is run in every cell",
    "policies": "is too much at once: name a policy and its key, as in policies.oban.max_attempts",
}


class Cell(NamedTuple):
    """One combination of values, by key, and the scenario that has them."""

    values: dict[str, object]
    scenario: "Scenario"


class Matrix(Model):
    """Values for dotted keys of a scenario, as `Scenario.with_` takes them.

    `combine` is ``product`` (every value with every other) or ``zip`` (the first of each, the second of
    each, and so on). In a file it is a table [sweep]: ``workers.count = [2, 4, 8]``.
    """

    axes: dict[str, tuple[Any, ...]]
    combine: Literal["product", "zip"] = "product"

    @classmethod
    def of(cls, written: Mapping[str, Any]) -> Self:
        """Return the matrix that keys with lists of values make.

        Raises:
            ConfigError: they make none.
        """
        return cls(**_parts(written))

    @model_validator(mode="before")
    @classmethod
    def _written(cls, value: object) -> object:
        flat = isinstance(value, Mapping) and not isinstance(value.get("axes"), Mapping)
        return _parts(value) if flat and isinstance(value, Mapping) else value

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if not self.axes:
            raise ConfigError("is empty; give keys with lists of values, such as workers.count = [2, 4, 8]")
        for key, values in self.axes.items():
            _check_axis(key, values)
        lengths = {key: len(values) for key, values in self.axes.items()}
        if self.combine == "zip" and len(set(lengths.values())) > 1:
            said = ", ".join(f"{key} has {count}" for key, count in lengths.items())
            raise ConfigError(f"combine = 'zip' needs lists of equal length; {said}")
        return self

    @model_serializer
    def _tree(self) -> dict[str, Any]:
        """Return what a file has: the keys, each as one dotted name."""
        combine = {"combine": self.combine} if self.combine != "product" else {}
        return {**combine, **{key: list(values) for key, values in self.axes.items()}}

    @property
    def keys(self) -> list[str]:
        """The keys that vary, in order."""
        return list(self.axes)

    def __len__(self) -> int:
        return sum(1 for _ in self._rows())

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        return (
            product(*self.axes.values())
            if self.combine == "product"
            else zip(*self.axes.values(), strict=True)
        )

    def cells(self, scenario: "Scenario", *, from_file: bool = False) -> list[Cell]:
        """Return all cells, in the order in which their values are written; the last key varies fastest.

        Raises:
            ConfigError: a combination of values makes no scenario; the text says which.
        """
        cells = []
        for row in self._rows():
            values = dict(zip(self.axes, row, strict=True))
            try:
                changed = scenario.changed(values, from_file=from_file)
            except ConfigError as error:
                said = ", ".join(f"{key} = {readable(value)}" for key, value in values.items())
                raise ConfigError(f"where {said}: {error}") from None
            cells.append(Cell({key: readable(value) for key, value in values.items()}, changed))
        return cells


def _parts(written: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the matrix that is written as one table."""
    combine = {key: value for key, value in written.items() if key == "combine"}
    return {"axes": dict(_axes({k: v for k, v in written.items() if k != "combine"}, ())), **combine}


def _check_axis(key: str, values: tuple[Any, ...]) -> None:
    first = key.partition(".")[0]
    if first in _FIXED and (first != "policies" or key == first):
        raise ConfigError(f"{key} cannot be swept: it {_FIXED[first]}")
    if not values:
        raise ConfigError(f"{key} has no values")
    twice = [value for index, value in enumerate(values) if value in values[:index]]
    if twice:
        raise ConfigError(f"{key}: {shown(twice[0])} is there twice")


def _axes(node: Mapping[str, Any], path: Sequence[str]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yield the lists in nested tables, each by its dotted key."""
    for key, value in node.items():
        here = (*path, key)
        if isinstance(value, Mapping):
            yield from _axes(value, here)
        elif isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
            raise ConfigError(f"{'.'.join(here)}: must be a list of values, not {shown(value)}")
        else:
            yield ".".join(here), tuple(value)


def readable(value: object) -> object:
    """Return a value as tables show it: numbers and text as they are, all else as short text."""
    if isinstance(value, Duration):
        return str(value)
    if isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {readable(v)}" for key, v in value.items())
    return str(value)
