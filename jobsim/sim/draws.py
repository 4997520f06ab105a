"""The numbers that decide attempts, drawn in advance where a simulation knows which jobs will come."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from jobsim.core.streams import Streams

KEPT: Final = 20_000
"""Jobs for which numbers are kept in advance: twenty blocks. What is not kept is drawn again."""

Numbers = Callable[[int, int], Sequence[float]]
"""Returns the numbers of an attempt, by key and attempt, uniform on [0, 1)."""


class Draw(NamedTuple):
    """A number that is drawn: for each attempt, or once for all attempts of a job."""

    purpose: str
    of_job: bool = False


class Draws:
    """`Streams.random` for several purposes, at a fraction of the cost for first attempts that were foreseen.

    A number is the same, drawn in advance or not.
    """

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._ahead: dict[tuple[Draw, ...], dict[int, tuple[float, ...]]] = {}

    def numbers(self, drawn: tuple[Draw, ...]) -> Numbers:
        """Return what gives a number for each of `drawn`."""
        take = self._ahead.setdefault(drawn, {}).pop
        each = [self._number(draw) for draw in drawn]

        def numbers(key: int, attempt: int) -> Sequence[float]:
            if attempt == 1:
                known = take(key, None)
                if known is not None:
                    return known
            return [number(key, attempt) for number in each]

        return numbers

    def _number(self, draw: Draw) -> Callable[[int, int], float]:
        number = self._streams.numbers(draw.purpose)
        return (lambda key, _: number(key)) if draw.of_job else number

    def foresee(self, drawn: tuple[Draw, ...], keys: NDArray[np.uint64]) -> None:
        """Draw the numbers of the first attempts of the jobs with `keys`."""
        ahead = self._ahead.setdefault(drawn, {})
        if len(ahead) > KEPT:
            ahead.clear()
        columns = [self._streams.numbers_of(d.purpose, keys, 0 if d.of_job else 1) for d in drawn]
        ahead.update(zip(keys.tolist(), zip(*columns, strict=True), strict=True))
