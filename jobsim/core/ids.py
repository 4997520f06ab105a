"""UUIDv7 job ids minted from the engine's own clock and random stream."""

from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, Final

from jobsim.core.job import KEY_MASK, JobId
from jobsim.core.streams import Purpose, Streams
from jobsim.core.time import MILLISECOND, Instant

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_VERSION_7: Final = 0x7 << 12
_VARIANT: Final = 0b10 << 62


class IdMint:
    """Mints ids that sort by time to the microsecond; the n-th id of equal seeds has equal key bits.

    With `foresee` bits are drawn in blocks, which pays where thousands are minted; it is shown the keys of
    each block before the first of its ids is minted.
    Source: RFC 9562, section 5.7, with the microseconds in rand_a as in section 6.2, method 3.
    """

    __slots__ = ("_bits", "_count")

    def __init__(
        self, streams: Streams, foresee: "Callable[[NDArray[np.uint64]], None] | None" = None
    ) -> None:
        if foresee is None:
            self._bits = streams.words(Purpose.ID)
        else:
            seen = foresee
            self._bits = streams.words_in_order(
                Purpose.ID, lambda words: seen(words & words.dtype.type(KEY_MASK))
            )
        self._count = count()

    def mint(self, now: Instant) -> JobId:
        """Return the next id."""
        millis, micros = divmod(now, MILLISECOND)
        fraction = (micros << 12) // MILLISECOND
        key = self._bits(next(self._count)) & KEY_MASK
        return JobId((millis << 16 | _VERSION_7 | fraction) << 64 | _VARIANT | key)
