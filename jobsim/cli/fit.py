"""``jobsim fit``: a scenario made of what happened in a live queue."""

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobsim.cli.database import is_file, shared_address
from jobsim.cli.options import Json, flag, option, usage
from jobsim.cli.output import note, write_json, write_table
from jobsim.core.errors import ConfigError

if TYPE_CHECKING:
    from jobsim.sim.history.fit import Fit


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no date and time; write for example 2026-03-03 or 2026-03-03T08:00:00+01:00"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def fit(  # noqa: PLR0913  # a command has as many options as there is to choose
    source: Annotated[
        str,
        typer.Argument(
            metavar="URL|APP|LOG",
            help="A database's URL, the queue of an app (module:queue), or a file of events.",
        ),
    ],
    *,
    out: Annotated[
        Path | None,
        option("--out", metavar="FILE", help="Write the scenario there, and the table of fits on stdout."),
    ] = None,
    replay: Annotated[
        bool, flag("--replay", help="Let every job come when it came, and take as long as it took.")
    ] = False,
    recur: Annotated[
        bool, flag("--recur", help="Let outages come and go at random, as often and as long as they did.")
    ] = False,
    since: Annotated[
        datetime | None,
        option("--since", parser=_moment, metavar="TIME", help="Look at what came from then on (UTC)."),
    ] = None,
    until: Annotated[
        datetime | None, option("--until", parser=_moment, metavar="TIME", help="Look at what came before.")
    ] = None,
    name: Annotated[str, option("--name", metavar="NAME", help="The scenario's name.")] = "",
    plot: Annotated[
        Path | None,
        option("--plot", metavar="FILE", help="Draw the fits against the data, as PNG, SVG or PDF."),
    ] = None,
    force: Annotated[bool, flag("--force", help="Write over a file that is there.")] = False,
    as_json: Json = False,
) -> None:
    """Make a scenario of what happened: how last Tuesday would have gone under another policy.

    Arrivals, service times and failures are fitted kind by kind, and outages are found; then compare
    policies in the scenario: jobsim fit sqlite:///jobs.db --since 2026-03-03 --out tuesday.toml, and
    jobsim compare tuesday.toml.
    """
    from jobsim.sim.history.fit import fit_history

    for file in filter(None, (out, plot)):
        _check_free(file, force=force)
    options: dict[str, Any] = {"replay": replay, "recur": recur, "since": since, "until": until}
    found = fit_history(_source(source), name=name or _named(out), **options)
    text = found.scenario.to_toml()
    if plot is not None:
        _write(plot, found)
    if out is None:
        typer.echo(text, nl=False)
        note(found.summary().to_string(index=False, na_rep=""))
    else:
        out.write_text(text, encoding="utf-8")
        _show(found, as_json=as_json)
        note(f"Wrote {out}")
    for remark in found.remarks:
        note(f"Note: {remark}")


def _named(out: Path | None) -> str:
    return "" if out is None else out.stem


def _source(source: str) -> str:
    """Return a URL or a path for what was written, which may name the queue of an app."""
    if "://" in source or is_file(source):
        return source
    with usage("URL|APP|LOG"):
        return shared_address(source).url


def _check_free(file: Path, *, force: bool) -> None:
    if file.exists() and not force:
        raise ConfigError(f"{file} is there already; name another file, or write over it with --force")
    if not file.resolve().parent.is_dir():
        raise ConfigError(f"nothing can be written to {str(file)!r}: there is no such directory")


def _write(plot: Path, found: "Fit") -> None:
    try:
        found.plot().savefig(plot, dpi=120)
    except ValueError as error:  # a format that matplotlib does not know
        raise ConfigError(f"{plot}: {error}") from None
    note(f"Wrote {plot}")


def _show(found: "Fit", *, as_json: bool) -> None:
    table = found.summary()
    if as_json:
        for row in table.to_dict(orient="records"):
            write_json(row)
        return
    distances = ["" if math.isnan(far) else f"{far:.3f}" for far in table["distance"].astype(float)]
    columns = (table["kind"], table["part"], table["data"], distances, table["chosen"])
    write_table(("KIND", "PART", "DATA", "DISTANCE", "FIT"), list(zip(*columns, strict=True)), wrap=True)
