"""Pictures of runs on matplotlib axes that the caller made; nothing here shows or keeps a figure.

A policy keeps its colour, line and marker through all pictures of a comparison; lines and markers differ,
so that a grey print can be read. Shades are confidence intervals of the mean, point by point.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, SymmetricalLogLocator
from numpy.typing import NDArray
from scipy import stats

from jobsim.analysis.curves import LATENCIES_S, Profiles
from jobsim.analysis.measures import MEASURES
from jobsim.analysis.measures_attempts import BURST_WINDOW_S
from jobsim.analysis.splits import split, split_in_words
from jobsim.analysis.statistics import Interval, mean_interval
from jobsim.analysis.summary import interval, policies
from jobsim.analysis.wording import heading, time_text, with_unit

Floats = NDArray[np.float64]


SINGLE_INCHES: Final = (7.0, 4.2)
OVERVIEW_INCHES: Final = (11.0, 8.0)


class Style(NamedTuple):
    """How one policy is drawn."""

    color: str
    line: str | tuple[int, tuple[int, ...]]
    marker: str


# Colours: Okabe & Ito, "Color Universal Design" (2008), without its yellow, which is too pale for lines.
_COLORS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#56B4E9", "#E69F00")
_LINES: Final = ("-", (0, (5, 2)), (0, (1, 1)), (0, (6, 2, 1, 2)), (0, (3, 1, 1, 1, 1, 1)))
_MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X", "<", ">")

_LATENCY_TICKS_S: Final = (1e-3, 1e-2, 0.1, 1, 10, 60, 600, 3600, 36_000, 86_400, 864_000)
_UNITS_OF_TIME: Final = ((2 * 86_400, 86_400, "d"), (2 * 3600, 3600, "h"), (180, 60, "min"), (0, 1, "s"))


def style(index: int) -> Style:
    """Return the style of the policy at place `index`."""
    return Style(_COLORS[index % len(_COLORS)], _LINES[index % len(_LINES)], _MARKERS[index % len(_MARKERS)])


def load(profiles: Profiles, ax: Axes, ci: float = 0.95) -> Axes:
    """Draw attempts started per second over time: mean over the replications, outages shaded.

    The scale is logarithmic above 1/s, so that a herd leaves the rest of the picture readable.
    """
    edges = profiles.grid.edges_s
    _over_time(profiles, profiles.load, (edges[:-1] + edges[1:]) / 2, ax, ci)
    ax.set_yscale("symlog", linthresh=1, linscale=0.3)
    ax.set_ylim(0, 1.7 * ax.get_ylim()[1])  # room for the word above a herd
    ax.yaxis.set_major_locator(SymmetricalLogLocator(base=10, linthresh=1, subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:g}"))
    ax.set_ylabel("attempts, 1/s")
    ax.set_title("Load: attempts started")
    return ax


def goodput(profiles: Profiles, ax: Axes, ci: float = 0.95) -> Axes:
    """Draw jobs succeeded per second over time: mean over the replications, outages shaded."""
    edges = profiles.grid.edges_s
    _over_time(profiles, profiles.goodput, (edges[:-1] + edges[1:]) / 2, ax, ci)
    ax.set_ylabel("jobs, 1/s")
    ax.set_title("Goodput: jobs succeeded")
    return ax


def herd(profiles: Profiles, ax: Axes, ci: float = 0.95) -> Axes:
    """Draw the largest burst of first, second, ... retries: mean over the replications.

    It tells how fast a policy spreads jobs that failed together.
    """
    bursts = np.stack([bursts.mean(axis=0) for bursts in profiles.herd.values()])
    last = int(np.flatnonzero(bursts.any(axis=0)).max(initial=0)) + 1
    for index, (label, values) in enumerate(profiles.herd.items()):
        _line(ax, np.arange(1.0, last + 1), values[:, :last], label, index, ci, every=1)
    ax.set_yscale("symlog", linthresh=1, linscale=0.3)
    ax.set_ylim(bottom=0)
    ax.yaxis.set_major_locator(SymmetricalLogLocator(base=10, linthresh=1, subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda burst, _: f"{burst:g}"))
    ax.set_xticks(range(1, last + 1))
    ax.set_xlabel("retry, counted for each job")
    ax.set_ylabel("retries")
    ax.set_title(f"Herd: most retries started within {BURST_WINDOW_S} s")
    _dress(ax)
    return ax


def backlog(profiles: Profiles, ax: Axes, ci: float = 0.95) -> Axes:
    """Draw the jobs not in a final state over time: mean over the replications, outages shaded."""
    _over_time(profiles, profiles.backlog, profiles.grid.edges_s, ax, ci)
    ax.set_ylabel("jobs")
    ax.set_title("Backlog: jobs neither done nor given up")
    return ax


def latency(profiles: Profiles, ax: Axes, ci: float = 0.95) -> Axes:
    """Draw the share of all jobs that have not succeeded within a time since their creation.

    A line levels off at the share of jobs that never succeed; it passes 1 % at the p99 of all jobs.
    """
    for index, (label, waiting) in enumerate(profiles.waiting.items()):
        _line(ax, LATENCIES_S, waiting, label, index, ci)
    shares = np.stack([waiting.mean(axis=0) for waiting in profiles.waiting.values()])
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlim(*_latency_span(shares))
    ax.set_ylim(max(1e-4, shares[shares > 0].min(initial=1.0) * 0.7), 1.15)
    ax.xaxis.set_major_locator(FixedLocator(_LATENCY_TICKS_S))
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: time_text(seconds)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.3g} %"))
    ax.minorticks_off()
    ax.set_xlabel("time since creation")
    ax.set_ylabel("share of all jobs")
    ax.set_title("Latency: jobs not yet succeeded")
    _dress(ax)
    return ax


def _latency_span(shares: Floats) -> tuple[float, float]:
    """Return where the shares, shape (policies, `LATENCIES_S`), leave 1 and where all have levelled off."""
    begun = np.flatnonzero(shares.min(axis=0) < 0.98)
    moving = np.flatnonzero((shares - shares[:, -1:] > 1e-6).any(axis=0))
    first = begun[0] if len(begun) else 0
    last = max(moving[-1] if len(moving) else 0, first + 40)
    return LATENCIES_S[first], LATENCIES_S[min(last + 10, len(LATENCIES_S) - 1)]


def measure(runs: pd.DataFrame, name: str, ax: Axes, ci: float = 0.95) -> Axes:
    """Draw each policy's mean of a measure with its interval, above a tick for every run.

    Where the runs of a policy fall into two groups, each group has a mark and there is none between them. The
    scale is logarithmic where the means of policies differ by a factor of 50.
    """
    labels = policies(runs)
    factor = 100 if MEASURES[name].unit == "%" else 1
    means = []
    for index, label in enumerate(labels):
        values = factor * runs.loc[runs["policy"] == label, name].to_numpy(float)
        known = values[np.isfinite(values)]
        ax.plot(known, np.full(len(known), index + 0.25), "|", color="0.45", markersize=6, alpha=0.7)
        groups = split(runs, label, name, ci)
        shown = [interval(runs, label, name, ci)]
        if groups:
            shown = [mean_interval(group, ci) for group in groups[:2] if np.isfinite(group).all()]
        for one in (one for one in shown if np.isfinite(one.mean)):
            _mark(
                ax,
                Interval(factor * one.mean, factor * one.low, factor * one.high, one.n),
                index,
                style(index).color,
            )
        means += [factor * one.mean for one in shown if np.isfinite(one.mean)]
        text = split_in_words(name, groups, ci, with_unit) if groups else with_unit(name, shown[0])
        _note(ax, text, (1, index), (6, 0), xycoords=("axes fraction", "data"), va="center", fontsize="small")
    if means and min(means) > 0 and max(means) > 50 * min(means):
        ax.set_xscale("log")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    ax.set_xlabel(heading(name))
    ax.set_title(MEASURES[name].label.capitalize())
    _rows(ax, labels)
    return ax


def _rows(ax: Axes, labels: list[str]) -> None:
    """Let each policy have a row, the first on top."""
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.5, -0.5)
    _dress(ax)


def dead_letters(runs: pd.DataFrame, ax: Axes, ci: float = 0.95) -> Axes:
    """Draw each policy's share of dead letters with its interval.

    Where jobs also ended unfinished or cancelled, a hollow mark is the share of all that did not succeed.
    """
    labels = policies(runs)
    unsuccessful = runs.assign(dead_letter_rate=1 - runs["success_rate"])
    for index, label in enumerate(labels):
        end = _dot(ax, runs, label, index, ci, fill=style(index).color)
        if runs.loc[runs["policy"] == label, ["unfinished", "cancelled"]].to_numpy().any():
            end = max(end, _dot(ax, unsuccessful, label, index, ci, fill="white"))
            ax.set_title("Dead letters (hollow: all not succeeded)")
        number = with_unit("dead_letter_rate", interval(runs, label, "dead_letter_rate", ci))
        _note(ax, number, (end, index), (8, 0), ha="left", va="center", fontsize="small")
    ax.set_title(ax.get_title() or "Dead letters: jobs given up")
    _rows(ax, labels)
    ax.set_xlim(0, 1.35 * ax.get_xlim()[1])  # room for the numbers
    ax.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.3g} %"))
    ax.set_xlabel("share of all jobs")
    return ax


def overview(runs: pd.DataFrame, profiles: Profiles, figure: Figure, title: str, ci: float = 0.95) -> Figure:
    """Draw load, backlog, latency and dead letters on an empty `figure`, with one legend."""
    figure.set_layout_engine("constrained")
    axes = figure.subplots(2, 2)
    load(profiles, axes[0, 0], ci)
    backlog(profiles, axes[0, 1], ci)
    latency(profiles, axes[1, 0], ci)
    dead_letters(runs, axes[1, 1], ci)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    rows = -(-len(labels) // 5)
    figure.legend(handles, labels, loc="outside lower center", ncols=-(-len(labels) // rows), frameon=False)
    runs_each = runs["replication"].nunique()
    shade = f"shades and bars: {100 * ci:g} % confidence" if runs_each > 1 else "one run each: no intervals"
    figure.suptitle(f"{title}: {runs_each} replication{'s'[: runs_each != 1]}, {shade}", fontsize="medium")
    return figure


def with_legend(ax: Axes) -> Axes:
    """Add a legend where there is more than one policy to tell apart."""
    if len(ax.get_legend_handles_labels()[1]) > 1:
        ax.legend(frameon=False, fontsize="small", handlelength=3.5)
    return ax


def _over_time(profiles: Profiles, series: dict[str, Floats], at_s: Floats, ax: Axes, ci: float) -> None:
    end = profiles.end_s
    unit, name = next((unit, name) for least, unit, name in _UNITS_OF_TIME if end >= least)
    _shade_outages(profiles, ax, unit)
    for index, (label, values) in enumerate(series.items()):
        _line(ax, at_s / unit, values, label, index, ci)
    ax.set_xlim(0, end / unit)
    ax.set_ylim(bottom=0)
    ax.set_xlabel(f"time, {name}")
    _dress(ax)


def _shade_outages(profiles: Profiles, ax: Axes, unit: float) -> None:
    for outage in profiles.outages:
        ax.axvspan(outage.start_s / unit, outage.end_s / unit, color="0.85", lw=0, zorder=0)
        if outage.healed_s > outage.end_s:
            ax.axvspan(outage.end_s / unit, outage.healed_s / unit, color="0.94", lw=0, zorder=0)
        middle = (outage.start_s + outage.end_s) / 2 / unit
        look = {"ha": "center", "va": "top", "fontsize": "x-small", "color": "0.35"}
        _note(ax, "outage", (middle, 1), (0, -2), xycoords=("data", "axes fraction"), **look)


def _line(
    ax: Axes, x: Floats, values: Floats, label: str, index: int, ci: float, every: float = 0.13
) -> None:
    """Draw the mean of `values`, shape (replications, points), and its interval."""
    look, mean = style(index), values.mean(axis=0)
    ax.plot(
        x,
        mean,
        color=look.color,
        linestyle=look.line,
        linewidth=1.4,
        marker=look.marker,
        markersize=4.5,
        markevery=every if isinstance(every, int) else (0.02 + 0.013 * index, every),
        label=label,
    )
    n = len(values)
    if n > 1:
        half = stats.t.ppf((1 + ci) / 2, n - 1) * values.std(axis=0, ddof=1) / np.sqrt(n)
        ax.fill_between(x, np.maximum(mean - half, 0), mean + half, color=look.color, alpha=0.18, lw=0)


def _dot(ax: Axes, runs: pd.DataFrame, label: str, index: int, ci: float, *, fill: str) -> float:
    """Draw a mean and its interval in row `index`; return where it ends."""
    return _mark(ax, interval(runs, label, "dead_letter_rate", ci), index, fill)


def _mark(ax: Axes, at: Interval, index: int, fill: str) -> float:
    look, (mean, low, high, _) = style(index), at
    ax.plot([low, high], [index, index], color=look.color, linewidth=1.4, solid_capstyle="butt")
    ax.plot([mean], [index], marker=look.marker, color=look.color, markerfacecolor=fill, linestyle="none")
    return float(np.nan_to_num(mean if np.isnan(high) else high))


def _note(ax: Axes, text: str, at: tuple[float, float], shift: tuple[int, int], **look: Any) -> None:
    """Write `text` beside the point `at`, moved by points of the page."""
    ax.annotate(text, at, xytext=shift, textcoords="offset points", **look)


def _dress(ax: Axes) -> None:
    ax.grid(visible=True, color="0.9", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
