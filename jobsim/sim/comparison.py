"""What a comparison gave: a table of runs, what can be told from it, pictures and a report."""

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path

import pandas as pd

from jobsim.analysis import report, summary, verdict
from jobsim.analysis.curves import Profiles
from jobsim.core.errors import ConfigError
from jobsim.core.policy import RetryPolicy
from jobsim.sim.expectations import Judgement, judged
from jobsim.sim.pictures import ComparisonPlots
from jobsim.sim.replication import replication_seed
from jobsim.sim.result import SimResult
from jobsim.sim.scenario import Scenario
from jobsim.sim.world import run_world


class Comparison:
    """Several policies in one world.

    `runs` has a row a run: `policy` (label), `replication` (from 0), `seed` (what `simulate` repeats the
    run with) and every measure of `jobsim.analysis.measures.MEASURES`. Runs with equal `replication` met
    the same random numbers.
    """

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        storage: str,
        rows: Iterable[Mapping[str, object]],
        profiles: Profiles,
        precision: Mapping[str, float] | None = None,
    ) -> None:
        self.scenario = scenario
        self.seed = seed
        self.storage = storage
        runs = summary.table_of_runs(rows)
        self.runs = summary.until_precise(runs, precision) if precision else runs
        self.profiles = profiles

    @property
    def policies(self) -> dict[str, RetryPolicy]:
        """The policies by their labels, in the order of all tables."""
        return self.scenario.policies

    @property
    def replications(self) -> int:
        """The number of runs of each policy."""
        return self.runs["replication"].nunique()

    @property
    def imprecise(self) -> list[str]:
        """What is less precise than compare() was asked for, as text; nothing where no precision was."""
        return summary.imprecise(self.runs)

    def summary(self, ci: float = 0.95, measures: Iterable[str] | None = None) -> pd.DataFrame:
        """Return a row a policy; for each measure the columns `mean`, `low`, `high`, `n`.

        Shares are between 0 and 1. ``summary()["dead_letter_rate"]`` is the table of one measure.
        """
        return summary.summary(self.runs, ci, measures)

    def table(self, ci: float = 0.95, measures: Iterable[str] | None = None) -> pd.DataFrame:
        """Return the summary as text to be read: ``mean ±half width`` under headings with units."""
        return summary.in_words(self.runs, ci, measures)

    def differences(
        self, baseline: str | RetryPolicy, ci: float = 0.95, measures: Iterable[str] | None = None
    ) -> pd.DataFrame:
        """Return how each policy differs from `baseline`, paired by replication.

        A row a policy and measure: `policy`, `measure`, `difference`, `low`, `high`, `p_value`, `p_holm`
        (Holm's correction over the policies), `significant`, `n`.

        Raises:
            ConfigError: no such policy or measure.
        """
        label = baseline.label if isinstance(baseline, RetryPolicy) else baseline
        return summary.differences(self.runs, label, ci, measures)

    def quantiles(
        self, measure: str, percents: Iterable[float] = (10, 50, 90), ci: float = 0.95
    ) -> pd.DataFrame:
        """Return how a measure spreads over the replications: a row a policy and percentage.

        Columns: `policy`, `percent` of the runs, the measure (their quantile), `low`, `high`. The bounds are
        values of runs and hold for any distribution; they are infinite where there are too few runs.

        Raises:
            ConfigError: no such measure, or a percentage that is none.
        """
        return summary.quantiles(self.runs, measure, percents, ci)

    def verdict(self, ci: float = 0.95) -> str:
        """Return what the comparison shows, in sentences that claim no more than its intervals allow."""
        return verdict.verdict(self.runs, ci)

    def winner(self, ci: float = 0.95) -> RetryPolicy:
        """Return the policy that the verdict prefers: the fastest of those under which most jobs succeed."""
        return self.policies[verdict.winner(self.runs, ci)]

    def expectations(self, ci: float = 0.95) -> list[Judgement]:
        """Return what the runs say of each of the scenario's expectations, policy by policy.

        Those of policies that were not compared are left out.
        """
        return judged(self.runs, self.scenario.expect, ci)

    @property
    def plot(self) -> ComparisonPlots:
        """The pictures of this comparison."""
        return ComparisonPlots(self.scenario.name, self.runs, self.profiles)

    @cached_property
    def events(self) -> pd.DataFrame:
        """One row an event of replication 0, with a column `policy`."""
        return self._tables(lambda result: result.events)

    @cached_property
    def attempts(self) -> pd.DataFrame:
        """One row an attempt of replication 0, with a column `policy`."""
        return self._tables(lambda result: result.attempts)

    @cached_property
    def jobs(self) -> pd.DataFrame:
        """One row a job of replication 0, with a column `policy`."""
        return self._tables(lambda result: result.jobs)

    def result(self, policy: str, replication: int = 0) -> SimResult:
        """Return one run in full; it is simulated again, which gives the same run.

        Raises:
            ConfigError: no such policy or replication.
        """
        summary.check_policy(policy, list(self.policies))
        if replication not in range(self.replications):
            raise ConfigError(
                f"replication: there are {self.replications}, from 0; there is no {replication!r}"
            )
        seed = replication_seed(self.seed, replication)
        return SimResult(run_world(self.scenario, self.policies[policy], seed, self.storage))

    @cached_property
    def _first(self) -> dict[str, SimResult]:
        return {label: self.result(label) for label in self.policies}

    def _tables(self, table: Callable[[SimResult], pd.DataFrame]) -> pd.DataFrame:
        tables = {label: table(result) for label, result in self._first.items()}
        return pd.concat(tables, names=["policy"]).reset_index("policy").reset_index(drop=True)

    def report(self, directory: str | Path) -> Path:
        """Write ``report.html`` and ``overview.png`` into `directory`, and return the report's path.

        Raises:
            ConfigError: they cannot be written there; what was there before is left as it was.
        """
        return report.write_report(self, directory)

    def save(self, directory: str | Path) -> Path:
        """Write the runs, their curves and what must be known about them into `directory`; return that.

        `Comparison.load` reads it back in any process. It needs pyarrow: ``pip install pyarrow``.

        Raises:
            ConfigError: it cannot be written, or a policy is none that a scenario file can hold.
        """
        from jobsim.sim.saved import save

        return save(directory, "Comparison", self.scenario, self.runs, self.facts, self.profiles)

    @classmethod
    def load(cls, directory: str | Path) -> "Comparison":
        """Return the comparison that `save` wrote into `directory`.

        Raises:
            ConfigError: there is none, it is damaged, or a newer version of jobsim wrote it.
        """
        from jobsim.sim.saved import load

        about, scenario, runs, profiles = load(directory, "Comparison")
        if profiles is None:
            raise ConfigError(f"{directory}: has no curves; save it again")
        found = cls(scenario, about["seed"], about["storage"], [], profiles)
        found.runs = runs
        return found

    @property
    def facts(self) -> dict[str, object]:
        """What must be known to repeat the comparison, and what its numbers rest on."""
        facts: dict[str, object] = {
            "scenario": self.scenario.name,
            "seed": self.seed,
            "replications": self.replications,
            "storage": self.storage,
        }
        if wanted := summary.asked_precision(self.runs):
            facts["precision"] = ", ".join(f"{name} {100 * value:g} %" for name, value in wanted.items())
        return facts

    @property
    def description(self) -> str:
        """What the scenario is about, in its author's words."""
        return self.scenario.description

    @property
    def source(self) -> str:
        """The scenario as a file would have it; its repr, if a policy of the user's own has no such text."""
        return source_of(self.scenario)

    def __repr__(self) -> str:
        name, policies = self.scenario.name, list(self.policies)
        return f"Comparison({name!r}, policies={policies}, replications={self.replications})"

    def _repr_html_(self) -> str:
        return report.card(self.scenario.name, self.facts, self.verdict(), self.table())


def source_of(scenario: Scenario) -> str:
    """Return the text of `scenario` as a file would have it; its repr, if a policy has no such text."""
    try:
        return scenario.to_toml()
    except ConfigError:
        return repr(scenario)
