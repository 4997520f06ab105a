"""Many calls go batch by batch, and an error leaves no doubt of how far they came."""

from collections.abc import Iterator
from typing import Any

import pytest

from jobsim.core.errors import ConfigError, PayloadError, StorageFull
from jobsim.core.job import JobId
from jobsim.live.calls import Call, calls_of, in_batches


def numbers(end: int, error: Exception | None = None) -> Iterator[int]:
    """Yield numbers, and raise in the end."""
    yield from range(end)
    if error is not None:
        raise error


def test_batches_are_taken_one_after_the_other() -> None:
    """No batch is read before the one before it was taken; the last may be smaller; ids keep their order."""
    rest = numbers(5)
    seen: list[list[int]] = []

    def take(batch: list[int]) -> list[JobId]:
        assert batch[0] == sum(map(len, seen))
        seen.append(batch)
        return [JobId(number) for number in batch]

    assert in_batches(rest, 2, take) == [0, 1, 2, 3, 4]
    assert seen == [[0, 1], [2, 3], [4]]


@pytest.mark.parametrize(("end", "told"), [(5, "the first 4 calls are enqueued, no others"), (1, "nothing")])
def test_an_error_says_what_was_taken(end: int, told: str) -> None:
    """What was taken before stays, and the error says how many, whether it is one of ours or the caller's."""
    taken: list[int] = []

    def take(batch: list[int]) -> list[JobId]:
        taken.extend(batch)
        return [JobId(number) for number in batch]

    with pytest.raises(PayloadError, match=rf"^wrong; {told}"):
        in_batches(numbers(end, PayloadError("wrong")), 2, take)
    assert taken == list(range(end - end % 2))
    with pytest.raises(ZeroDivisionError) as error:
        in_batches(numbers(end, ZeroDivisionError()), 2, take)
    assert told in error.value.__notes__[0]


def test_a_store_that_fails_is_told_the_same_way() -> None:
    """An error of the store keeps its type."""

    def take(batch: list[int]) -> list[JobId]:
        if 2 in batch:
            raise StorageFull("the disk is full")
        return [JobId(number) for number in batch]

    with pytest.raises(StorageFull, match=r"^the disk is full; the first 2 calls are enqueued, no others$"):
        in_batches(numbers(9), 2, take)


@pytest.mark.parametrize("size", [0, -1, True, 1.5, "9"])
def test_a_batch_is_a_number_of_calls(size: Any) -> None:
    """Another size is refused before anything is read."""
    with pytest.raises(ConfigError, match="batch: must be a whole number, at least 1"):
        in_batches(numbers(0, AssertionError()), size, lambda _: [])


def test_a_wrong_call_is_named_by_its_place() -> None:
    """Of several, it is said which; so for a key that cannot be used."""

    def read(call: Any) -> Call:
        if "bad" in call:
            raise ConfigError("no key")
        return Call("{}")

    with pytest.raises(ConfigError, match=r"^call 1: no key"):
        list(calls_of([{}, {"bad": 1}], read))
    with pytest.raises(ConfigError, match=r"^call 0: no key"):
        list(calls_of([{"bad": 1}, {}], read))
    with pytest.raises(ConfigError, match=r"^no key"):
        list(calls_of([{"bad": 1}], read))
