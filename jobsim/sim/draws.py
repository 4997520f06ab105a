"""The numbers that decide attempts, drawn in advance where a simulation knows which jobs will come."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from jobsim.core.streams import Streams

KEPT: Final = 20_000
"""Jobs for which numbers are kept in advance: twenty blocks. What is not kept is drawn again."""

Numbers = Callable[[int, int], Sequence[float]]
"""Returns the numbers of an attempt, by key and attempt, uniform on [0, 1)."""


class Draws:
    """`Streams.random` for several purposes, at a fraction of the cost for first attempts that were foreseen.

    A number is the same, drawn in advance or not.
    """

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._ahead: dict[Sequence[str], dict[int, tuple[float, ...]]] = {}

    def numbers(self, purposes: tuple[str, ...]) -> Numbers:
        """Return what gives a number for each of `purposes`."""
        take = self._ahead.setdefault(purposes, {}).pop
        each = [self._streams.numbers(purpose) for purpose in purposes]

        def drawn(key: int, attempt: int) -> Sequence[float]:
            if attempt == 1:
                known = take(key, None)
                if known is not None:
                    return known
            return [number(key, attempt) for number in each]

        return drawn

    def foresee(self, purposes: tuple[str, ...], keys: NDArray[np.uint64]) -> None:
        """Draw the numbers of the first attempts of the jobs with `keys`."""
        ahead = self._ahead.setdefault(purposes, {})
        if len(ahead) > KEPT:
            ahead.clear()
        columns = [self._streams.numbers_of(purpose, keys, 1) for purpose in purposes]
        ahead.update(zip(keys.tolist(), zip(*columns, strict=True), strict=True))
