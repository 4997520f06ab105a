"""Draws the pictures of the documentation from the code: ``python docs/pictures.py``."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from jobsim import policies
from jobsim.analysis.patience import delays, patience
from jobsim.analysis.plots import style
from jobsim.core.backoff import Backoff, Decorrelated, Exponential, Fixed, Linear, Polynomial
from jobsim.core.jitter import Added, JitterLike, Proportional
from jobsim.core.job import State
from jobsim.core.policy import RetryPolicy
from jobsim.core.transitions import FINAL, TRANSITIONS

FOLDER: Final = Path(__file__).parent / "images"
RETRIES: Final = 12
DPI: Final = 110
METADATA: Final[Mapping[str, Any]] = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}
"""What would make the same picture another file on another day."""

COLUMNS: Final = 3
DAY_S: Final = 86_400
TICKS: Final = {
    0.01: "≤ 10 ms",
    0.1: "",
    1: "1 s",
    10: "",
    60: "1 min",
    3600: "1 h",
    DAY_S: "1 d",
    7 * DAY_S: "7 d",
}

BACKOFFS: Final[Mapping[str, Backoff]] = {
    'Fixed("10s")': Fixed("10s"),
    'Linear("1s", cap="10m")': Linear("1s", cap="10m"),
    'Polynomial(power=4, cap="10m")': Polynomial(power=4, cap="10m"),
    'Exponential("1s", cap="10m")': Exponential("1s", cap="10m"),
    'Decorrelated("1s", cap="10m")': Decorrelated("1s", cap="10m"),
}
JITTERS: Final[Mapping[str, JitterLike]] = {
    '"none"': "none",
    '"full"': "full",
    '"equal"': "equal",
    '"stretched"': "stretched",
    "Proportional(0.3)": Proportional(0.3),
    'Added("10s")': Added("10s"),
}

PLACES: Final = {
    None: (0.0, 1.0),
    State.PENDING: (1.7, 1.0),
    State.RUNNING: (4.2, 1.0),
    State.SUCCEEDED: (6.7, 1.6),
    State.FAILED: (4.2, 2.6),
    State.DEAD_LETTER: (6.7, 0.2),
    State.CANCELLED: (4.2, -1.0),
}
BENT: Final[Mapping[tuple[State | None, State], float]] = {
    (State.PENDING, State.RUNNING): -0.12,
    (State.RUNNING, State.PENDING): -0.12,
    (State.RUNNING, State.FAILED): 0.3,
    (State.FAILED, State.RUNNING): 0.3,
    (State.FAILED, State.CANCELLED): 0.42,
    (State.DEAD_LETTER, State.PENDING): -0.12,
}
"""How far an arrow leaves the straight line, as a share of its length, where it does."""


def states() -> Figure:
    """Draw the states of a job, and what leads from one to another."""
    figure = Figure(figsize=(7.6, 4.4), layout="constrained")
    ax = figure.add_subplot(aspect="equal", xlim=(-0.4, 7.4), ylim=(-1.4, 3.0))
    ax.axis("off")
    for (source, kind), target in TRANSITIONS.items():
        if source is not target:
            _arrow(ax, PLACES[source], PLACES[target], kind.value, BENT.get((source, target), 0.0))
    for state, (x, y) in PLACES.items():
        box = {"boxstyle": "round,pad=0.5", "facecolor": "0.85" if state in FINAL else "white"}
        ax.text(x, y, state or "new", ha="center", va="center", bbox=box if state else None)
    return figure


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], label: str, bend: float) -> None:
    """Draw one transition, with its name in the middle."""
    shape = {"arrowstyle": "-|>", "color": "0.3", "shrinkA": 20, "shrinkB": 28}
    ax.annotate("", end, start, arrowprops=shape | {"connectionstyle": f"arc3,rad={bend}"})
    (x0, y0), (x1, y1) = start, end
    x, y = (x0 + x1 + bend * (y1 - y0)) / 2, (y0 + y1 - bend * (x1 - x0)) / 2
    box = {"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none"}
    ax.text(x, y, label, ha="center", va="center", fontsize=8, style="italic", bbox=box)


def backoffs() -> Figure:
    """Draw the delays that each kind of backoff gives, without jitter where it has one."""
    figure = Figure(figsize=(7.0, 4.2), layout="constrained")
    ax = figure.add_subplot()
    for place, (name, backoff) in enumerate(BACKOFFS.items()):
        waits_s = delays(RetryPolicy(backoff, max_attempts=RETRIES + 1))
        color, line, marker = style(place)
        shape: dict[str, Any] = {"color": color, "linestyle": line, "marker": marker, "markersize": 4}
        ax.plot(_retries(), np.median(waits_s, axis=0), label=name, **shape)
        if waits_s.std(axis=0).max() > 0:
            ax.fill_between(
                _retries(), waits_s.min(axis=0), waits_s.max(axis=0), color=color, alpha=0.15, lw=0
            )
    _axes(ax)
    ax.set(
        ylabel="delay", xlabel="retry", title="Delay before each retry (median; shaded: least to most of 400)"
    )
    ax.legend(fontsize=8)
    return figure


def jitters() -> Figure:
    """Draw what each jitter makes of the same exponential delays."""
    base = Exponential(base="1s", cap="5m")
    return _grid(
        {
            f"jitter={name}": RetryPolicy(replace(base, jitter=jitter), max_attempts=RETRIES + 1)
            for name, jitter in JITTERS.items()
        }
    )


def presets() -> Figure:
    """Draw the delays of each preset, and when it gives up."""
    return _grid(
        {
            f"{name}: {policy.max_attempts or 'no limit of'} attempts,\n{_patience(policy)}": policy
            for name, policy in policies.PRESETS.items()
        }
    )


def _grid(pictured: Mapping[str, RetryPolicy]) -> Figure:
    """Draw the delays of each policy in a panel of its own, all on one scale."""
    rows = -(-len(pictured) // COLUMNS)
    figure = Figure(figsize=(2.9 * COLUMNS, 1.8 * rows + 0.3), layout="constrained")
    panels = list(figure.subplots(rows, COLUMNS, sharex=True, sharey=True).flat)
    for ax, (title, policy) in zip(panels, pictured.items(), strict=False):
        granted = min(policy.limit - 1, RETRIES)
        waits_s = delays(replace(policy, max_attempts=None), granted)
        _band(ax, waits_s)
        ax.set_title(title, fontsize=7.5)
    for ax in panels[len(pictured) :]:
        ax.axis("off")
    figure.supxlabel("retry", fontsize=9)
    figure.supylabel("delay before it: median, least and most of 400", fontsize=9)
    return figure


def _band(ax: Axes, waits_s: NDArray[np.float64]) -> None:
    """Draw the median of delays, and the span from the least to the most."""
    at = np.arange(1, waits_s.shape[1] + 1)
    shown = np.maximum(waits_s, min(TICKS))
    ax.fill_between(at, shown.min(axis=0), shown.max(axis=0), color="0.8", lw=0)
    ax.plot(at, np.median(shown, axis=0), color="black", marker="o", markersize=2.5, linewidth=1)
    _axes(ax)


def _axes(ax: Axes) -> None:
    """Put the retries below, and delays in units of time at the side."""
    ax.set_yscale("log")
    ax.set_yticks(list(TICKS), list(TICKS.values()), fontsize=8)
    ax.set_yticks([], minor=True)
    ax.set_ylim(min(TICKS) / 1.5, max(TICKS) * 1.5)
    ax.set_xticks(range(2, RETRIES + 1, 2))
    ax.set_xlim(0.5, RETRIES + 0.5)
    ax.tick_params(labelsize=8)
    ax.grid(color="0.92")


def _patience(policy: RetryPolicy) -> str:
    return "never gives up" if policy.max_attempts is None else f"gives up after {patience(policy)}"


def _retries() -> NDArray[np.int64]:
    return np.arange(1, RETRIES + 1)


PICTURES: Final[Mapping[str, Callable[[], Figure]]] = {
    "states.svg": states,
    "backoffs.png": backoffs,
    "jitters.png": jitters,
    "presets.png": presets,
}


def draw(folder: Path) -> None:
    """Write all pictures into `folder`; the same code writes the same bytes."""
    with mpl.rc_context({"svg.hashsalt": "jobsim", "svg.fonttype": "none", "font.size": 10}):
        for name, drawn in PICTURES.items():
            drawn().savefig(folder / name, metadata=METADATA[name[-3:]], dpi=DPI)


if __name__ == "__main__":
    draw(FOLDER)
