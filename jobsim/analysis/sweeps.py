"""Many cells in one table: means with intervals by cell and policy, and pictures over a key.

A table of a sweep has a row a run: a column for each of its keys, then those of a table of runs. Runs
with equal `replication` met the same random numbers in every cell.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator
from numpy.typing import NDArray

from jobsim.analysis import plots, summary
from jobsim.analysis.measures import MEASURES
from jobsim.analysis.statistics import Interval
from jobsim.analysis.wording import heading
from jobsim.core.errors import ConfigError, did_you_mean
from jobsim.core.time import duration

Floats = NDArray[np.float64]

MOST_LINES: Final = 9
"""The lines that one picture may have and still be read."""
PICTURED: Final = ("dead_letter_rate", "latency_p95_s", "attempts_per_job")
_MOST_ROWS: Final = 8
_FACTOR: Final = 20
"""How far apart values are that a linear axis would crowd together."""


def cells(runs: pd.DataFrame, keys: Sequence[str]) -> Iterator[tuple[tuple[object, ...], pd.DataFrame]]:
    """Yield the values and the runs of every cell, in the order of the table."""
    for values, part in runs.groupby(list(keys), sort=False, dropna=False):
        yield tuple(values), part


def tidy(rows: Iterable[Mapping[str, object]], keys: Sequence[str]) -> pd.DataFrame:
    """Return the table of a sweep from a mapping a run."""
    given = list(rows)
    values = pd.DataFrame([[row[key] for key in keys] for row in given], columns=list(keys))
    return pd.concat([values, summary.table_of_runs(given)], axis=1)


def table(
    runs: pd.DataFrame, keys: Sequence[str], ci: float = 0.95, measures: Iterable[str] | None = None
) -> pd.DataFrame:
    """Return `summary.summary` of every cell; rows are called by the keys' values and the policy."""
    names = summary.chosen(measures)
    return _stacked({values: summary.summary(part, ci, names) for values, part in cells(runs, keys)}, keys)


def in_words(
    runs: pd.DataFrame, keys: Sequence[str], ci: float = 0.95, measures: Iterable[str] | None = None
) -> pd.DataFrame:
    """Return `summary.in_words` of every cell; rows are called by the keys' values and the policy."""
    names = summary.chosen(measures)
    return _stacked({values: summary.in_words(part, ci, names) for values, part in cells(runs, keys)}, keys)


def differences(
    runs: pd.DataFrame,
    keys: Sequence[str],
    baseline: str,
    ci: float = 0.95,
    measures: Iterable[str] | None = None,
) -> pd.DataFrame:
    """Return `summary.differences` of every cell, each after columns with its values."""
    return pd.concat(
        [
            _after(keys, values, summary.differences(part, baseline, ci, measures))
            for values, part in cells(runs, keys)
        ],
        ignore_index=True,
    )


def _after(keys: Sequence[str], values: tuple[object, ...], told: pd.DataFrame) -> pd.DataFrame:
    """Return a table after columns with the values of its cell."""
    return pd.concat([pd.DataFrame([values] * len(told), columns=list(keys)), told], axis=1)


def _stacked(tables: Mapping[tuple[object, ...], pd.DataFrame], keys: Sequence[str]) -> pd.DataFrame:
    index = pd.MultiIndex.from_tuples(
        [(*values, label) for values, part in tables.items() for label in part.index], names=[*keys, "policy"]
    )
    return pd.concat(list(tables.values())).set_axis(index, axis=0)


class _Line(NamedTuple):
    """One line of a picture: its label, and the runs behind its points."""

    label: str
    policy: str
    runs: pd.DataFrame


def measure(
    runs: pd.DataFrame,
    keys: Sequence[str],
    name: str,
    ax: Axes,
    over: str | None = None,
    where: Mapping[str, object] | None = None,
    ci: float = 0.95,
) -> Axes:
    """Draw the mean of measure `name` and its interval over the values of key `over`, by default the first.

    A line a policy and combination of the other keys' values; `where` fixes some of them. Values that are a
    factor of 20 apart or more stand on a logarithmic axis.

    Raises:
        ConfigError: no such measure, key or value; or more lines than can be told apart.
    """
    [name], over = summary.chosen([name]), _key(over or keys[0], keys)
    shown = _where(runs, keys, where or {})
    others = [key for key in keys if key != over and len(shown[key].unique()) > 1]
    lines = list(_lines(shown, others))
    if len(lines) > MOST_LINES:
        raise ConfigError(
            f"{len(lines)} lines cannot be told apart; fix a value of {', '.join([*others, 'policy'])} by "
            "where={...}"
        )
    places = _places(list(dict.fromkeys(shown[over])))
    for index, line in enumerate(lines):
        _draw(line, index, len(lines), name, over, places, ax, ci)
    _dress(ax, name, over, places)
    return plots.with_legend(ax) if len(lines) > 1 else ax


