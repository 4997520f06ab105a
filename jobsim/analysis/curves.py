"""One run over time, and its latencies, on grids that all runs of a comparison share."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from jobsim.analysis.arrays import STATES
from jobsim.analysis.measures_attempts import BURST_WINDOW_S, densest
from jobsim.analysis.measures_jobs import latencies
from jobsim.analysis.observed import Observed, Outage
from jobsim.core.job import State
from jobsim.core.time import SECOND

Floats = NDArray[np.float64]

BINS: Final = 120
"""About how many bins of time the horizon is cut into."""

RETRIES: Final = 10
"""Up to which retry the herd is looked at, retry by retry."""

LATENCIES_S: Final[Floats] = np.logspace(-3, 7, 401)
"""Latencies at which the distribution is recorded: 1 ms to 116 days, 40 a decade."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Bins of time: `count` of `width_s` seconds from the beginning of the run."""

    width_s: float
    count: int

    @classmethod
    def over(cls, horizon_s: float, length_s: float) -> Self:
        """Return bins of a round width, about `BINS` to the horizon, that reach to `length_s`.

        They end at three times the horizon at the latest: what follows is a few stragglers.
        """
        width = round_up(max(horizon_s, 1e-3) / BINS)
        return cls(width, max(1, math.ceil(min(length_s, 3 * max(horizon_s, 1e-3)) / width)))

    @property
    def edges_s(self) -> Floats:
        """The bins' edges, shape (count + 1,), seconds."""
        return np.arange(self.count + 1, dtype=np.float64) * self.width_s


def round_up(width: float) -> float:
    """Return the next width that people count in, at least `width`: 1, 2, 5, 10 s, ..., 1 min, 1 h, 1 d."""
    if width > 86_400:
        return 86_400.0 * math.ceil(width / 86_400)
    if width > 1:
        return next(step for step in _STEPS_S if step >= width)
    power = 10.0 ** math.floor(math.log10(width))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= width * (1 - 1e-9))


_STEPS_S: Final = tuple(
    float(unit * step)
    for unit, steps in ((1, (2, 5, 10, 15, 30)), (60, (1, 2, 5, 10, 15, 30)), (3600, (1, 2, 6, 12, 24)))
    for step in steps
)


@dataclass(frozen=True, slots=True)
class Curves:
    """The curves of one run.

    `load` is attempts started per second in each bin, `goodput` jobs succeeded, shape (count,); `backlog` the
    jobs not final at each edge, shape (count + 1,); `waiting` the share of all jobs not succeeded within
    each of `LATENCIES_S`, so that it levels off at the share that never succeeded; `herd` the largest burst
    of first, second, ... retries, shape (`RETRIES`,).
    """

    load: Floats
    goodput: Floats
    backlog: Floats
    waiting: Floats
    herd: Floats

    @classmethod
    def of(cls, run: Observed, grid: Grid) -> Self:
        """Return the curves of one run."""
        jobs, began = run.history.jobs, run.setting.began
        attempts = run.history.attempts
        load, _ = np.histogram((attempts.started - began) / SECOND, grid.edges_s)
        done_at = jobs.finished[jobs.state == STATES.index(State.SUCCEEDED)]
        goodput, _ = np.histogram((done_at - began) / SECOND, grid.edges_s)
        retries = (attempts.started[attempts.number == k + 1] for k in range(1, RETRIES + 1))
        edges = began + np.round(grid.edges_s * SECOND).astype(np.int64)
        done = np.searchsorted(np.sort(latencies(jobs)), LATENCIES_S, side="right")
        return cls(
            load=load / grid.width_s,
            goodput=goodput / grid.width_s,
            backlog=run.backlog.at_moments(edges).astype(np.float64),
            waiting=1 - done / max(1, len(jobs.state)),
            herd=np.array([densest(started, BURST_WINDOW_S) for started in retries], np.float64),
        )


@dataclass(frozen=True, slots=True)
class Profiles:
    """The curves of all runs, by policy: those of `Curves`, with a first axis for the replications."""

    grid: Grid
    horizon_s: float
    outages: tuple[Outage, ...]
    load: dict[str, Floats]
    goodput: dict[str, Floats]
    backlog: dict[str, Floats]
    waiting: dict[str, Floats]
    herd: dict[str, Floats]

    @classmethod
    def of(
        cls,
        grid: Grid,
        horizon_s: float,
        outages: tuple[Outage, ...],
        runs: Mapping[str, Iterable[Curves]],
    ) -> Self:
        """Stack the curves of each policy's runs."""
        stacked = {label: list(curves) for label, curves in runs.items()}
        by_name = {
            field.name: {
                label: np.stack([getattr(c, field.name) for c in curves]) for label, curves in stacked.items()
            }
            for field in fields(Curves)
        }
        return cls(grid, horizon_s, outages, **by_name)

    @property
    def end_s(self) -> float:
        """Where a plot over time may end: after the horizon and nearly all attempts of every policy."""
        last = self.horizon_s
        for load in self.load.values():
            share = np.cumsum(load.mean(axis=0))
            busy = np.searchsorted(share, 0.99 * share[-1]) + 1
            last = max(last, busy * self.grid.width_s)
        return float(min(last, self.grid.edges_s[-1]))
