"""The numbers that decide attempts, drawn in advance where a simulation knows which jobs will come."""

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from jobsim.core.streams import Numbers, Streams

KEPT: Final = 20_000
"""Numbers of one purpose that are kept in advance: twenty blocks. What is not kept is drawn again."""


class Draws:
    """`Streams.numbers`, at a fraction of the cost for the first attempts of jobs that were foreseen.

    A number is the same, drawn in advance or not.
    """

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._ahead: dict[str, dict[int, float]] = {}

    def numbers(self, purpose: str) -> Numbers:
        """Return the numbers for one purpose, as a function of key and attempt."""
        take, number = self._ahead.setdefault(purpose, {}).pop, self._streams.numbers(purpose)

        def drawn(key: int, attempt: int = 0) -> float:
            if attempt == 1:
                known = take(key, None)
                if known is not None:
                    return known
            return number(key, attempt)

        return drawn

    def foresee(self, purposes: Iterable[str], keys: NDArray[np.uint64]) -> None:
        """Draw the numbers of the first attempts of the jobs with `keys`."""
        listed = keys.tolist()
        for purpose in purposes:
            ahead = self._ahead.setdefault(purpose, {})
            if len(ahead) > KEPT:
                ahead.clear()
            ahead.update(zip(listed, self._streams.numbers_of(purpose, keys, 1), strict=True))
