"""Random numbers keyed by (seed, purpose, job, attempt): the only source of randomness.

A draw depends on its key alone, never on how many draws came before it. So two policies meet the
same arrivals, service times and fates (common random numbers), and one more worker shifts nothing.
"""

import secrets
from collections.abc import Callable, Iterator
from enum import StrEnum
from hashlib import blake2b
from itertools import count
from typing import TYPE_CHECKING, Final, Protocol, Self

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


# SplitMix64. Source: Steele, Lea & Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA
# 2014, section 5; the finaliser is Stafford's Mix13, cited there.
_MASK: Final = (1 << 64) - 1
_GAMMA: Final = 0x9E3779B97F4A7C15
_MIX_1: Final = 0xBF58476D1CE4E5B9
_MIX_2: Final = 0x94D049BB133111EB
_ATTEMPT: Final = 0xD1B54A32D192ED03  # odd, and no small multiple of _GAMMA: attempts never overlap
_UNIT: Final = 2.0**-53
_BLOCK: Final = 1024


class Purpose(StrEnum):
    """What a random number is for; each purpose has a stream of its own."""

    ID = "id"
    ARRIVAL = "arrival"
    SERVICE = "service"
    FAILURE = "failure"
    COURSE = "course"
    JITTER = "jitter"
    CRASH = "crash"
    POLL = "poll"
    PAUSE = "pause"
    CLOCK = "clock"
    STORAGE = "storage"
    CALL = "call"
    NETWORK = "network"


def _mix(z: int) -> int:
    z = ((z ^ (z >> 30)) * _MIX_1) & _MASK
    z = ((z ^ (z >> 27)) * _MIX_2) & _MASK
    return z ^ (z >> 31)


class Stream:
    """A sequence of random numbers from one key."""

    __slots__ = ("_state",)

    def __init__(self, state: int) -> None:
        self._state = state

    def bits(self) -> int:
        """Return the next 64 random bits."""
        state = self._state
        self._state = state + _GAMMA
        return _mix(state & _MASK)

    def random(self) -> float:
        """Return the next number, uniform on [0, 1)."""
        return (self.bits() >> 11) * _UNIT

    def uniform(self, low: float, high: float) -> float:
        """Return the next number, uniform on [low, high)."""
        return low + (high - low) * self.random()


class Numbers(Protocol):
    """The first number of the stream for (key, attempt), uniform on [0, 1)."""

    def __call__(self, key: int, attempt: int = 0) -> float: ...


class Streams:
    """Every random stream of one engine, from one seed; without a seed, from the system's entropy.

    Equal seeds give equal numbers in every process, whatever PYTHONHASHSEED is.
    """

    __slots__ = ("_salts", "seed")

    def __init__(self, seed: int | None = None) -> None:
        self.seed = secrets.randbits(128) if seed is None else seed
        self._salts: dict[str, int] = {}

    def child(self, name: str | int) -> Self:
        """Return streams of their own for `name`, such as one replication."""
        return type(self)(int.from_bytes(_digest(self.seed, f"child:{name}", 16)))

    def salt(self, purpose: str) -> int:
        """Return the 64 bits that set `purpose` apart from all others under this seed."""
        try:
            return self._salts[purpose]
        except KeyError:
            salt = self._salts[purpose] = int.from_bytes(_digest(self.seed, purpose, 8))
            return salt

    def stream(self, purpose: str, key: int = 0, attempt: int = 0) -> Stream:
        """Return the stream for (purpose, key, attempt), at its beginning."""
        return Stream(self.salt(purpose) + key + attempt * _ATTEMPT)

    def opener(self, purpose: str) -> Callable[[int, int], Stream]:
        """Return `stream` for one purpose, as a function of key and attempt: where many are opened."""
        salt = self.salt(purpose)
        return lambda key, attempt: Stream(salt + key + attempt * _ATTEMPT)

    def random(self, purpose: str, key: int = 0, attempt: int = 0) -> float:
        """Return the first number of that stream, uniform on [0, 1)."""
        return self.numbers(purpose)(key, attempt)

    def numbers(self, purpose: str) -> Numbers:
        """Return `random` for one purpose, as a function of key and attempt: where many are drawn."""
        salt = self.salt(purpose)

        def number(key: int, attempt: int = 0) -> float:
            # `_mix`, written out: most numbers of a simulation are drawn here.
            z = (salt + key + attempt * _ATTEMPT) & _MASK
            z = ((z ^ (z >> 30)) * _MIX_1) & _MASK
            z = ((z ^ (z >> 27)) * _MIX_2) & _MASK
            return ((z ^ (z >> 31)) >> 11) * _UNIT

        return number

    def bits(self, purpose: str, key: int = 0) -> int:
        """Return the first 64 bits of that stream."""
        return self.words(purpose)(key)

    def words(self, purpose: str) -> Callable[[int], int]:
        """Return `bits` for one purpose, as a function of key: where many are drawn."""
        salt = self.salt(purpose)
        return lambda key: _mix((salt + key) & _MASK)

    def blocks(self, purpose: str) -> Iterator["NDArray[np.uint64]"]:
        """Yield `words` of the keys from 0 on, a thousand at a time, without end."""
        salt = self.salt(purpose)
        return (_mixed(_following(salt + key)) for key in count(0, _BLOCK))

    def numbers_in_order(self, purpose: str) -> Callable[[int], float]:
        """Return `numbers` for keys that are asked for one after the other: it draws a block at a time."""
        salt, first, block = self.salt(purpose), 0, list[float]()

        def number(key: int) -> float:
            nonlocal first, block
            place = key - first
            if not 0 <= place < len(block):
                first, block, place = key, _units(_mixed(_following(salt + key))), 0
            return block[place]

        return number

    def numbers_of(self, purpose: str, keys: "NDArray[np.uint64]", attempt: int = 0) -> list[float]:
        """Return `random` of every one of `keys`, in one go."""
        salt = self.salt(purpose) + attempt * _ATTEMPT
        return _units(_mixed(keys + keys.dtype.type(salt & _MASK)))


def _following(start: int) -> "NDArray[np.uint64]":
    """Return `start` and the numbers that follow, modulo 2**64; shape (_BLOCK,)."""
    import numpy as np  # late: a live worker has no use for it

    return np.arange(_BLOCK, dtype=np.uint64) + np.uint64(start & _MASK)


def _mixed(z: "NDArray[np.uint64]") -> "NDArray[np.uint64]":
    """Return `_mix` of each element."""
    word = z.dtype.type
    z = (z ^ (z >> word(30))) * word(_MIX_1)
    z = (z ^ (z >> word(27))) * word(_MIX_2)
    return z ^ (z >> word(31))


def _units(words: "NDArray[np.uint64]") -> list[float]:
    """Return numbers uniform on [0, 1), made of the upper 53 bits of `words`."""
    units: list[float] = ((words >> words.dtype.type(11)) * _UNIT).tolist()
    return units


def _digest(seed: int, name: str, size: int) -> bytes:
    return blake2b(f"{seed}/{name}".encode(), digest_size=size).digest()
