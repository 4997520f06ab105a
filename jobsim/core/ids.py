"""UUIDv7 job ids minted from the engine's own clock and random stream."""

from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b
from itertools import count, islice
from typing import TYPE_CHECKING, Final

from jobsim.core.job import KEY_MASK, JobId
from jobsim.core.streams import Purpose, Streams
from jobsim.core.time import MILLISECOND, Instant

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_VERSION_7: Final = 0x7 << 12
_VERSION_8: Final = 0x8 << 12
_VARIANT: Final = 0b10 << 62
_AGAIN: Final = 0x1D8E4E27C47D124F
"""What sets the key of a job that stands for another apart from that one's; odd, so that none repeats."""


class IdMint:
    """Mints ids that sort by time to the microsecond; the n-th id of equal seeds has equal key bits.

    With `foresee` bits are drawn in blocks, which pays where thousands are minted; it is shown the keys of
    each block before the first of its ids is minted.
    Source: RFC 9562, section 5.7, with the microseconds in rand_a as in section 6.2, method 3.
    """

    __slots__ = ("_keys",)

    def __init__(
        self, streams: Streams, foresee: "Callable[[NDArray[np.uint64]], None] | None" = None
    ) -> None:
        self._keys: Iterator[int]
        if foresee is None:
            word = streams.words(Purpose.ID)
            self._keys = map(lambda n: word(n) & KEY_MASK, count())  # noqa: C417  # from any thread
        else:
            self._keys = _foreseen(streams, foresee)

    def mint(self, now: Instant) -> JobId:
        """Return the next id."""
        return _id(now, next(self._keys))

    def several(self, now: Instant, number: int) -> list[JobId]:
        """Return the next ids, as many as `number`."""
        first = _id(now, 0)
        return [JobId(first | key) for key in islice(self._keys, number)]


def _id(now: Instant, key: int) -> JobId:
    millis, micros = divmod(now, MILLISECOND)
    fraction = (micros << 12) // MILLISECOND
    return JobId((millis << 16 | _VERSION_7 | fraction) << 64 | _VARIANT | key)


def resubmission(original: JobId, number: int, now: Instant) -> JobId:
    """Return the id of the job that stands for `original` when it is enqueued again; `number` from 1.

    Its key is made of the original's, so that a log tells by itself which job stands for which: see
    `originals`.
    """
    return _id(now, (original.key + number * _AGAIN) & KEY_MASK)


def originals(ids: Iterable[JobId], times: int) -> dict[JobId, JobId]:
    """Return which of `ids` are resubmissions, up to number `times`, each with its original."""
    by_key = {id_.key: id_ for id_ in ids}
    found = {}
    for key, id_ in by_key.items():
        for number in range(1, times + 1):
            original = by_key.get((key - number * _AGAIN) & KEY_MASK)
            if original is not None:
                found[id_] = original  # the last is the first that was sent
    return found


def tick_id(name: str, tick: Instant) -> JobId:
    """Return the id of the job for a `tick` of the schedule `name`: the same whoever asks.

    Source: RFC 9562, section 5.8: the bits that are random elsewhere are those of a hash.
    """
    millis, micros = divmod(tick, MILLISECOND)
    fraction = (micros << 12) // MILLISECOND
    digest = blake2b(f"{int(tick)}/{name}".encode(), digest_size=8).digest()
    key = int.from_bytes(digest) & KEY_MASK
    return JobId((millis << 16 | _VERSION_8 | fraction) << 64 | _VARIANT | key)


def _foreseen(streams: Streams, foresee: "Callable[[NDArray[np.uint64]], None]") -> Iterator[int]:
    """Yield keys, after `foresee` was shown a block of them."""
    for words in streams.blocks(Purpose.ID):
        keys = words & words.dtype.type(KEY_MASK)
        foresee(keys)
        yield from keys.tolist()
