"""Pictures show what the numbers say, with units, and leave nothing behind."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from jobsim.analysis import plots
from jobsim.analysis.curves import Profiles
from jobsim.analysis.measures import MEASURES
from jobsim.analysis.summary import interval
from jobsim.analysis.wording import heading, with_unit

Table = Callable[..., pd.DataFrame]
Make = Callable[..., Profiles]

LABELS = [f"policy {i}" for i in range(12)]


def test_styles_of_a_dozen_policies_all_differ_without_colour() -> None:
    """Line and marker together tell policies apart in a grey print."""
    looks = {(str(plots.style(i).line), plots.style(i).marker) for i in range(12)}
    assert len(looks) == 12


@pytest.mark.parametrize("draw", [plots.load, plots.goodput, plots.backlog, plots.latency, plots.herd])
@pytest.mark.parametrize("replications", [1, 4])
def test_curves_are_drawn_on_the_axes_given(
    draw: Callable[..., object], replications: int, profiles: Make
) -> None:
    """One line a policy, a shade where there are replications, a title and labels with units."""
    ax = Figure().subplots()
    assert draw(profiles(["a", "b"], replications), ax) is ax
    assert [line.get_label() for line in ax.get_lines()] == ["a", "b"]
    shades = [c for c in ax.collections if type(c).__name__ == "FillBetweenPolyCollection"]
    assert len(shades) == (2 if replications > 1 else 0)
    assert ax.get_title()
    assert ax.get_ylabel()
    assert ax.get_xlabel() in {"time, min", "time since creation", "retry, counted for each job"}


def test_load_draws_the_mean_of_the_replications(profiles: Make) -> None:
    """The line is the mean, at the middle of each bin, in minutes."""
    made = profiles(["a"], 3)
    [line] = plots.load(made, Figure().subplots()).get_lines()
    x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
    assert y == pytest.approx(made.load["a"].mean(axis=0))
    assert x[:2] == pytest.approx([0.5, 1.5])


def test_outage_is_shaded_and_named(profiles: Make) -> None:
    """The window of the outage, and the recovery after it, are shaded."""
    ax = plots.backlog(profiles(["a"], 2), Figure().subplots())
    assert [text.get_text() for text in ax.texts] == ["outage"]
    assert len(ax.patches) == 2


def test_dead_letters_have_a_row_a_policy(table: Table) -> None:
    """Policies stand in their order, from the top; each has a mark and a bar."""
    runs = table({"a": {}, "b": {"dead_letter_rate": 0.3}}, 5)
    ax = plots.dead_letters(runs, Figure().subplots())
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]
    assert len(ax.get_lines()) == 4
    assert ax.get_title() == "Dead letters: jobs given up"


def test_dead_letters_show_what_else_did_not_succeed(table: Table) -> None:
    """Where jobs were left unfinished, a hollow mark shows all that did not succeed."""
    runs = table({"a": {"unfinished": 5.0, "success_rate": 0.6}, "b": {}}, 5)
    ax = plots.dead_letters(runs, Figure().subplots())
    assert "hollow" in ax.get_title()
    assert len(ax.get_lines()) == 6


@pytest.mark.parametrize("replications", [1, 3])
def test_overview_says_what_its_intervals_are(replications: int, table: Table, profiles: Make) -> None:
    """Four panels, one legend, and how many replications the picture rests on."""
    runs = table({label: {} for label in LABELS}, replications)
    figure = plots.overview(runs, profiles(LABELS, replications), Figure(), "my scenario")
    assert len(figure.axes) == 4
    assert len(figure.legends[0].get_texts()) == 12
    said = figure.get_suptitle()
    assert "my scenario" in said
    assert ("95 %" in said) is (replications > 1)
    figure.canvas.draw()


def test_pictures_leave_no_figure_with_pyplot(table: Table, profiles: Make) -> None:
    """Drawing on a figure of one's own registers nothing."""
    plots.overview(table({"a": {}}, 2), profiles(["a"], 2), Figure(), "x")
    assert plt.get_fignums() == []


def test_curves_can_be_drawn_where_nothing_happened(profiles: Make) -> None:
    """No attempts, no jobs, no success: the pictures are empty, not an error."""
    made = profiles(["a"], 2)
    for series in (made.load, made.goodput, made.backlog, made.herd):
        series["a"][:] = 0
    made.waiting["a"][:] = 1
    for draw in (plots.load, plots.goodput, plots.backlog, plots.latency, plots.herd):
        figure = Figure()
        draw(made, figure.subplots())
        figure.canvas.draw()


@pytest.mark.parametrize("name", MEASURES)
def test_every_measure_has_a_picture(name: str, table: Table) -> None:
    """A row a policy, a tick a run, the mean with its interval in words, and the unit."""
    runs = table({"a": {}, "b": {}}, 6)
    ax = plots.measure(runs, name, Figure().subplots())
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]
    assert ax.get_xlabel() == heading(name)
    assert [text.get_text() for text in ax.texts] == [
        with_unit(name, interval(runs, label, name)) for label in "ab"
    ]
    assert len(np.asarray(ax.get_lines()[0].get_xdata())) == 6


def test_measure_marks_both_groups_and_no_mean_between_them(table: Table) -> None:
    """Near a threshold no run ends where the mean is, so no mark is there."""
    runs = table({"a": {}, "b": {}}, 20)
    runs.loc[(runs["policy"] == "b") & (runs["replication"] < 6), "success_rate"] *= 0.2
    ax = plots.measure(runs, "success_rate", Figure().subplots())
    marks = [np.asarray(line.get_xdata())[0] for line in ax.get_lines() if line.get_marker() == "s"]
    assert marks == pytest.approx([18, 90], rel=0.01)
    assert " (6 runs) or " in ax.texts[1].get_text()


def test_measure_that_was_never_reached_is_said(table: Table) -> None:
    """A policy without a finite value has a row and the word."""
    runs = table({"a": {"latency_p95_s": np.inf}, "b": {"latency_p95_s": np.nan}, "c": {}}, 5)
    figure = Figure()
    ax = plots.measure(runs, "latency_p95_s", figure.subplots())
    assert [text.get_text() for text in ax.texts][:2] == ["never", "–"]
    figure.canvas.draw()


def test_measures_that_differ_by_orders_have_a_logarithmic_scale(table: Table) -> None:
    """A policy a hundred times as slow does not hide the others."""
    runs = table({"a": {}, "b": {"latency_p95_s": 100.0}}, 5)
    assert plots.measure(runs, "latency_p95_s", Figure().subplots()).get_xscale() == "log"
    assert plots.measure(runs, "latency_p50_s", Figure().subplots()).get_xscale() == "linear"
