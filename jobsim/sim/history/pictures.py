"""Pictures of a fit: the data in grey, what was fitted in a line."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator
from numpy.typing import NDArray

from jobsim.analysis.wording import time_text
from jobsim.core.errors import ConfigError, did_you_mean
from jobsim.core.streams import Streams
from jobsim.core.time import SECOND

Floats = NDArray[np.float64]

if TYPE_CHECKING:
    from jobsim.sim.history.fit import Fit, KindFit

_MOST: Final = 6
_BINS: Final = 60
_DRAWS: Final = 2_000
_RUNS: Final = 20
_DATA, _LINE = "0.75", "C0"


def draw(fit: "Fit", kinds: Iterable[str] | None) -> Figure:
    """Draw a row for each of `kinds`: its arrivals, its service times, its failures; see `Fit.plot`."""
    chosen = _chosen(fit, kinds)
    figure = Figure(figsize=(11, 2.6 * len(chosen) + 0.6), layout="constrained")
    for kind, axes in zip(chosen, figure.subplots(len(chosen), 3, squeeze=False), strict=True):
        arrivals(kind, axes[0])
        service(kind, axes[1])
        failures(kind, axes[2])
    figure.suptitle(f"{fit.scenario.name}: data (grey) and what was fitted (line)", fontsize="medium")
    return figure


def _chosen(fit: "Fit", kinds: Iterable[str] | None) -> list["KindFit"]:
    if kinds is None:
        return sorted(fit.kinds, key=lambda kind: -len(kind.record.attempts.life))[:_MOST]
    known = {kind.record.kind: kind for kind in fit.kinds}
    for name in (names := list(kinds)):
        if name not in known:
            raise ConfigError(f"the fit has no kind {name!r}{did_you_mean(name, known)}")
    return [known[name] for name in names]


def arrivals(kind: "KindFit", ax: Axes) -> Axes:
    """Draw arrivals a second: the data's, and the mean and range of twenty runs of what was fitted."""
    at_s, length_s = kind.arrivals.at_s, kind.arrivals.length_s
    bins = min(_BINS, max(4, len(at_s) // 5))
    edges = np.linspace(0, length_s, bins + 1)
    width, unit, name = length_s / bins, *_unit(length_s)
    ax.stairs(np.histogram(at_s, edges)[0] / width, edges / unit, fill=True, color=_DATA, label="data")
    runs = []
    for run in range(_RUNS):
        uniform = Streams(run).numbers_in_order("arrival")
        own = []
        for at in kind.arrivals.model.times(uniform):
            if at >= length_s * SECOND:
                break
            own.append(at / SECOND)
        runs.append(np.histogram(own, edges)[0] / width)
    middles = (edges[1:] + edges[:-1]) / 2 / unit
    low, high = np.quantile(runs, [0.05, 0.95], axis=0)
    ax.plot(middles, np.mean(runs, axis=0), color=_LINE, label="fit")
    ax.fill_between(middles, low, high, color=_LINE, alpha=0.2, lw=0)
    ax.set_title(f"{kind.record.kind}: arrivals, {kind.arrivals.chosen}", fontsize="small")
    ax.set_xlabel(f"time, {name}", fontsize="small")
    ax.set_ylabel("1/s", fontsize="small")
    ax.set_ylim(bottom=0)
    return _dressed(ax)


def service(kind: "KindFit", ax: Axes) -> Axes:
    """Draw the share of attempts that took at most so long: the data's and the fit's."""
    seen, fit = np.sort(kind.service.seen_s), kind.service
    if len(seen):
        shares = np.arange(1, len(seen) + 1) / len(seen)
        ax.step(seen, shares, where="post", color=_DATA, linewidth=3, label="data")
    places = (np.arange(_DRAWS) + 0.5) / _DRAWS
    drawn = [max(fit.model.draw(float(u)) / SECOND, 1e-6) for u in places]
    ax.plot(drawn, places, color=_LINE, label="fit")
    ax.set_xscale("log")
    few = (1, 2, 5) if drawn[-1] < 30 * drawn[0] else (1,)
    ax.xaxis.set_major_locator(LogLocator(subs=few, numticks=6))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: time_text(seconds)))
    ax.minorticks_off()
    distance = "" if np.isnan(fit.distance) else f", distance {fit.distance:.3f}"
    ax.set_title(f"service, {fit.chosen}{distance}", fontsize="small")
    ax.set_xlabel("service time", fontsize="small")
    ax.set_ylabel("share of attempts", fontsize="small")
    return _dressed(ax)


def failures(kind: "KindFit", ax: Axes) -> Axes:
    """Draw the share of attempts that failed over time: the data's and the fit's, with outages shaded."""
    attempts, fit = kind.record.attempts, kind.failures
    trials = attempts[attempts.ended("succeeded", "failed", "timed_out")]
    failed = ~trials.ended("succeeded")
    length_s, (unit, name) = kind.arrivals.length_s, _unit(kind.arrivals.length_s)
    edges = np.linspace(0, length_s, _BINS + 1)
    total = np.histogram(trials.started_s, edges)[0]
    share = np.histogram(trials.started_s[failed], edges)[0] / np.maximum(total, 1)
    ax.stairs(share, edges / unit, fill=True, color=_DATA, label="data")
    at_s = np.linspace(0, length_s, 10 * _BINS)
    ax.plot(at_s / unit, _expected(kind, at_s), color=_LINE, label="fit")
    for outage in fit.outages:
        ax.axvspan(outage.start_s / unit, outage.healed_s / unit, color="0.9", lw=0, zorder=0)
    ax.set_title(f"attempts that fail; outages found: {len(fit.outages)}", fontsize="small")
    ax.set_xlabel(f"time, {name}", fontsize="small")
    ax.set_ylabel("share of attempts", fontsize="small")
    ax.set_ylim(0, 1.02)
    return _dressed(ax)


def _expected(kind: "KindFit", at_s: Floats) -> Floats:
    fit = kind.failures
    survives: Floats = np.full(len(at_s), (1 - fit.rate) * (1 - fit.permanent))
    for outage in fit.outages:
        healing = max(outage.healed_s - outage.end_s, 1e-9)
        severity = np.clip(1 - (at_s - outage.end_s) / healing, 0, 1) * (at_s >= outage.start_s)
        survives *= 1 - outage.probability * severity
    return 1 - survives


def _unit(length_s: float) -> tuple[float, str]:
    units = ((2 * 86_400, 86_400, "days"), (7_200, 3_600, "h"), (120, 60, "min"), (0, 1, "s"))
    return next((float(unit), name) for least, unit, name in units if length_s >= least)


def _dressed(ax: Axes) -> Axes:
    ax.tick_params(labelsize="x-small")
    ax.grid(visible=True, color="0.9", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    return ax
