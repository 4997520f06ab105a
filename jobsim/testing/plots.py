"""What befalls the processes of a deployment, as values: from a seed, or from Hypothesis, which shrinks them.

The first of the choices is always the harmless one, so that a plot shrinks to what matters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple, Protocol, TypeVar

from jobsim.core.streams import Streams
from jobsim.core.time import SECOND, Duration
from jobsim.storage.troubles import Mishap, Trouble

T = TypeVar("T")


class Pick:
    """Chooses one of several things by the numbers of a seed."""

    def __init__(self, seed: int) -> None:
        self._stream = Streams(seed).stream("plot")

    def __call__(self, choices: Sequence[T]) -> T:
        """Return one of `choices`, each as likely as any other."""
        return choices[int(self._stream.random() * len(choices))]


class Picks(Protocol):
    """Returns one of the choices."""

    def __call__(self, choices: Sequence[T], /) -> T: ...


class Kind(StrEnum):
    """What the attempts of a job do."""

    WORK = "work"
    """Takes a second, and fails two times of three."""

    LONG = "long"
    """Takes longer than a lease, and succeeds."""

    SNOOZE = "snooze"
    """Gives its first attempts back, and then succeeds."""

    BAD = "bad"
    """Fails with an error that is not to be retried."""

    POISON = "poison"
    """Ends the process that it runs in, every time."""


class Clock(NamedTuple):
    """How wrong a clock is: `ahead` in microseconds, too fast by a share; `sets`: when, and by how much."""

    ahead: int = 0
    drift: float = 0.0
    sets: tuple[tuple[Duration, int], ...] = ()

    def shows(self, elapsed: int) -> int:
        """Return how much time it shows to have passed since the beginning, when so much has."""
        moved = sum(by for at, by in self.sets if at <= elapsed)
        return round(elapsed * (1 + self.drift)) + self.ahead + moved

    @property
    def error(self) -> int:
        """How wrong it ever is, at most, but for its drift; microseconds."""
        return abs(self.ahead) + sum(abs(by) for _, by in self.sets)


RIGHT: Final = Clock()


@dataclass(frozen=True, slots=True)
class Fate:
    """What befalls one process.

    `troubles` befall its storage calls, and `stalls` its awaits, by their number from 1: it stands still for
    so long. At await number `dies` it ends. `cut_off` says from when on, after its beginning, the store is
    out of reach, and for how long.
    """

    troubles: Mapping[int, Trouble] = field(default_factory=dict)
    dies: int | None = None
    stalls: Mapping[int, Duration] = field(default_factory=dict)
    cut_off: tuple[Duration, Duration] | None = None
    clock: Clock = RIGHT

    def __bool__(self) -> bool:
        return self != SOUND

    @property
    def mishaps(self) -> int:
        """How many things befall it."""
        single = (self.dies is not None, self.cut_off is not None, self.clock != RIGHT)
        return len(self.troubles) + len(self.stalls) + sum(single)


SOUND: Final = Fate()


@dataclass(frozen=True, slots=True)
class Plot:
    """`jobs` in the order they are enqueued, and what befalls client and workers, life after life.

    After those lives come sound ones. With `deaf` workers nobody hears of new jobs, but by looking. `seed`
    gives the ids of jobs, and with them their jitter.
    """

    jobs: tuple[Kind, ...]
    client: tuple[Fate, ...] = ()
    workers: tuple[tuple[Fate, ...], ...] = ((), ())
    deaf: bool = False
    seed: int = 1

    @property
    def fates(self) -> tuple[Fate, ...]:
        """All lives that something befalls."""
        return (*self.client, *(fate for lives in self.workers for fate in lives))

    @property
    def mishaps(self) -> int:
        """How many things befall anybody."""
        return sum(fate.mishaps for fate in self.fates) + self.deaf


_NO_TIME: Final = Duration(0)
_TIMES: Final = (_NO_TIME, _NO_TIME, Duration(SECOND), Duration(15 * SECOND))
_CALLS: Final = range(1, 40)
_AWAITS: Final = range(1, 120)
_STALLS: Final = (Duration(5 * SECOND), Duration(12 * SECOND), Duration(60 * SECOND))
_CUTS: Final = tuple((Duration(a * SECOND), Duration(b * SECOND)) for a in (0, 3, 8) for b in (4, 20, 70))
_SETS: Final = tuple((Duration(a * SECOND), by * SECOND) for a in (2, 6, 15) for by in (-20, 20, -300, 300))
_AHEAD: Final = tuple(by * SECOND for by in (0, -50, 50, 300))


def plot(pick: Picks) -> Plot:
    """Return a plot made of choices."""
    jobs = tuple(pick(tuple(Kind)) for _ in range(pick(range(1, 7))))
    client = _lives(pick)
    workers = tuple(_lives(pick) for _ in range(2))
    return Plot(jobs, client, workers, pick((False, False, False, True)), pick(range(1, 9)))


def plot_of(seed: int) -> Plot:
    """Return the plot of a seed."""
    return plot(Pick(seed))


def _lives(pick: Picks) -> tuple[Fate, ...]:
    return tuple(_fate(pick) for _ in range(pick((0, 1, 1, 2, 3))))


def _fate(pick: Picks) -> Fate:
    troubles = {
        pick(_CALLS): Trouble(pick(tuple(Mishap)), pick(_TIMES)) for _ in range(pick((0, 0, 1, 2, 4)))
    }
    dies = pick(_AWAITS) if pick((False, False, True)) else None
    stalls = {pick(_AWAITS): pick(_STALLS) for _ in range(pick((0, 0, 0, 1, 2)))}
    cut_off = pick(_CUTS) if pick((False,) * 5 + (True,)) else None
    clock = _clock(pick) if pick((False,) * 4 + (True,)) else RIGHT
    return Fate(troubles, dies, stalls, cut_off, clock)


def _clock(pick: Picks) -> Clock:
    return Clock(
        pick(_AHEAD), pick((0.0, 1e-3, -1e-3)), tuple(pick(_SETS) for _ in range(pick((0, 0, 1, 2))))
    )
