"""What all who act in one simulated run share: the world, its store, and the numbers it is made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from jobsim.core.policy import RetryPolicy
from jobsim.core.streams import Streams
from jobsim.core.time import SECOND, Instant
from jobsim.runtime.sim import SimSignal, World
from jobsim.sim.draws import Draws
from jobsim.sim.model_executor import Fate, fates
from jobsim.sim.scenario import Scenario
from jobsim.storage.base import Storage

BEGAN: Final = Instant(1_767_225_600 * SECOND)
"""When every simulated run begins: 2026-01-01, 00:00 UTC. An arbitrary moment, far from the clock's zero."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One run's scenario and policy, the fates of its jobs, its store, and the bell of all workers."""

    scenario: Scenario
    policy: RetryPolicy
    streams: Streams
    draws: Draws
    fates: Mapping[str, Fate]
    storage: Storage
    world: World
    bell: SimSignal

    @classmethod
    def of(cls, scenario: Scenario, policy: RetryPolicy, seed: int, storage: Storage) -> Self:
        """Return the stage of a run that has not begun."""
        streams, world = Streams(seed), World(BEGAN)
        draws = Draws(streams)
        begun = fates(scenario.jobs, streams, draws)
        return cls(scenario, policy, streams, draws, begun, storage, world, world.signal())
