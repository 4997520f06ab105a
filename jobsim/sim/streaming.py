"""Runs of any length in flat memory: events go to a file, or are folded into measures as they happen."""

from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

import pandas as pd

from jobsim.analysis.fold import Fold
from jobsim.analysis.measures import MEASURES
from jobsim.core.policy import RetryPolicy
from jobsim.sim.event_file import event_file, read_events
from jobsim.sim.result import SimResult
from jobsim.sim.scenario import Scenario
from jobsim.sim.simulation import check_scenario, policy_of, seed_of
from jobsim.sim.world import Run, run_world


@dataclass(frozen=True, slots=True)
class Recording:
    """A run whose `events`, so many, are in the file at `path`."""

    path: Path
    events: int
    run: Run

    def result(self) -> SimResult:
        """Return the run with its log, read back into memory.

        Raises:
            ConfigError: the file is gone, or damaged.
            SelfCheckFailed: the run breaks a law that every run keeps.
        """
        return SimResult(replace(self.run, log=read_events(self.path)))


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What was counted of a run of so many `events`; `measures` are named as those of `SimResult`."""

    events: int
    measures: dict[str, float]
    run: Run

    def summary(self) -> pd.DataFrame:
        """Return a row a measure: `value`, `unit`, `meaning`, as of a `SimResult`, quantiles within 0.5 %."""
        rows = [(value, MEASURES[name].unit, MEASURES[name].meaning) for name, value in self.measures.items()]
        index = pd.Index(list(self.measures), name="measure")
        return pd.DataFrame(rows, index=index, columns=["value", "unit", "meaning"])


def record(
    scenario: Scenario,
    path: str | PathLike[str],
    policy: RetryPolicy | str = "full_jitter",
    seed: int | None = None,
    storage: str = "memory",
) -> Recording:
    """Run `scenario` once as `simulate` does, with its events in a file at `path` and not in memory.

    The file has a format of jobsim's own, which `Recording.result`, `fit_history` and ``jobsim fit`` read.

    On the memory store, what is kept grows with the jobs that are not final, not with the run; but the calls
    of dependencies are kept.

    Raises:
        ConfigError: as of `simulate`; or the file cannot be written.
    """
    check_scenario(scenario)
    chosen, number = policy_of(scenario, policy), seed_of(scenario, seed)
    with event_file(path) as log:
        run = run_world(scenario, chosen, number, storage, log)
    return Recording(Path(path), len(log), run)


def summarise(
    scenario: Scenario,
    policy: RetryPolicy | str = "full_jitter",
    seed: int | None = None,
    storage: str = "memory",
) -> RunSummary:
    """Run `scenario` once as `simulate` does, and keep of it what can be counted on the way.

    On the memory store, what is kept grows with the jobs that are not final, not with the run; but the calls
    of dependencies are kept.

    Raises:
        ConfigError: as of `simulate`.
    """
    check_scenario(scenario)
    chosen, log = policy_of(scenario, policy), Fold()
    run = run_world(scenario, chosen, seed_of(scenario, seed), storage, log)
    return RunSummary(len(log), log.measures(), run)
