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
    """A number that is drawn: for each attempt, or once for all attempts of a job, however often enqueued.

    With `placed` it is that of a job of this kind, with its place among those of the kind, from 1, added; no
    place for a job that was not foreseen.
    """

    purpose: str
    of_job: bool = False
    placed: str | None = None


class Draws:
    """`Streams.random` for several purposes, at a fraction of the cost for first attempts that were foreseen.

    A number is the same, drawn in advance or not.
    """

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._ahead: dict[tuple[Draw, ...], dict[int, tuple[float, ...]]] = {}
        self._places: dict[str, dict[int, int]] = {}
        self._originals: dict[int, int] = {}

    def again(self, key: int, original: int) -> None:
        """Let the job with `key` stand for another: what is a job's own is that of the `original`."""
        self._originals[key] = original

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
        if not draw.of_job:
            return number
        original = self._originals.get
        if draw.placed is None:
            return lambda key, _: number(original(key, key))
        place = self._places.setdefault(draw.placed, {}).get
        return lambda key, _: place(original(key, key), 0) + number(original(key, key))

    def foresee(self, drawn: tuple[Draw, ...], keys: NDArray[np.uint64]) -> None:
        """Draw the numbers of the first attempts of the jobs with `keys`."""
        ahead = self._ahead.setdefault(drawn, {})
        if len(ahead) > KEPT:
            ahead.clear()
        columns = [self._column(draw, keys) for draw in drawn]
        ahead.update(zip(keys.tolist(), zip(*columns, strict=True), strict=True))

    def _column(self, draw: Draw, keys: NDArray[np.uint64]) -> list[float]:
        numbers = self._streams.numbers_of(draw.purpose, keys, 0 if draw.of_job else 1)
        if draw.placed is None:
            return numbers
        places = self._places.setdefault(draw.placed, {})
        following = range(len(places) + 1, len(places) + 1 + len(keys))
        places.update(zip(keys.tolist(), following, strict=True))
        return [place + number for place, number in zip(following, numbers, strict=True)]
