import uuid
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsim.core.errors import ConfigError
from jobsim.core.ids import IdMint, originals, resubmission
from jobsim.core.job import KEY_MASK, JobId
from jobsim.core.streams import Streams
from jobsim.core.time import MILLISECOND, SECOND, Instant

# 48 bits of milliseconds last until the year 10889.
instants = st.integers(0, 2**48 * MILLISECOND - 1).map(Instant)


@given(instants)
def test_id_has_the_layout_of_rfc_9562(now: Instant) -> None:
    """48 bits of milliseconds, version 7, the microseconds in 12 bits, variant 10, 62 random bits."""
    minted = IdMint(Streams(1)).mint(now)
    as_uuid = uuid.UUID(int=minted)
    assert as_uuid.version == 7
    assert as_uuid.variant == uuid.RFC_4122
    assert minted >> 80 == now // MILLISECOND
    assert (minted >> 64) & 0xFFF == now % MILLISECOND * 4096 // 1000
    assert minted & KEY_MASK == minted.key


@given(st.sets(instants, min_size=2, max_size=9))
def test_ids_sort_by_time_to_the_microsecond(moments: set[Instant]) -> None:
    """A later id is larger, as a number and as text, however close the moments."""
    mint = IdMint(Streams(1))
    ids = [mint.mint(now) for now in sorted(moments)]
    assert all(one < other and str(one) < str(other) for one, other in pairwise(ids))


@given(st.lists(instants, min_size=1, max_size=9), st.lists(instants, min_size=1, max_size=9))
def test_nth_id_of_equal_seeds_has_equal_key(here: list[Instant], there: list[Instant]) -> None:
    """The random bits depend on seed and count, not on the time: both worlds give a job the same streams."""
    ours, theirs = IdMint(Streams(5)), IdMint(Streams(5))
    assert all(ours.mint(a).key == theirs.mint(b).key for a, b in zip(here, there, strict=False))


def test_ids_of_one_moment_differ() -> None:
    """Thousands minted in the same microsecond are distinct, under one seed and under two."""
    mints = [IdMint(Streams(1)), IdMint(Streams(2))]
    ids = {mint.mint(Instant(0)) for mint in mints for _ in range(5_000)}
    assert len(ids) == 10_000


@given(instants, st.integers(0, 9))
def test_several_ids_are_those_minted_one_by_one(now: Instant, number: int) -> None:
    """Many are minted as fast as they can be, and are the same."""
    mint, other = IdMint(Streams(5)), IdMint(Streams(5))
    assert mint.several(now, number) == [other.mint(now) for _ in range(number)]
    assert mint.mint(now) == other.mint(now)


def test_foreseen_ids_are_those_minted_one_by_one() -> None:
    """The keys of ids to come are shown before the first of them is minted, and change nothing."""
    shown: list[int] = []
    plain = IdMint(Streams(5))
    foreseen = IdMint(Streams(5), lambda keys: shown.extend(keys.tolist()))
    for now in map(Instant, range(3_000)):
        minted = foreseen.mint(now)
        assert minted == plain.mint(now)
        assert shown[now] == minted.key


@given(instants)
def test_id_text_reads_back(now: Instant) -> None:
    """An id prints as a UUID, and parses from that, in capitals or braces too."""
    minted = IdMint(Streams(1)).mint(now)
    text = str(minted)
    assert JobId.parse(text) == JobId.parse(text.upper()) == JobId.parse(f"{{{text}}}") == minted
    assert eval(repr(minted)) == minted


@pytest.mark.parametrize("text", ["", "42", "receipt-42", "01920000-0000-7000-8000-00000000000"])
def test_id_refuses_what_is_no_uuid(text: str) -> None:
    """The error shows what an id looks like."""
    with pytest.raises(ConfigError, match="is not a job id; ids look like"):
        JobId.parse(text)


def test_resubmission_tells_its_original() -> None:
    """Of the ids in a log, those of jobs that stand for another are found by their keys, in any order."""
    mint = IdMint(Streams(2))
    first, other, lone = (mint.mint(Instant(SECOND * n)) for n in (1, 2, 3))
    again = [resubmission(first, number, Instant(SECOND * 9)) for number in (1, 2)]
    assert len({first.key, *(id_.key for id_ in again)}) == 3
    told = originals([*again[::-1], lone, first, other], times=2)
    assert told == dict.fromkeys(again, first)
    assert originals([first, *again], times=1) == {again[0]: first, again[1]: again[0]}
