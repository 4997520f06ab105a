"""How a worker works: the same values live and simulated."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from jobsim.core.checks import check_count
from jobsim.core.errors import ConfigError, did_you_mean
from jobsim.core.job import DEFAULT_QUEUE, State
from jobsim.core.time import Duration, DurationLike, duration
from jobsim.core.transitions import FINAL
from jobsim.worker.schedule import Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """`slots` attempts at a time from `queues`.

    A job is claimed for `lease`, which is renewed at a third of it while the worker lives: what a dead
    worker held comes back that long after its last renewal. Without `heartbeat` it is not renewed, which is
    for simulations alone: what runs for longer than its lease runs twice. An idle worker that nobody wakes
    looks for jobs again after `poll`. Told to stop, it lets running attempts go on for `shutdown_timeout`,
    then gives them back. With `burst` it stops by itself once nothing is due and nothing runs. `retention`
    says of final states how long jobs stay in them before they are removed; of others they never are. The
    jobs of `schedules` are enqueued by every worker, and each once.

    Raises:
        ConfigError: no slot, no queue, a lease or poll of no length, or a state that is not final.
    """

    slots: int = 8
    queues: tuple[str, ...] = (DEFAULT_QUEUE,)
    lease: DurationLike = "60s"
    poll: DurationLike = "1s"
    shutdown_timeout: DurationLike = "30s"
    burst: bool = False
    retention: Mapping[State, Duration] = field(default_factory=dict, hash=False)
    schedules: tuple[Schedule, ...] = ()
    heartbeat: bool = True

    def __post_init__(self) -> None:
        check_count(self.slots, "slots")
        object.__setattr__(self, "queues", _names(self.queues))
        for name in ("lease", "poll", "shutdown_timeout"):
            object.__setattr__(self, name, duration(getattr(self, name), name))
        if not self.lease or not self.poll:
            raise ConfigError("lease and poll: must be longer than 0s")
        object.__setattr__(self, "retention", retained(self.retention))

    @property
    def lease_duration(self) -> Duration:
        """The length of a lease."""
        return duration(self.lease)


def retained(written: Mapping[str, DurationLike] | Mapping[State, Duration]) -> dict[State, Duration]:
    """Return how long jobs stay in those states that were `written` by name.

    Raises:
        ConfigError: one is no final state, or no time is said of it.
    """
    if not isinstance(written, Mapping):
        raise ConfigError(f'retention: write {{"succeeded": "7d"}}, not {written!r}')
    return {_final(name): duration(age, f"retention: {name}") for name, age in written.items()}


def _final(name: str) -> State:
    if name in FINAL:
        return State(name)
    states = [state.value for state in State if state in FINAL]
    raise ConfigError(
        f"retention: {name!r} is no state in which jobs end{did_you_mean(name, states)}; "
        f"those are {', '.join(states)}"
    )


def _names(queues: object) -> tuple[str, ...]:
    if isinstance(queues, str):
        raise ConfigError(f"queues: {queues!r} is one name; write ({queues!r},)")
    names = tuple(queues) if isinstance(queues, Iterable) else ()
    if not names or not all(isinstance(name, str) and name for name in names):
        raise ConfigError(f"queues: must be names, at least one; not {queues!r}")
    return names
