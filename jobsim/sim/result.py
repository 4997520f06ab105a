"""What one run gave: its log, tables, measures and pictures."""

import math
from collections.abc import Iterable
from functools import cached_property

import pandas as pd

from jobsim.analysis import frames
from jobsim.analysis.curves import Curves, Profiles
from jobsim.analysis.measures import MEASURES, measures
from jobsim.analysis.quantiles import checked_percents, quantile_interval
from jobsim.analysis.report import card
from jobsim.analysis.series import SteadyState, steady_state
from jobsim.analysis.summary import HEADLINE, check_ci, in_words, table_of_runs
from jobsim.core.events import EventLog
from jobsim.core.time import SECOND
from jobsim.sim.pictures import RunPlots
from jobsim.sim.replication import grid_of, observed
from jobsim.sim.world import Run


class SimResult:
    """One run of one policy. Tables are made when first asked for; see `jobsim.analysis.frames`.

    Raises:
        SelfCheckFailed: the run breaks a law that every run keeps.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.observed = observed(run)

    @property
    def log(self) -> EventLog:
        """Every event of the run."""
        return self.run.log

    @cached_property
    def events(self) -> pd.DataFrame:
        """One row an event."""
        return frames.events(self.log, self.run.began)

    @cached_property
    def attempts(self) -> pd.DataFrame:
        """One row an attempt."""
        return frames.attempts(self.log, self.run.began)

    @cached_property
    def jobs(self) -> pd.DataFrame:
        """One row a job."""
        return frames.jobs(self.log, self.run.began)

    @cached_property
    def headcount(self) -> pd.DataFrame:
        """One row a change: from `at_s` on there were so many `workers`, with so many `slots` in all."""
        counts = pd.DataFrame(self.run.headcounts, columns=["at_s", "workers", "slots"])
        return counts.assign(at_s=(counts["at_s"] - self.run.began) / SECOND)

    @cached_property
    def calls(self) -> pd.DataFrame:
        """One row a call to a dependency."""
        return frames.calls(self.run.calls)

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row: `policy`, `replication` (0), `seed` and every measure, as a comparison has them."""
        run = self.run
        row = {"policy": run.policy.label, "replication": 0, "seed": run.seed, **measures(self.observed)}
        return table_of_runs([row])

    def summary(self) -> pd.DataFrame:
        """Return a row a measure: `value`, `unit`, `meaning`. One run has no intervals; compare has.

        Shares are between 0 and 1, whatever `unit` they are usually shown in.
        """
        rows = [(float(self.runs[name].iloc[0]), m.unit, m.meaning) for name, m in MEASURES.items()]
        index = pd.Index(list(MEASURES), name="measure")
        return pd.DataFrame(rows, index=index, columns=["value", "unit", "meaning"])

    def quantiles(self, percents: Iterable[float] = (50, 90, 95, 99), ci: float = 0.95) -> pd.DataFrame:
        """Return quantiles of the latency of all jobs, in seconds: a row each, `latency_s`, `low`, `high`.

        Jobs that never succeeded count as infinitely late. The bounds are ordered latencies and exact for
        jobs that are independent of each other; those of one run share queues and outages, so that the truth
        may lie further off. compare() shows how far runs differ.

        Raises:
            ConfigError: a percentage or a confidence level that is none.
        """
        check_ci(ci)
        given, late = checked_percents(percents), self.jobs["latency_s"].fillna(math.inf)
        rows = [quantile_interval(late, percent / 100, ci)[:3] for percent in given]
        index = pd.Index(given, name="percent")
        return pd.DataFrame(rows, index=index, columns=["latency_s", "low", "high"])

    def steady_state(self, measure: str, ci: float = 0.95) -> SteadyState:
        """Return the long-run mean of a measure, for one long run whose world does not change.

        The warm-up is cut off by MSER-5, the interval is of batch means; see `SteadyState`. What has an end,
        such as an outage and the recovery from it, has no steady state: compare() replicates it.

        Raises:
            ConfigError: the measure has no steady state, or the run is too short to have come to one.
        """
        return steady_state(self.observed, measure, ci)

    @property
    def plot(self) -> RunPlots:
        """The pictures of this run."""
        return RunPlots(self.profiles)

    @cached_property
    def profiles(self) -> Profiles:
        """Load, backlog and latencies of the run on a grid."""
        setting, grid = self.observed.setting, grid_of(self.run.scenario)
        curves = Curves.of(self.observed, grid)
        return Profiles.of(grid, setting.horizon_s, setting.outages, {self.run.policy.label: [curves]})

    def __repr__(self) -> str:
        run = self.run
        return f"SimResult({run.scenario.name!r}, policy={run.policy.name!r}, seed={run.seed})"

    def _repr_html_(self) -> str:
        run = self.run
        facts = {"policy": run.policy, "seed": run.seed, "storage": run.storage}
        verdict = "One run: what it shows may be chance. compare() gives intervals."
        shown = self.summary().loc[list(HEADLINE)].drop(columns="unit")
        return card(run.scenario.name, facts, verdict, shown.assign(value=in_words(self.runs).to_numpy()[0]))
