"""How far the store is, and what befalls the calls of those who use it."""

from typing import Literal

from jobsim.core.time import Duration
from jobsim.models.base import Model
from jobsim.models.fields import Count, DurationField, PositiveField, Probability, Text, default
from jobsim.models.service import Service

Call = Literal["enqueue", "exchange", "settle", "extend", "expired", "get"]
"""The calls that are made in a simulation: `exchange` settles and claims, `extend` renews leases,
`expired` looks for lost ones, `settle` writes those and a stopping worker's, `get` asks after a job."""


class CallFailures(Model):
    """A share of storage calls fails, each with `probability`, after it `takes` so long.

    Where `calls` names some, others are spared.
    """

    probability: Probability
    takes: DurationField = default("0s")
    calls: tuple[Call, ...] = ()


class Partition(Model):
    """From `start` on, for `duration`, no call arrives of some `workers`, of `groups`, or of `enqueuers`.

    Workers are named by their numbers, groups of workers by their names. Where none of them is said, nobody's
    call arrives. A caller gives up after `takes`, such as a connection timeout.
    """

    start: DurationField
    duration: PositiveField
    takes: DurationField = default("5s")
    workers: tuple[Count, ...] = ()
    groups: tuple[Text, ...] = ()
    enqueuers: bool = False

    def cuts_off(self, worker: int | None, group: str | None = None) -> bool:
        """Return whether it is about the worker of that number, in a `group` if it is of one.

        `None` for the worker: about those who enqueue.
        """
        if not (self.workers or self.groups or self.enqueuers):
            return True
        if worker is None:
            return self.enqueuers
        return worker in self.workers if group is None else group in self.groups


class StorageModel(Model):
    """A store that is some way off, and fails now and then.

    `latency` is how long a call takes that works: half of it until the commit, half until that is heard
    of. A `busy` store, `errors` (it cannot be reached) and a `lost_reply` (committed, yet the caller cannot
    know) are what callers get over by trying again, as they do live. `clock` says by which clock workers
    go: ``"server"``, that of the store, looked at now and then, as on PostgreSQL; or each its ``"own"``.
    """

    latency: Service | None = None
    busy: CallFailures | None = None
    errors: CallFailures | None = None
    lost_replies: CallFailures | None = None
    partitions: tuple[Partition, ...] = ()
    clock: Literal["server", "own"] = "server"

    def trip(self, u: float) -> tuple[Duration, Duration]:
        """Return how long a call is under way until it is made, and then until its end is heard of."""
        if self.latency is None:
            return Duration(0), Duration(0)
        whole = self.latency.draw(u)
        return Duration(whole // 2), Duration(whole - whole // 2)
