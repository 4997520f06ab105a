"""Circuit breakers: where too much fails, nothing is tried for a while. Values and pure functions."""

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from jobsim.core.checks import check_count, word_of
from jobsim.core.errors import ConfigError
from jobsim.core.fields import DurationField, default
from jobsim.core.time import Instant, duration
from jobsim.core.windows import SKEW, Window


class Stops(StrEnum):
    """What a breaker stops."""

    ATTEMPTS = "attempts"
    """All: while it is open, jobs wait and use no attempt up; then a few are let through as probes."""

    RETRIES = "retries"
    """Only retries: while so many fail, a job that fails becomes a dead letter, with the reason "breaker"."""


class Phase(StrEnum):
    """Where a breaker stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Circuit(NamedTuple):
    """What a breaker knows: attempts that ended of late, and those of them that failed.

    Once it has opened, it is `until` when nothing is let through, and how many probes have `passed` since.
    """

    until: Instant | None = None
    passed: int = 0
    calls: Window = Window()
    failed: Window = Window()


if TYPE_CHECKING:

    class StopsField:
        """Written as a word, read as a `Stops`."""

        def __get__(self, owner: object, kind: type | None = None) -> Stops: ...
        def __set__(self, owner: object, value: Stops | str) -> None: ...

else:
    StopsField = str


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """Opens where, of at least `min_calls` attempts that ended within `window`, the share `threshold` failed.

    It is open for `open_for`, then half open: up to `probes` attempts run, and it closes when that many have
    succeeded, or opens again at the first that fails. What ends meanwhile counts as a probe, whenever it
    began. A breaker that `stops` retries alone knows no probes, since first attempts go on: it is open for as
    long as the window says so.

    Errors that are not to be retried are no failures, nor are attempts that were lost with their worker.

    Raises:
        ConfigError: a number is out of its range, or a time has no length.
    """

    threshold: float = 0.5
    window: DurationField = default("30s")
    min_calls: int = 10
    open_for: DurationField = default("30s")
    probes: int = 1
    stops: StopsField = default(Stops.ATTEMPTS)

    def __post_init__(self) -> None:
        share: object = self.threshold
        if not isinstance(share, (int, float)) or isinstance(share, bool) or not 0 < share <= 1:
            raise ConfigError(f"threshold: must be a share of attempts, above 0, at most 1; not {share!r}")
        for name in ("min_calls", "probes"):
            check_count(getattr(self, name), name)
        for name in ("window", "open_for"):
            object.__setattr__(self, name, duration(getattr(self, name), name))
            if not getattr(self, name):
                raise ConfigError(f"{name}: must be longer than 0s")
        object.__setattr__(self, "stops", word_of(self.stops, Stops, "stops"))

    def __repr__(self) -> str:
        given = {name: v for name, default_ in _DEFAULTS.items() if (v := getattr(self, name)) != default_}
        parts = (f"{name}={v if type(v) in (int, float) else repr(str(v))}" for name, v in given.items())
        return f"Breaker({', '.join(parts)})"

    @property
    def holds(self) -> bool:
        """Whether it holds attempts back."""
        return self.stops is Stops.ATTEMPTS

    def phase(self, circuit: Circuit, now: Instant) -> Phase:
        """Return where the breaker stands `now`."""
        if not self.holds:
            return Phase.OPEN if self._trips(self._recent(circuit, now)) else Phase.CLOSED
        until = circuit.until
        if until is None:
            return Phase.CLOSED
        # One further ahead than that was opened by a clock that has been set back.
        return Phase.OPEN if now < until <= now + self.open_for + SKEW else Phase.HALF_OPEN

    def left(self, circuit: Circuit) -> int:
        """Return how many probes may run together, where the breaker is half open."""
        return self.probes - circuit.passed

    def ended(self, circuit: Circuit, now: Instant, *, failed: bool) -> Circuit:
        """Return what the breaker knows after an attempt has ended `now`."""
        if circuit.until is not None:
            if self.phase(circuit, now) is Phase.OPEN:  # it began before, and says nothing new
                return circuit
            if failed:
                return Circuit(until=self._until(now))
            passed = circuit.passed + 1
            return Circuit() if passed >= self.probes else circuit._replace(passed=passed)
        counted = self._recent(circuit, now)
        counted = counted._replace(calls=counted.calls.add(1), failed=counted.failed.add(int(failed)))
        if self.holds and failed and self._trips(counted):
            return Circuit(until=self._until(now))
        return counted

    def _until(self, now: Instant) -> Instant:
        return Instant(now + self.open_for)

    def _recent(self, circuit: Circuit, now: Instant) -> Circuit:
        calls, failed = circuit.calls.at(now, self.window), circuit.failed.at(now, self.window)
        return circuit._replace(calls=calls, failed=failed)

    def _trips(self, circuit: Circuit) -> bool:
        calls = circuit.calls.total
        return calls >= self.min_calls and circuit.failed.total >= self.threshold * calls


_DEFAULTS: Final = {name: getattr(Breaker(), name) for name in (f.name for f in fields(Breaker))}
