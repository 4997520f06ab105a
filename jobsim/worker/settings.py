"""How a worker works: the same values live and simulated."""

from collections.abc import Iterable
from dataclasses import dataclass

from jobsim.core.errors import ConfigError
from jobsim.core.job import DEFAULT_QUEUE
from jobsim.core.time import Duration, DurationLike, duration


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """`slots` attempts at a time from `queues`.

    A job is claimed for `lease`, which is renewed at a third of it while the worker lives: what a dead
    worker held comes back that long after its last renewal. An idle worker that nobody wakes looks for
    jobs again after `poll`. Told to stop, it lets running attempts go on for `shutdown_timeout`, then
    gives them back. With `burst` it stops by itself once nothing is due and nothing runs.

    Raises:
        ConfigError: no slot, no queue, or a lease or poll of no length.
    """

    slots: int = 8
    queues: tuple[str, ...] = (DEFAULT_QUEUE,)
    lease: DurationLike = "60s"
    poll: DurationLike = "1s"
    shutdown_timeout: DurationLike = "30s"
    burst: bool = False

    def __post_init__(self) -> None:
        _check_slots(self.slots)
        object.__setattr__(self, "queues", _names(self.queues))
        for name in ("lease", "poll", "shutdown_timeout"):
            object.__setattr__(self, name, duration(getattr(self, name), name))
        if not self.lease or not self.poll:
            raise ConfigError("lease and poll: must be longer than 0s")

    @property
    def lease_duration(self) -> Duration:
        """The length of a lease."""
        return duration(self.lease)


def _check_slots(slots: object) -> None:
    if not isinstance(slots, int) or isinstance(slots, bool) or slots < 1:
        raise ConfigError(f"slots: must be a whole number, at least 1; not {slots!r}")


def _names(queues: object) -> tuple[str, ...]:
    if isinstance(queues, str):
        raise ConfigError(f"queues: {queues!r} is one name; write ({queues!r},)")
    names = tuple(queues) if isinstance(queues, Iterable) else ()
    if not names or not all(isinstance(name, str) and name for name in names):
        raise ConfigError(f"queues: must be names, at least one; not {queues!r}")
    return names
