"""What a sweep gave: a tidy table of all runs, summaries by cell and policy, pictures and a report."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jobsim.analysis import plots, report, summary, sweeps
from jobsim.core.errors import ConfigError
from jobsim.core.policy import RetryPolicy
from jobsim.sim.comparison import source_of
from jobsim.sim.matrix import Matrix, readable
from jobsim.sim.pictures import shown
from jobsim.sim.scenario import Scenario


class Sweep:
    """Several policies in every cell of a matrix.

    `runs` has a row a run: a column for each key of the matrix, then `policy`, `replication` (from 0),
    `seed` and every measure. Runs with equal `replication` met the same random numbers, in whatever cell.
    """

    def __init__(
        self,
        scenario: Scenario,
        matrix: Matrix,
        seed: int,
        storage: str,
        rows: Iterable[Mapping[str, object]] | pd.DataFrame,
    ) -> None:
        self.scenario = scenario
        self.matrix = matrix
        self.seed = seed
        self.storage = storage
        self.runs = rows if isinstance(rows, pd.DataFrame) else sweeps.tidy(rows, matrix.keys)

    @property
    def keys(self) -> list[str]:
        """The keys that vary."""
        return self.matrix.keys

    @property
    def policies(self) -> list[str]:
        """The labels of the policies, in the order of all tables."""
        return summary.policies(self.runs)

    @property
    def replications(self) -> int:
        """The number of runs of each policy in each cell."""
        return self.runs["replication"].nunique()

    def at(self, values: Mapping[str, object]) -> Scenario:
        """Return the scenario of the cell with `values`, a mapping that names every key.

        Raises:
            ConfigError: there is no such cell.
        """
        wanted = {key: readable(value) for key, value in values.items()}
        for found, scenario in self.matrix.cells(self.scenario):
            if found == wanted:
                return scenario
        raise ConfigError(f"no cell has {dict(values)!r}; give a value for each of {', '.join(self.keys)}")

    def summary(self, ci: float = 0.95, measures: Iterable[str] | None = None) -> pd.DataFrame:
        """Return a row a cell and policy; for each measure the columns `mean`, `low`, `high`, `n`."""
        return sweeps.table(self.runs, self.keys, ci, measures)

    def table(self, ci: float = 0.95, measures: Iterable[str] | None = None) -> pd.DataFrame:
        """Return the summary as text to be read: ``mean ±half width`` under headings with units."""
        return sweeps.in_words(self.runs, self.keys, ci, measures)

    def differences(
        self, baseline: str | RetryPolicy, ci: float = 0.95, measures: Iterable[str] | None = None
    ) -> pd.DataFrame:
        """Return how each policy differs from `baseline` in every cell, paired by replication.

        A column for each key, then those of `Comparison.differences`; Holm's correction is over the policies
        of a cell.

        Raises:
            ConfigError: no such policy or measure.
        """
        label = baseline.label if isinstance(baseline, RetryPolicy) else baseline
        return sweeps.differences(self.runs, self.keys, label, ci, measures)

    @property
    def plot(self) -> "SweepPlots":
        """The pictures of this sweep."""
        return SweepPlots(self.runs, self.keys)

    def report(self, directory: str | Path) -> Path:
        """Write ``report.html`` and ``overview.png`` into `directory`, and return the report's path.

        Raises:
            ConfigError: they cannot be written there; what was there before is left as it was.
        """
        picture = report.png(sweeps.overview(self.runs, self.keys))
        page = report.sweep_page(
            self.facts, self.scenario.description, picture, self._shown(), source_of(self.scenario)
        )
        return report.write_files(directory, {"overview.png": picture, "report.html": page})

    def save(self, directory: str | Path) -> Path:
        """Write the runs and what must be known about them into `directory`; return that.

        `Sweep.load` reads it back in any process. It needs pyarrow: ``pip install pyarrow``.

        Raises:
            ConfigError: it cannot be written, or a policy is none that a scenario file can hold.
        """
        from jobsim.sim.saved import save

        scenario = self.scenario.with_(sweep=self.matrix.model_dump())
        return save(directory, "Sweep", scenario, self.runs.astype(dict.fromkeys(self.keys, str)), self.facts)

    @classmethod
    def load(cls, directory: str | Path) -> "Sweep":
        """Return the sweep that `save` wrote into `directory`.

        Raises:
            ConfigError: there is none, it is damaged, or a newer version of jobsim wrote it.
        """
        from jobsim.sim.saved import load

        about, scenario, runs, _ = load(directory, "Sweep")
        if scenario.sweep is None:
            raise ConfigError(f"{directory}: names no matrix; save it again")
        matrix = scenario.sweep
        values = {
            key: {str(shown): shown for shown in map(readable, many)} for key, many in matrix.axes.items()
        }
        columns = {key: runs[key].map(values[key]) for key in matrix.keys}
        return cls(scenario, matrix, about["seed"], about["storage"], runs.assign(**columns))

    def _shown(self) -> pd.DataFrame:
        """Return the table with the keys as columns, but for the first."""
        return self.table().reset_index().set_index(self.keys[0])

    @property
    def facts(self) -> dict[str, object]:
        """What must be known to repeat the sweep, and what its numbers rest on."""
        return {
            "scenario": self.scenario.name,
            "keys": ", ".join(self.keys),
            "cells": len(self.matrix),
            "policies": len(self.policies),
            "replications": self.replications,
            "seed": self.seed,
            "storage": self.storage,
        }

    def __repr__(self) -> str:
        return f"Sweep({self.scenario.name!r}, keys={self.keys}, policies={self.policies})"

    def _repr_html_(self) -> str:
        said = "Means over the replications and their 95 % confidence intervals."
        return report.card(self.scenario.name, self.facts, said, self._shown())


class SweepPlots:
    """Pictures of a sweep; each returns its Axes, on new ones unless `ax` is given."""

    def __init__(self, runs: pd.DataFrame, keys: list[str]) -> None:
        self._runs = runs
        self._keys = keys

    def measure(
        self,
        name: str,
        over: str | None = None,
        where: Mapping[str, object] | None = None,
        ax: Axes | None = None,
        ci: float = 0.95,
    ) -> Axes:
        """Draw a measure over the values of key `over` (the first if not given), a line a policy.

        Other keys make more lines, unless `where` fixes their values.

        Raises:
            ConfigError: no such measure, key or value; or more lines than can be told apart.
        """
        return sweeps.measure(
            self._runs,
            self._keys,
            name,
            ax or plt.subplots(figsize=plots.SINGLE_INCHES, layout="constrained")[1],
            over,
            where,
            ci,
        )

    def overview(self, ci: float = 0.95) -> Figure:
        """Draw dead letters, latency and attempts over the first key."""
        return shown(sweeps.overview(self._runs, self._keys, ci))
