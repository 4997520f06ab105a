import math
from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from jobsim.core.ids import IdMint
from jobsim.core.streams import Purpose, Stream, Streams
from jobsim.core.time import Instant

GAMMA = 0x9E3779B97F4A7C15
N = 20_000

NUMBERS = """
from jobsim.core.streams import Purpose, Streams
streams = Streams(7)
print([streams.random(p, key, attempt) for p in Purpose for key in (0, 2**61) for attempt in (1, 9)])
print(streams.child("a").child(3).bits("b"), [streams.stream("x", 5).bits() for _ in range(3)])
"""


def job_keys(count: int) -> Iterator[int]:
    mint = IdMint(Streams(3))
    return (mint.mint(Instant(0)).key for _ in range(count))


def test_stream_is_splitmix64() -> None:
    """The bits are those of the published generator from seed 1234567, which steps before it mixes.

    Source: Vigna's splitmix64.c, as listed on Rosetta Code, "Pseudo-random numbers/Splitmix64".
    """
    stream = Stream(1234567 + GAMMA)
    assert [stream.bits() for _ in range(5)] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


def test_streams_are_equal_in_every_process(said_by: Callable[[str, str], str]) -> None:
    """Equal seeds give equal numbers whatever PYTHONHASHSEED is."""
    said = {said_by(NUMBERS, hash_seed) for hash_seed in ("0", "1", "4242")}
    assert len(said) == 1
    assert str(Streams(7).random(Purpose.ID, 0, 1)) in said.pop()


@given(st.integers(), st.text(), st.integers(0, 2**62 - 1), st.integers(0, 10_000))
def test_streams_depend_on_their_key_alone(seed: int, purpose: str, key: int, attempt: int) -> None:
    """Other draws before it change nothing, and every way to ask for a stream's first number agrees."""
    fresh, used = Streams(seed), Streams(seed)
    for other in range(3):
        used.random("other", other)
        used.stream(purpose, key + 1).bits()
    assert used.random(purpose, key, attempt) == fresh.random(purpose, key, attempt)
    assert fresh.stream(purpose, key, attempt).random() == fresh.random(purpose, key, attempt)
    assert fresh.numbers(purpose)(key, attempt) == fresh.random(purpose, key, attempt)
    assert fresh.stream(purpose, key).bits() == fresh.bits(purpose, key)


def test_streams_without_a_seed_differ() -> None:
    """Two engines started without a seed share no numbers."""
    assert Streams().seed != Streams().seed


def test_streams_of_children_are_their_own() -> None:
    """Each child differs from its parent, its siblings and its own children, and is repeatable."""
    parent = Streams(1)
    family = [parent, parent.child("a"), parent.child("b"), parent.child(0), parent.child("a").child("a")]
    assert len({member.bits("x") for member in family}) == len(family)
    assert parent.child("a").bits("x") == Streams(1).child("a").bits("x")


@pytest.mark.parametrize("keys", [lambda: range(N), lambda: job_keys(N)], ids=["consecutive", "job keys"])
def test_streams_first_numbers_are_uniform(keys: Callable[[], Iterator[int]]) -> None:
    """The first number over many keys passes a chi-square test in 100 cells, and fills [0, 1)."""
    numbers = Streams(1).numbers(Purpose.JITTER)
    found = np.array([numbers(key, 1) for key in keys()])
    counts, _ = np.histogram(found, 100, (0, 1))
    assert stats.chisquare(counts).pvalue > 0.001
    assert 0 <= found.min() < 0.001
    assert 0.999 < found.max() < 1


def test_stream_later_numbers_are_uniform_and_uncorrelated() -> None:
    """Along one stream the numbers are uniform, and none tells of the next."""
    stream = Streams(1).stream(Purpose.ARRIVAL)
    found = np.array([stream.random() for _ in range(N)])
    assert stats.kstest(found, "uniform").pvalue > 0.001
    assert uncorrelated(found[:-1], found[1:])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("jitter", 0, 1), ("jitter", 0, 2)),
        (("jitter", 0, 1), ("jitter", 1, 1)),
        (("jitter", 0, 1), ("failure", 0, 1)),
        (("jitter", 0, 1), ("jitter", 0, 10_000)),
    ],
    ids=["next attempt", "next key", "other purpose", "far attempt"],
)
def test_streams_of_different_keys_are_uncorrelated(
    one: tuple[str, int, int], other: tuple[str, int, int]
) -> None:
    """Neither the next attempt, nor the next key, nor another purpose can be told from a number."""
    streams = Streams(2)
    pairs = [
        [streams.random(purpose, key + shift, attempt) for purpose, shift, attempt in (one, other)]
        for key in job_keys(N)
    ]
    assert uncorrelated(*np.array(pairs).T)


def uncorrelated(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether the correlation lies within four standard errors of zero."""
    return bool(abs(np.corrcoef(one, other)[0, 1]) < 4 / math.sqrt(len(one)))


def test_streams_of_different_seeds_differ() -> None:
    """Neighbouring seeds share nothing, negative and very large ones included."""
    seeds = [-1, 0, 1, 2, 2**64, 2**128 + 1]
    assert len({Streams(seed).bits("x") for seed in seeds}) == len(seeds)


@given(st.floats(-1e9, 1e9), st.floats(0, 1e9), st.integers(0, 2**64 - 1))
def test_stream_uniform_lies_between_its_bounds(low: float, width: float, state: int) -> None:
    """A uniform number is at least `low` and at most `high`."""
    assert low <= Stream(state).uniform(low, low + width) <= low + width


@given(st.integers(), st.text(), st.lists(st.integers(0, 2**62 - 1), max_size=9), st.integers(0, 10_000))
def test_numbers_drawn_in_one_go_are_those_drawn_one_by_one(
    seed: int, purpose: str, keys: list[int], attempt: int
) -> None:
    """However many are asked for at once, each is the first number of its own stream."""
    streams = Streams(seed)
    together = streams.numbers_of(purpose, np.array(keys, dtype=np.uint64), attempt)
    assert together == [streams.random(purpose, key, attempt) for key in keys]


@given(st.integers(), st.lists(st.integers(0, 5_000), min_size=1, max_size=9))
def test_numbers_meant_to_be_asked_for_in_order_may_be_asked_for_in_any(seed: int, keys: list[int]) -> None:
    """Whatever was asked before, a number is that of its key."""
    streams = Streams(seed)
    number = streams.numbers_in_order("a")
    assert [number(key) for key in keys] == [streams.random("a", key) for key in keys]


def test_blocks_are_the_words_of_keys_in_order() -> None:
    """Block after block, nothing is left out between them."""
    streams = Streams(7)
    blocks = [words.tolist() for words in islice(streams.blocks("a"), 3)]
    words = [word for block in blocks for word in block]
    assert len(words) > 1_000
    assert words == [streams.bits("a", key) for key in range(len(words))]
