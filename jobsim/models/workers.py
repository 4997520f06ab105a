"""Who works the queue, how many of them, and what befalls their machines."""

import math
from collections import Counter
from functools import cached_property
from typing import Annotated, Final, Self

from pydantic import Field, field_validator, model_validator

from jobsim.core.errors import ConfigError
from jobsim.core.time import MAX_DURATION, Duration
from jobsim.models.base import Model, Uniform
from jobsim.models.clocks import Clocks
from jobsim.models.fields import Count, DurationField, PositiveField, Text, default
from jobsim.models.service import Service

MOST_SLOTS: Final = 1_000_000
"""The slots of all workers that one simulation can hold; each is a task of its own."""


def _exponential(mean: Duration, u: float) -> Duration:
    """Return an exponential time by inversion; `u` is uniform on [0, 1)."""
    return Duration(min(round(-mean * math.log1p(-u)), MAX_DURATION))


class Crashes(Model):
    """Each worker dies at random, once `every` so long on average, and is back after `restart_after`.

    The time to the next crash is exponential with mean `every`, for each worker on its own. A dead
    worker's leases are left to run out.
    """

    every: PositiveField
    restart_after: DurationField = default("30s")

    def lifetime(self, u: float) -> Duration:
        """Return how long a worker lives from its start; `u` is uniform on [0, 1)."""
        return _exponential(self.every, u)


class Pauses(Model):
    """Each worker's machine stands still at random, once `every` so long on average, for a `length`.

    A pause longer than the lease makes a zombie: it wakes up with leases that others hold by then. Answers
    that come in meanwhile are seen afterwards. The time to the next pause is exponential.
    """

    every: PositiveField
    length: Service

    def pause(self, number: int, uniform: Uniform) -> tuple[Duration, Duration]:
        """Return how long after the last one pause `number`, from 0, begins, and how long it is."""
        return _exponential(self.every, uniform(2 * number)), self.length.draw(uniform(2 * number + 1))


class Autoscale(Model):
    """As many workers as the backlog asks for, one for each `per_worker` jobs, from `min` to `max`.

    The backlog is all unfinished jobs of the workers' queues: those that wait, for a retry too, and those
    that run. It is looked at once `every` so long. More workers are started at once, and work after their
    `start_up`; where fewer would have done during all of the last `patience`, the youngest are told to
    stop, and let their running attempts end.

    Source: Kubernetes, "Horizontal Pod Autoscaling": ceil(metric / target), looked at every 15 s, with a
    stabilisation window of 5 min for scaling down; as KEDA does, what is in flight counts.
    """

    per_worker: Count
    least: Annotated[int, Field(strict=True, ge=0)] = Field(default=1, alias="min")
    most: Count = Field(alias="max")
    every: PositiveField = default("15s")
    patience: DurationField = default("5m")

    def wanted(self, backlog: int) -> int:
        """Return how many workers there should be."""
        return min(max(-(-backlog // self.per_worker), self.least), self.most)


class Crew(Model):
    """Workers that are alike; `Workers` says what each field means."""

    count: Count
    slots: Count
    queues: Annotated[tuple[Text, ...], Field(min_length=1)] | None = None
    lease: PositiveField = default("60s")
    poll: PositiveField = default("5s")
    heartbeat: bool = Field(default=True, strict=True)
    start_up: DurationField = default("0s")
    crash: Crashes | None = None
    pause: Pauses | None = None
    clock: Clocks | None = None
    autoscale: Autoscale | None = None

    @model_validator(mode="after")
    def _count_in_range(self) -> Self:
        scale = self.autoscale
        if scale is not None and not scale.least <= self.count <= scale.most:
            raise ConfigError(
                f"count is {self.count}, which autoscale does not allow: from {scale.least} to {scale.most}"
            )
        most = self.count if scale is None else scale.most
        if most * self.slots > MOST_SLOTS:
            raise ConfigError(
                f"{most:,} workers of {self.slots:,} slots are too many to simulate: {MOST_SLOTS:,} slots at "
                "most; more than jobs are ever under way change nothing"
            )
        return self

    @property
    def called(self) -> str:
        """What stands before a worker's number wherever it has a name."""
        return ""


class Group(Crew):
    """More workers, of another kind, such as those of a queue whose jobs are not to wait for all the others.

    Each field is the group's own: what the other workers are like does not matter. The first worker of the
    group ``imports`` is called ``worker-imports-1``.
    """

    name: Text

    @property
    def called(self) -> str:
        """What stands before a worker's number wherever it has a name."""
        return f"{self.name}-"


class Workers(Crew):
    """`count` worker processes, each with `slots` attempts at a time, and beside them other `groups`.

    They serve the `queues` that are named; without that, all. An attempt is claimed for `lease`, which is
    renewed at a third of it while its worker lives; with ``heartbeat = false`` it is not, as where queues
    have a visibility timeout. An idle worker that nobody wakes looks for jobs again after `poll`. A worker
    that is started during the run, anew or after a crash, works after `start_up`; those of the beginning are
    there. Without `autoscale` there are always `count`.
    """

    groups: tuple[Group, ...] = ()

    @field_validator("groups")
    @classmethod
    def _named_once(cls, groups: tuple[Group, ...]) -> tuple[Group, ...]:
        twice = [name for name, times in Counter(group.name for group in groups).items() if times > 1]
        if twice:
            raise ConfigError(f"two are called {twice[0]!r}")
        return groups

    @property
    def crews(self) -> tuple[Crew, ...]:
        """All workers, those together that are alike."""
        return (self, *self.groups)

    @cached_property
    def rough(self) -> bool:
        """Whether their machines need more than to work and to die."""
        return any(crew.pause is not None or crew.clock is not None for crew in self.crews)
