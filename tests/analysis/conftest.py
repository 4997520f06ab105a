from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest

from jobsim.analysis.curves import LATENCIES_S, Curves, Grid, Profiles
from jobsim.analysis.measure import Scale
from jobsim.analysis.measures import MEASURES
from jobsim.analysis.observed import Outage
from jobsim.analysis.summary import table_of_runs
from jobsim.core.decide import Why
from jobsim.core.events import Event, EventLog
from jobsim.core.job import JobId, WorkerId
from jobsim.core.time import SECOND, Instant
from jobsim.core.transitions import Kind

BEGAN = Instant(1_700_000_000 * SECOND)
NO_WHY = Why()
WORKER = WorkerId("worker-1")


@dataclass
class Story:
    """Writes an event log by hand; jobs are small numbers, times are seconds since `BEGAN`."""

    events: list[Event] = field(default_factory=list)
    attempt: dict[int, int] = field(default_factory=dict)
    token: dict[int, int] = field(default_factory=dict)
    limit: int = 5

    @property
    def log(self) -> EventLog:
        return EventLog.of(self.events)

    def add(self, kind: Kind, job: int, at: float, why: Why = NO_WHY, due: float | None = None) -> None:
        self.events.append(
            Event(
                seq=len(self.events) + 1,
                at=moment(at),
                job=JobId(job),
                kind=kind,
                attempt=self.attempt.setdefault(job, 0),
                max_attempts=self.limit,
                token=self.token.setdefault(job, 0),
                worker=WORKER if kind in (Kind.CLAIM, Kind.EXTEND) else None,
                due=None if due is None else moment(due),
                why=why,
            )
        )

    def enqueue(self, job: int, at: float, kind: str = "charge") -> None:
        self.add(Kind.ENQUEUE, job, at, Why(reason=kind), due=at)

    def claim(self, job: int, at: float) -> None:
        self.attempt[job] += 1
        self.token[job] += 1
        self.add(Kind.CLAIM, job, at, due=at + 60)

    def extend(self, job: int, at: float) -> None:
        self.add(Kind.EXTEND, job, at, due=at + 60)

    def succeed(self, job: int, at: float) -> None:
        self.add(Kind.SUCCEED, job, at, Why("succeeded"))

    def retry(self, job: int, at: float, due: float, outcome: str = "failed") -> None:
        self.add(Kind.RETRY, job, at, Why(outcome, "backoff", "OSError: down"), due)

    def bury(self, job: int, at: float, reason: str = "exhausted") -> None:
        self.add(Kind.DEAD_LETTER, job, at, Why("failed", reason, "OSError: down"))

    def release(self, job: int, at: float, due: float, outcome: str = "released") -> None:
        self.attempt[job] -= 1
        self.add(Kind.RELEASE, job, at, Why(outcome, "shutdown"), due)

    def cancel(self, job: int, at: float) -> None:
        self.add(Kind.CANCEL, job, at, Why("cancelled", "operator"))

    def requeue(self, job: int, at: float) -> None:
        self.add(Kind.REQUEUE, job, at, due=at)

    def refuse(self, job: int, at: float) -> None:
        self.add(Kind.REFUSE, job, at, Why("succeeded"))

    def done(self, job: int, at: float, latency: float, kind: str = "charge") -> None:
        """A job that succeeds at its first attempt."""
        self.enqueue(job, at, kind)
        self.claim(job, at)
        self.succeed(job, at + latency)


def moment(at: float) -> Instant:
    return Instant(BEGAN + round(at * SECOND))


@pytest.fixture
def story() -> Story:
    return Story()


@pytest.fixture
def began() -> Instant:
    return BEGAN


def table(policies: dict[str, dict[str, float]], replications: int, spread: float = 0.01) -> pd.DataFrame:
    """A table of runs: each measure is its policy's value, give or take the same noise for all policies."""
    noise = np.random.default_rng(1).normal(0, spread, (replications, len(MEASURES)))  # noqa: TID251
    typical = dict.fromkeys(MEASURES, 1.0) | {"jobs": 100.0, "unfinished": 0.0, "cancelled": 0.0}
    typical |= {"success_rate": 0.9, "dead_letter_rate": 0.1, "unfinished_rate": 0.0, "recovered": 1.0}
    own = dict(zip(MEASURES, range(len(MEASURES)), strict=True))
    return table_of_runs(
        {"policy": label, "replication": number, "seed": number}
        | {
            name: value * (1 + noise[number, own[name]] * (MEASURES[name].scale is not Scale.RUNS_SHARE))
            for name, value in (typical | values).items()
        }
        for label, values in policies.items()
        for number in range(replications)
    )


@pytest.fixture(name="table")
def table_fixture() -> Callable[..., pd.DataFrame]:
    return table


@pytest.fixture
def profiles() -> Callable[..., Profiles]:
    """Makes curves for some policies: a bump in the load, and latencies that level off."""

    def make(labels: Iterable[str], replications: int) -> Profiles:
        grid = Grid(60.0, 60)
        random = np.random.default_rng(2)  # noqa: TID251
        runs = {
            label: [
                Curves(
                    load=random.poisson(5, 60).astype(float),
                    goodput=random.poisson(4, 60).astype(float),
                    backlog=random.poisson(9, 61).astype(float),
                    waiting=np.clip(1 / (1 + LATENCIES_S), 0.02 * (index + 1), 1),
                    herd=np.array([100.0, 50, 20, 5, 1, 0, 0, 0, 0, 0]),
                )
                for _ in range(replications)
            ]
            for index, label in enumerate(labels)
        }
        return Profiles.of(grid, 3600.0, (Outage(1200, 1800, 2100),), runs)

    return make
