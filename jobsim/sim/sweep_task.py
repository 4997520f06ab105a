"""One run of a sweep: what processes that make runs import, so that they start without tables and plots."""

from typing import NamedTuple

from jobsim.core.policy import RetryPolicy
from jobsim.sim.replication import replicate
from jobsim.sim.scenario import Scenario


class Task(NamedTuple):
    """One run to be made: of which cell, policy and replication, and what its file is called."""

    cell: int
    scenario: Scenario
    label: str
    policy: RetryPolicy
    number: int
    seed: int
    storage: str
    key: str


def measured(index: int, task: Task) -> tuple[int, dict[str, float]]:
    """Make the run of `task`, and return its measures after the `index` that it was handed."""
    one = replicate(task.scenario, task.label, task.policy, task.number, task.seed, task.storage)
    return index, one.measures
