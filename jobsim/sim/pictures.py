"""The `plot` of results: pictures on new axes, or on those given."""

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jobsim.analysis import plots
from jobsim.analysis.curves import Profiles
from jobsim.analysis.summary import chosen


class RunPlots:
    """Pictures of one run; each returns its Axes, on new ones unless `ax` is given."""

    def __init__(self, profiles: Profiles) -> None:
        self._profiles = profiles

    def load(self, ax: Axes | None = None) -> Axes:
        """Draw attempts started per second over time."""
        return plots.load(self._profiles, _axes(ax))

    def goodput(self, ax: Axes | None = None) -> Axes:
        """Draw jobs succeeded per second over time."""
        return plots.goodput(self._profiles, _axes(ax))

    def herd(self, ax: Axes | None = None) -> Axes:
        """Draw the largest burst of first, second, ... retries."""
        return plots.herd(self._profiles, _axes(ax))

    def backlog(self, ax: Axes | None = None) -> Axes:
        """Draw the jobs not in a final state over time."""
        return plots.backlog(self._profiles, _axes(ax))

    def latency(self, ax: Axes | None = None) -> Axes:
        """Draw the share of jobs that have not succeeded within a time since their creation."""
        return plots.latency(self._profiles, _axes(ax))


class ComparisonPlots:
    """Pictures of a comparison; each returns its Axes, on new ones unless `ax` is given."""

    def __init__(self, name: str, runs: pd.DataFrame, profiles: Profiles) -> None:
        self._name = name
        self._runs = runs
        self._profiles = profiles

    def load(self, ax: Axes | None = None, ci: float = 0.95) -> Axes:
        """Draw attempts started per second over time."""
        return plots.with_legend(plots.load(self._profiles, _axes(ax), ci))

    def goodput(self, ax: Axes | None = None, ci: float = 0.95) -> Axes:
        """Draw jobs succeeded per second over time."""
        return plots.with_legend(plots.goodput(self._profiles, _axes(ax), ci))

    def herd(self, ax: Axes | None = None, ci: float = 0.95) -> Axes:
        """Draw the largest burst of first, second, ... retries."""
        return plots.with_legend(plots.herd(self._profiles, _axes(ax), ci))

    def backlog(self, ax: Axes | None = None, ci: float = 0.95) -> Axes:
        """Draw the jobs not in a final state over time."""
        return plots.with_legend(plots.backlog(self._profiles, _axes(ax), ci))

    def latency(self, ax: Axes | None = None, ci: float = 0.95) -> Axes:
        """Draw the share of all jobs that have not succeeded within a time since their creation."""
        return plots.with_legend(plots.latency(self._profiles, _axes(ax), ci))

    def measure(self, name: str, ax: Axes | None = None, ci: float = 0.95) -> Axes:
        """Draw each policy's mean of any measure with its interval, and a tick for every run.

        Raises:
            ConfigError: there is no measure of that name.
        """
        [name] = chosen(name)
        return plots.measure(self._runs, name, _axes(ax), ci)

    def dead_letters(self, ax: Axes | None = None, ci: float = 0.95) -> Axes:
        """Draw each policy's share of dead letters with its interval."""
        return plots.dead_letters(self._runs, _axes(ax), ci)

    def overview(self, ci: float = 0.95) -> Figure:
        """Draw load, backlog, latency and dead letters in one figure, with one legend."""
        figure = plt.figure(figsize=plots.OVERVIEW_INCHES)
        plots.overview(self._runs, self._profiles, figure, self._name, ci)
        plt.close(figure)  # it stays usable; a notebook shows what a cell returns, so it is shown once
        return figure


def shown(figure: Figure) -> Figure:
    """Return `figure`, which pyplot has not made, once a notebook knows how to show such.

    IPython learns it when pyplot makes its first figure.
    """
    plt.close(plt.figure())
    return figure


def _axes(ax: Axes | None) -> Axes:
    """Return `ax`, or the axes of a new figure of pyplot, so that a notebook shows it."""
    return plt.subplots(figsize=plots.SINGLE_INCHES, layout="constrained")[1] if ax is None else ax