def _key(key: str, keys: Sequence[str]) -> str:
    if key not in keys:
        raise ConfigError(f"no key is called {key!r}{did_you_mean(key, keys)}; there are: {', '.join(keys)}")
    return key


def _where(runs: pd.DataFrame, keys: Sequence[str], where: Mapping[str, object]) -> pd.DataFrame:
    shown = runs
    for key, value in where.items():
        column = runs[_key(key, [*keys, "policy"])]
        if not (column == value).any():
            known = ", ".join(map(str, dict.fromkeys(column)))
            raise ConfigError(f"where: {key} is never {value!r}; its values are: {known}")
        shown = shown[shown[key] == value]
    return shown


def _lines(runs: pd.DataFrame, others: Sequence[str]) -> Iterator[_Line]:
    for values, part in runs.groupby([*others, "policy"], sort=False, dropna=False):
        *rest, policy = values
        said = ", ".join(f"{key.rpartition('.')[2]} {value}" for key, value in zip(others, rest, strict=True))
        yield _Line(f"{policy} ({said})" if said else str(policy), str(policy), part)


def _places(values: Sequence[object]) -> dict[object, float]:
    """Return where each value stands on the axis: where its number or duration is, else one after another."""
    for read in (_number, _seconds):
        numbers = [read(value) for value in values]
        if None not in numbers:
            return {value: float(at) for value, at in zip(values, numbers, strict=True) if at is not None}
    return {value: float(index) for index, value in enumerate(values)}


def _number(value: object) -> float | None:
    return (
        float(value) if isinstance(value, (int, float, np.number)) and not isinstance(value, bool) else None
    )


def _seconds(value: object) -> float | None:
    try:
        return duration(value).seconds if isinstance(value, str) else None
    except ConfigError:
        return None


def _draw(
    line: _Line,
    index: int,
    count: int,
    name: str,
    over: str,
    places: Mapping[object, float],
    ax: Axes,
    ci: float,
) -> None:
    means: list[tuple[float, Interval]] = [
        (places[value], summary.interval(part, line.policy, name, ci))
        for value, part in line.runs.groupby(over, sort=False, dropna=False)
    ]
    scale = 100 if MEASURES[name].unit == "%" else 1
    ordered = sorted(means)
    at = np.array([x for x, _ in ordered])
    mean, low, high = (scale * np.array([i[k] for _, i in ordered], float) for k in (0, 1, 2))
    mean[np.isinf(mean)] = np.nan
    style = plots.style(index)
    bars = np.vstack([mean - np.where(np.isnan(low), mean, low), np.where(np.isnan(high), mean, high) - mean])
    ax.errorbar(
        _beside(at, (index - (count - 1) / 2) * 0.008, places),
        mean,
        bars,
        color=style.color,
        linestyle=style.line,
        marker=style.marker,
        markersize=5,
        capsize=3,
        linewidth=1.5,
        label=line.label,
    )


def _far_apart(places: Mapping[object, float]) -> bool:
    return 0 < _FACTOR * min(places.values()) <= max(places.values())


def _beside(at: Floats, shift: float, places: Mapping[object, float]) -> Floats:
    """Return `at`, moved by a share of the axis, so that bars of several lines can be told apart."""
    low, high = min(places.values()), max(places.values())
    return at * (high / low) ** shift if _far_apart(places) else at + shift * (high - low)


def _dress(ax: Axes, name: str, over: str, places: Mapping[object, float]) -> None:
    if _far_apart(places):
        ax.set_xscale("log")
        ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel(over)
    ax.set_ylabel(heading(name))
    ax.set_title(f"{MEASURES[name].label} over {over.rpartition('.')[2]}".capitalize())
    ax.set_xticks(list(places.values()), [str(value) for value in places])
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    ax.set_ylim(bottom=0)
    ax.grid(alpha=0.3)


def overview(runs: pd.DataFrame, keys: Sequence[str], ci: float = 0.95) -> Figure:
    """Return the pictures of dead letters, latency and attempts over the first key.

    A row for each combination of the other keys' values, the first eight of them.
    """
    others = list(keys[1:])
    groups = list(runs.groupby(others, sort=False, dropna=False)) if others else [((), runs)]
    groups = groups[:_MOST_ROWS]
    figure = Figure(figsize=(4.2 * len(PICTURED), 3.4 * len(groups)), layout="constrained")
    rows = figure.subplots(len(groups), len(PICTURED), squeeze=False)
    for axes, (values, part) in zip(rows, groups, strict=True):
        for ax, name in zip(axes, PICTURED, strict=True):
            measure(_few(part), keys, name, ax, ci=ci)
            if others:
                fixed = zip(others, values, strict=True)
                ax.set_title(", ".join(f"{k.rpartition('.')[2]} {v}" for k, v in fixed), fontsize=9)
    return figure


def _few(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs of as many policies as one picture can show."""
    return runs[runs["policy"].isin(summary.policies(runs)[:MOST_LINES])]
