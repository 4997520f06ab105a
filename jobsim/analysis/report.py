"""A comparison as one static HTML page with its figure: nothing remote, every value escaped."""

import os
from base64 import b64encode
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Final, Protocol

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from jobsim.analysis import plots
from jobsim.analysis.curves import Profiles
from jobsim.analysis.measures import MEASURES
from jobsim.analysis.patience import patience
from jobsim.analysis.summary import HEADLINE, differences_in_words, in_words, policies
from jobsim.analysis.verdict import verdict, winner
from jobsim.analysis.wording import heading
from jobsim.core.errors import ConfigError
from jobsim.core.policy import RetryPolicy

_TEMPLATES: Final = Environment(
    loader=PackageLoader("jobsim.analysis"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


class Reportable(Protocol):
    """What a report is made of."""

    @property
    def facts(self) -> Mapping[str, object]:
        """What must be known to repeat it, `scenario` among it."""

    @property
    def description(self) -> str:
        """What the scenario is about, in its author's words."""

    @property
    def policies(self) -> Mapping[str, RetryPolicy]:
        """The policies by their labels."""

    @property
    def source(self) -> str:
        """The scenario, as text to save."""

    @property
    def runs(self) -> pd.DataFrame:
        """One row a run; see `jobsim.analysis.summary`."""

    @property
    def profiles(self) -> Profiles:
        """The curves of all runs."""


def write_report(comparison: Reportable, directory: str | os.PathLike[str], ci: float = 0.95) -> Path:
    """Write ``report.html`` and ``overview.png`` into `directory`, and return the report's path.

    Each file appears whole or not at all; equal comparisons give equal files.

    Raises:
        ConfigError: they cannot be written there.
    """
    picture = overview_png(comparison, ci)
    page = _page(comparison, picture, ci).encode()
    return write_files(directory, {"overview.png": picture, "report.html": page})


def write_files(
    directory: str | os.PathLike[str], files: Mapping[str, bytes], what: str = "the report"
) -> Path:
    """Write `files` by their names into `directory`, each whole or not at all; return the last one's path.

    Raises:
        ConfigError: they cannot be written there.
    """
    target = Path(directory)
    try:
        target.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            _write(target / name, content)
    except OSError as error:
        why = error.strerror or error
        raise ConfigError(
            f"{what} cannot be written to {str(target)!r}: {why}; name another directory"
        ) from None
    return target / list(files)[-1]


def overview_png(comparison: Reportable, ci: float = 0.95) -> bytes:
    """Return the overview figure as a PNG image."""
    figure = Figure(figsize=plots.OVERVIEW_INCHES)
    plots.overview(comparison.runs, comparison.profiles, figure, str(comparison.facts["scenario"]), ci)
    return png(figure)


def png(figure: Figure) -> bytes:
    """Return a figure as a PNG image."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def card(title: str, facts: Mapping[str, object], said: str, rows: pd.DataFrame) -> str:
    """Return a short HTML card for notebooks: facts, a verdict and a table."""
    template = _TEMPLATES.get_template("card.html")
    return template.render(title=title, about=facts, verdict=said, rows=rows)


def sweep_page(
    facts: Mapping[str, object], description: str, picture: bytes, results: pd.DataFrame, source: str
) -> bytes:
    """Return the page of a sweep."""
    meanings = {heading(name): MEASURES[name].meaning for name in HEADLINE}
    page = _TEMPLATES.get_template("sweep.html").render(
        title=facts["scenario"],
        description=description,
        about=facts,
        figure=b64encode(picture).decode(),
        results=results,
        measures=_text_table(meanings, "measure"),
        source=source,
    )
    return page.encode()


def _page(comparison: Reportable, picture: bytes, ci: float) -> str:
    runs, labels = comparison.runs, policies(comparison.runs)
    baseline = winner(runs, ci)
    known = [name for name in MEASURES if runs[name].notna().any()]
    meanings = {heading(name): MEASURES[name].meaning for name in known}
    return _TEMPLATES.get_template("report.html").render(
        title=comparison.facts["scenario"],
        description=comparison.description,
        verdict=verdict(runs, ci),
        about=comparison.facts,
        percent=f"{100 * ci:g}",
        figure=b64encode(picture).decode(),
        results=in_words(runs, ci),
        everything=in_words(runs, ci, known).T.rename_axis("measure"),
        baseline=baseline,
        differences=differences_in_words(runs, baseline, ci) if len(labels) > 1 else None,
        policies=_policies(comparison.policies),
        measures=_text_table(meanings, "measure"),
        source=comparison.source,
    )


def _policies(policies: Mapping[str, RetryPolicy]) -> pd.DataFrame:
    """Return what the policies are: how long each goes on, and the text that makes it."""
    rows = {label: (patience(policy), repr(policy)) for label, policy in policies.items()}
    index = pd.Index(list(rows), name="policy")
    return pd.DataFrame(list(rows.values()), index=index, columns=["gives up after", "as Python"])


def _text_table(rows: Mapping[str, str], first: str) -> pd.DataFrame:
    return pd.DataFrame({"": list(rows.values())}, index=pd.Index(list(rows), name=first))


def _write(path: Path, content: bytes) -> None:
    """Write a file so that it is never there in part."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
