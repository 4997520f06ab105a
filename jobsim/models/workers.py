"""Who works the queue, and how it dies."""

from jobsim.models.base import Model
from jobsim.models.fields import Count, DurationField, PositiveField, default


class Crashes(Model):
    """Each worker dies at random, once `every` so long on average, and is back after `restart_after`.

    The time to the next crash is exponential with mean `every`, for each worker on its own. A dead
    worker's leases are left to run out.
    """

    every: PositiveField
    restart_after: DurationField = default("30s")


class Workers(Model):
    """`count` worker processes, each with `slots` attempts at a time.

    An attempt is claimed for `lease` and the lease is extended while its worker lives. An idle worker
    that nobody wakes looks for jobs again after `poll`.
    """

    count: Count
    slots: Count
    lease: PositiveField = default("60s")
    poll: PositiveField = default("5s")
    crash: Crashes | None = None
