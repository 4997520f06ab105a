"""Arrivals and service times as they were: those of a trace's file, or written in order."""

import math
from array import array
from collections.abc import Iterator
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, model_validator

from jobsim.core.errors import ConfigError
from jobsim.core.time import Duration
from jobsim.models.base import Model, Uniform
from jobsim.models.fields import (
    DurationField,
    DurationsField,
    FilesField,
    OptionalDurationField,
    OptionalFilesField,
    Text,
    default,
)
from jobsim.models.service_base import Distribution, by_length
from jobsim.models.traces import UNKNOWN, Ints, Trace, Unit


class TraceFile(Model):
    """A trace in a file, in one of the formats that `jobsim.models.traces.Trace` reads, or a part of one.

    `kind`, `columns`, `unit`, `durations` (a second file) and `trigger` mean what they mean there, where the
    format has them. The part begins `begin` after the trace's beginning and is `length` long; with `speed`
    there are so many times the arrivals a second.
    """

    format: Literal["swf", "azure-2019", "azure-2021", "csv", "parquet"]
    path: FilesField
    durations: OptionalFilesField = default(None)
    kind: Text | None = None
    trigger: Text | None = None
    columns: dict[str, str] | None = None
    unit: Unit | None = None
    begin: DurationField = default("0s")
    length: OptionalDurationField = default(None)
    speed: Annotated[float, Field(strict=True, gt=0, le=1e6, allow_inf_nan=False)] = 1.0

    @model_validator(mode="after")
    def _suits_its_format(self) -> "TraceFile":
        for name in ("durations", "kind", "trigger", "columns", "unit"):
            if getattr(self, name) is not None and name not in _OPTIONS[self.format]:
                raise ConfigError(f"the format {self.format} has no {name}")
        if self.format == "azure-2019" and self.durations is None:
            raise ConfigError("durations is missing: the file of percentiles that belongs to the counts")
        if self.format != "azure-2019" and len(self.path) > 1:
            raise ConfigError(f"path: the format {self.format} takes one file")
        return self

    def load(self) -> Trace:
        """Return the trace; its files are read once, as long as they stay as they are.

        Raises:
            ConfigError: a file cannot be read; or what is wrong in it, with its line and column.
        """
        written = TraceFile.model_dump_json(self, include=set(TraceFile.model_fields))
        return _loaded(written, *map(file_stamp, self.files()))

    def files(self) -> Iterator[str]:
        """Yield the trace's files."""
        yield from (*self.path, *(self.durations or ()))

    def read(self) -> Trace:
        """Return the trace, read anew; see `load`."""
        given: dict[str, Any] = {
            name: getattr(self, name)
            for name in _OPTIONS[self.format]
            if name != "durations" and getattr(self, name) is not None
        }
        if self.format == "azure-2019":
            given |= {"begin": self.begin, "length": self.length}
            part = Trace.azure_2019(self.path, self.durations or (), **given)
        else:
            whole: Trace = getattr(Trace, self.format.replace("-", "_"))(*self.path, **given)
            part = whole.window(self.begin, self.length)
        return part if self.speed == 1 else part.faster(self.speed)


_OPTIONS: Final = {
    "swf": ("kind",),
    "azure-2019": ("durations", "kind", "trigger"),
    "azure-2021": ("kind",),
    "csv": ("columns", "unit"),
    "parquet": ("columns", "unit"),
}


def file_stamp(path: str) -> tuple[int, int]:
    """Return what changes when a file is written anew."""
    try:
        status = Path(path).stat()
    except OSError:
        return (0, 0)  # reading it says what is the matter
    return status.st_mtime_ns, status.st_size


@lru_cache(maxsize=8)
def _loaded(written: str, *_: tuple[int, int]) -> Trace:
    return TraceFile.model_validate_json(written).read()


class Replayed(Model):
    """The arrivals of one `kind` of a `trace`."""

    process: Literal["replay"] = "replay"
    trace: TraceFile
    kind: Text

    @model_validator(mode="after")
    def _is_there(self) -> "Replayed":
        self.trace.load().number(self.kind)
        return self

    def times(self, uniform: Uniform) -> Iterator[Duration]:
        """Yield offsets from the start, non-decreasing."""
        return map(Duration, self.trace.load().of([self.kind]).submit.tolist())


class AsRecorded(Distribution):
    """The base of service times that belong to jobs: the n-th job of a kind takes the n-th, in every attempt.

    What draws is the job's place among those of its kind, from 1, plus a uniform number. A job without a
    place or beyond the last, or one of which none is known, takes one of the others, by the uniform number.
    """

    @cached_property
    def _in_order(self) -> "array[int]":
        raise NotImplementedError

    @cached_property
    def _known(self) -> "array[int]":
        return array("q", sorted(takes for takes in self._in_order if takes != UNKNOWN))

    @property
    def mean(self) -> Duration:
        """The mean of those that are known."""
        return Duration(round(sum(self._known) / len(self._known)))

    def draw(self, u: float) -> Duration:
        """Return how long a job takes; `u` is its place, from 1, plus a uniform number, or that alone."""
        place = math.floor(u)
        if 0 < place <= len(self._in_order) and self._in_order[place - 1] != UNKNOWN:
            return Duration(self._in_order[place - 1])
        return Duration(round(self.quantile(u - place)))

    def quantile(self, u: float) -> float:
        return self._known[int(u * len(self._known))]

    def length_biased(self, u: float) -> float:
        return by_length(self._known, u)


class ReplayedService(AsRecorded):
    """The service times of one `kind` of a `trace`, each job's its own."""

    dist: Literal["replay"] = "replay"
    trace: TraceFile
    kind: Text

    @model_validator(mode="after")
    def _is_there(self) -> "ReplayedService":
        if (self._durations() == UNKNOWN).all():
            raise ConfigError(f"the trace tells no duration of {self.kind!r}; describe its service time")
        return self

    def _durations(self) -> Ints:
        return self.trace.load().of([self.kind]).duration

    @cached_property
    def _in_order(self) -> "array[int]":
        return array("q", self._durations().tobytes())


class InOrder(AsRecorded):
    """Service times that were written down: the n-th job takes the n-th of `values`."""

    dist: Literal["in_order"] = "in_order"
    values: DurationsField

    @cached_property
    def _in_order(self) -> "array[int]":
        return array("q", self.values)
