"""When jobs arrive."""

import math
from collections.abc import Iterator
from itertools import count, islice, repeat
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, PrivateAttr, model_validator

from jobsim.core.errors import ConfigError
from jobsim.core.time import MAX_DURATION, SECOND, Duration, duration
from jobsim.models.arrivals_varying import Diurnal, Mmpp, OnOff, Piecewise, Ramp, Spike
from jobsim.models.base import Model, Uniform
from jobsim.models.fields import (
    Count,
    DurationField,
    DurationsField,
    FileField,
    PositiveField,
    RateField,
    default,
)
from jobsim.models.problems import shown
from jobsim.models.recorded import Replayed


class Poisson(Model):
    """Arrivals at random, at a constant rate: gaps are exponential, ``-ln(1 - u) / rate``.

    Source: Devroye, "Non-Uniform Random Variate Generation", 1986, II.2.1.
    """

    process: Literal["poisson"] = "poisson"
    rate: RateField

    def times(self, uniform: Uniform) -> Iterator[Duration]:
        """Yield offsets from the start, non-decreasing, for up to a hundred years."""
        mean, at = SECOND / self.rate, 0.0
        for n in count():
            at -= mean * math.log1p(-uniform(n))
            if at > MAX_DURATION:
                return
            yield Duration(round(at))


class Deterministic(Model):
    """Arrivals on the beat: the first at `start`, then one `every` so often, `jobs` in all (if given)."""

    process: Literal["deterministic"] = "deterministic"
    every: PositiveField
    start: DurationField = default("0s")
    jobs: Count | None = None

    def times(self, uniform: Uniform) -> Iterator[Duration]:
        """Yield offsets from the start, non-decreasing; endless without `jobs`."""
        return islice((Duration(at) for at in count(self.start, self.every)), self.jobs)


class Listed(Model):
    """Arrivals at the given offsets, written in any order."""

    process: Literal["list"] = "list"
    offsets: DurationsField = Field(alias="times")

    def times(self, uniform: Uniform) -> Iterator[Duration]:
        """Yield offsets from the start, non-decreasing."""
        return iter(sorted(self.offsets))


class Recorded(Model):
    """Arrivals as they were recorded: the lines of a `file`, each the seconds since the start, in any order.

    The first line may be a heading.
    """

    process: Literal["trace"] = "trace"
    file: FileField
    _offsets: tuple[Duration, ...] = PrivateAttr(default=())

    @model_validator(mode="after")
    def _read(self) -> Self:
        self._offsets = tuple(sorted(_recorded(self.file)))
        return self

    def files(self) -> Iterator[str]:
        """Yield the file."""
        yield self.file

    def times(self, uniform: Uniform) -> Iterator[Duration]:
        """Yield offsets from the start, non-decreasing."""
        return iter(self._offsets)


def _recorded(file: str) -> Iterator[Duration]:
    """Yield what the lines of `file` say.

    Raises:
        ConfigError: it cannot be read, or the line that is no number of seconds.
    """
    try:
        lines = Path(file).read_text("utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"{file}: cannot be read: {reason}") from None
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield duration(float(line))
            except ValueError as error:
                if number == 1 and not isinstance(error, ConfigError):
                    continue  # a heading
                text = f"{shown(line)} is not a number of seconds from the start"
                raise ConfigError(f"{file}:{number}: {text}") from None


_Single = (
    Poisson | Deterministic | Listed | Recorded | Replayed | Diurnal | Ramp | Spike | Piecewise | Mmpp | OnOff
)

Single = Annotated[_Single, Field(discriminator="process")]


class Batches(Model):
    """Arrivals together: at each time of another process as many as the batch has jobs.

    Each batch has `size` jobs, or a geometric number, at least one, with mean `mean_size`:
    ``1 + floor(ln(1 - u) / ln(1 - 1 / mean_size))``.
    Source: Devroye, "Non-Uniform Random Variate Generation", 1986, X.2.
    """

    process: Literal["batches"] = "batches"
    of: Single
    size: Count | None = None
    mean_size: Annotated[float, Field(strict=True, ge=1, le=1e6, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "Batches":
        if (self.size is None) == (self.mean_size is None):
            raise ConfigError("give either size or mean_size")
        return self

    def times(self, uniform: Uniform) -> Iterator[Duration]:
        """Yield offsets from the start, non-decreasing."""
        numbers = map(uniform, count())  # shared: each number is used once, whoever asks
        for at in self.of.times(lambda _: next(numbers)):
            yield from repeat(at, self.size or self._drawn_size(next(numbers)))

    def _drawn_size(self, u: float) -> int:
        mean = self.mean_size or 1
        return 1 + int(math.log1p(-u) / math.log1p(-1 / mean)) if mean > 1 else 1


Arrivals = Annotated[_Single | Batches, Field(discriminator="process")]
