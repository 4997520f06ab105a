"""Jobs that ended long ago are removed, where that was asked for."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest

from jobsim.core.errors import ConfigError, StorageBusy
from jobsim.core.job import State
from jobsim.core.streams import Streams
from jobsim.core.time import SECOND, Duration, Instant
from jobsim.testing.scripted import Act
from jobsim.worker.calls import StorageCalls
from jobsim.worker.retention import BATCH, BREATH, PERIOD, retention
from jobsim.worker.settings import retained
from tests.worker.stage import BEGAN, Stage

DAY = 86_400
FIRST = PERIOD.seconds
"""By then, one that draws as these tests do has looked once, and cannot have twice."""


class Prunes:
    """Notes what is asked of a store's `prune`; of each state there are `left` jobs to remove."""

    def __init__(self, stage: Stage, **left: int) -> None:
        self.asked: list[tuple[float, str, int]] = []
        self.failures: list[Exception] = []
        self._stage = stage
        self._left = left
        stage.store.prune = self.prune  # type: ignore[method-assign]

    def prune(self, states: Sequence[State], before: Instant, limit: int) -> int:
        """Remove up to `limit` jobs."""
        if self.failures:
            raise self.failures.pop()
        (state,) = states
        self.asked.append((self._stage.seconds, state.value, self._stage.world.now() - before))
        removed = min(limit, self._left.get(state.value, 0))
        self._left[state.value] = self._left.get(state.value, 0) - removed
        return removed


def play(stage: Stage, keep: dict[str, str], until: float, seed: int = 1) -> None:
    """Let the loop work until then."""

    async def direct() -> None:
        runtime, streams = stage.runtime, Streams(seed)
        calls = StorageCalls(runtime, streams)
        stage.here.start(retention(runtime, stage.store, calls, retained(keep), streams.stream("retention")))
        await stage.until(until)

    stage.world.run(direct())


def test_retention_looks_now_and_then_for_each_state() -> None:
    """Again and again, at half the period to one and a half of it after the last look, by its own age."""
    stage = Stage()
    prunes = Prunes(stage)
    play(stage, {"succeeded": "7d", "cancelled": "30d"}, until=20 * PERIOD.seconds)
    ages = {state: age for _, state, age in prunes.asked}
    assert ages == {"succeeded": 7 * DAY * SECOND, "cancelled": 30 * DAY * SECOND}
    looks = [at for at, state, _ in prunes.asked if state == "succeeded"]
    waits = [after - before for before, after in pairwise([0, *looks])]
    assert all(0.5 <= wait / PERIOD.seconds <= 1.5 for wait in waits)
    assert 13 < len(looks) < 40


def test_retention_of_two_workers_is_not_at_the_same_times() -> None:
    """Each looks at times of its own."""
    stages = [Stage(), Stage()]
    looks = []
    for seed, stage in enumerate(stages):
        prunes = Prunes(stage)
        play(stage, {"succeeded": "7d"}, until=5 * PERIOD.seconds, seed=seed)
        looks.append({at for at, _, _ in prunes.asked})
    assert not looks[0] & looks[1]


def test_retention_removes_in_batches_with_pauses() -> None:
    """Others have the store to themselves between two batches, and all is removed in one look."""
    stage = Stage()
    prunes = Prunes(stage, succeeded=2 * BATCH + 1)
    play(stage, {"succeeded": "7d"}, until=FIRST)
    times = [at for at, _, _ in prunes.asked]
    assert len(times) == 3
    pauses = [after - before for before, after in pairwise(times)]
    assert pauses == [pytest.approx(BREATH.seconds)] * 2


def test_retention_leaves_the_rest_to_another_that_is_at_it() -> None:
    """A batch that is not full ends the look: nothing is left, or another worker removes it."""
    stage = Stage()
    prunes = Prunes(stage, succeeded=BATCH - 1)
    play(stage, {"succeeded": "7d"}, until=FIRST)
    assert len(prunes.asked) == 1


def test_retention_waits_for_a_busy_store() -> None:
    """A store that is busy is asked again, as by every other loop."""
    stage = Stage()
    prunes = Prunes(stage, succeeded=1)
    prunes.failures.append(StorageBusy("busy"))
    play(stage, {"succeeded": "7d"}, until=FIRST)
    assert len(prunes.asked) == 1


def test_worker_removes_what_ended_long_ago_and_nothing_else() -> None:
    """Jobs of the states that are named go once they are old enough; dead letters stay unless named."""
    stage = Stage({1: [Act()], 2: [Act()], 3: []})
    stage.enqueue(1)
    stage.enqueue(2, delay_s=3 * DAY)
    stage.enqueue(3, 4, delay_s=9 * DAY)

    async def direct() -> None:
        stage.store.cancel([stage.job(3).id], BEGAN)
        stage.start(stage.worker(lease="1h", retention={"succeeded": "2d"}))
        await stage.until(4 * DAY)

    stage.world.run(direct())
    left = {int(job.id): job.state for job in stage.store.find()}
    assert left == {2: State.SUCCEEDED, 3: State.CANCELLED, 4: State.PENDING}
    assert {int(event.job) for event in stage.store.events()} == {2, 3, 4}


def test_worker_removes_nothing_unless_told() -> None:
    """Without a retention, no worker ever asks a store to remove anything."""
    stage = Stage({1: [Act()]})
    prunes = Prunes(stage)
    stage.enqueue(1)
    stage.play(stage.worker(), until=4 * FIRST)
    assert prunes.asked == []
    assert stage.job(1).state is State.SUCCEEDED


def test_retained_states_are_final() -> None:
    """Ages are read as people write them; what has not ended, or is no state, is refused."""
    written: dict[str, Any] = {"succeeded": "7d", "dead_letter": 60}
    assert retained(written) == {
        State.SUCCEEDED: Duration(7 * DAY * SECOND),
        State.DEAD_LETTER: Duration(60 * SECOND),
    }
    mistakes: list[Any] = [
        {"running": "7d"},
        {"done": "7d"},
        {"succeeded": "soon"},
        {"succeeded": -1},
        "7d",
    ]
    for wrong in mistakes:
        with pytest.raises(ConfigError, match=r"^retention: "):
            retained(wrong)
