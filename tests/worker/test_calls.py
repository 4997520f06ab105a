"""Storage calls that are made again, within bounds."""

import logging
from collections.abc import Callable

import pytest

from jobsim.core.errors import (
    StorageBroken,
    StorageBusy,
    StorageError,
    StorageForeign,
    StorageFull,
    StorageReadOnly,
    StorageUnavailable,
)
from jobsim.core.streams import Streams
from jobsim.worker.calls import TRIES, StorageCalls
from tests.worker.stage import Stage

Call = Callable[[int, int], int]


class Flaky:
    """A storage call that raises `errors` one after the other, then adds."""

    def __init__(self, stage: Stage, *errors: StorageError) -> None:
        self.times: list[float] = []
        self.arguments: set[tuple[int, int]] = set()
        self._stage = stage
        self._errors = list(errors)

    def add(self, a: int, b: int) -> int:
        """Fail, or add."""
        self.times.append(self._stage.seconds)
        self.arguments.add((a, b))
        if self._errors:
            raise self._errors.pop(0)
        return a + b


def make(stage: Stage, fn: Call) -> int:
    """Make the call on `stage`."""
    return stage.world.run(StorageCalls(stage.runtime, Streams(1)).make(fn, 2, 3))


def test_call_that_works_is_made_once_and_at_once() -> None:
    """Nothing is waited for where nothing failed."""
    stage = Stage()
    flaky = Flaky(stage)
    assert make(stage, flaky.add) == 5
    assert flaky.times == [0]


@pytest.mark.parametrize("error", [StorageBusy, StorageFull, StorageUnavailable])
def test_call_is_made_again_where_that_may_help(
    error: type[StorageError], caplog: pytest.LogCaptureFixture
) -> None:
    """A store that is busy, full or out of reach is asked again, the same, later each time; a log says so."""
    stage = Stage()
    flaky = Flaky(stage, error("not now"), error("nor now"))
    with caplog.at_level(logging.WARNING, "jobsim.worker"):
        assert make(stage, flaky.add) == 5
    assert flaky.arguments == {(2, 3)}
    first, second, third = flaky.times
    assert first == 0
    assert 0.025 <= second <= 0.05
    assert 0.05 <= third - second <= 0.1
    assert [record.getMessage().partition(";")[0] for record in caplog.records] == ["not now", "nor now"]


@pytest.mark.parametrize("error", [StorageBroken, StorageForeign, StorageReadOnly, StorageError])
def test_error_that_will_not_pass_is_raised_at_once(error: type[StorageError]) -> None:
    """A store that is broken, foreign or not to be written is not asked again."""
    stage = Stage()
    flaky = Flaky(stage, error("never"))
    with pytest.raises(error, match="never"):
        make(stage, flaky.add)
    assert flaky.times == [0]


def test_error_that_will_not_pass_ends_the_repetition() -> None:
    """What began as busy may turn out to be broken."""
    stage = Stage()
    flaky = Flaky(stage, StorageBusy("locked"), StorageBroken("fsync"))
    with pytest.raises(StorageBroken, match="fsync"):
        make(stage, flaky.add)
    assert len(flaky.times) == 2


def test_call_is_given_up_within_bounds() -> None:
    """After so many tries the last error surfaces, itself, within a quarter to half a minute."""
    stage = Stage()
    errors = [StorageBusy(str(number)) for number in range(TRIES + 1)]
    flaky = Flaky(stage, *errors)
    with pytest.raises(StorageBusy) as caught:
        make(stage, flaky.add)
    assert caught.value is errors[-1]
    assert len(flaky.times) == TRIES + 1
    assert 15 <= stage.seconds <= 32
