"""Assembles the commands; `main` is what the installed ``jobsim`` calls."""

import io
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from jobsim.cli import (
    check,
    compare,
    dlq,
    doctor,
    enqueue,
    equal_risk,
    events,
    fit,
    jobs,
    limits,
    migrate,
    prune,
    queues,
    schema,
    simulation,
    stats,
    sweep,
    tune,
    worker,
)
from jobsim.cli.config import configure
from jobsim.cli.options import flag, option
from jobsim.cli.program import Program

_LIVE: Final = "A live queue"
_SIMULATED: Final = "A simulated world"

app = typer.Typer(
    cls=Program,
    name="jobsim",
    help="A persistent job queue, and a simulator that runs the same engine.",
    epilog="Exit codes: 0 done, 1 error, 2 wrong usage, 3 not found, 4 database unusable, 5 a log or a "
    "database breaks a rule, 99 an expectation of a scenario is broken, 130 interrupted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(rich_help_panel=_LIVE)(worker.worker)
app.command(rich_help_panel=_LIVE)(enqueue.enqueue)
app.add_typer(jobs.app, name="jobs", rich_help_panel=_LIVE)
app.add_typer(dlq.app, name="dlq", rich_help_panel=_LIVE)
app.command(rich_help_panel=_LIVE)(stats.stats)
app.command(rich_help_panel=_LIVE)(events.events)
app.command(rich_help_panel=_LIVE)(doctor.doctor)
app.command(rich_help_panel=_LIVE)(check.check)
app.command(rich_help_panel=_LIVE)(migrate.migrate)
app.add_typer(queues.app, name="queues", rich_help_panel=_LIVE)
app.add_typer(limits.app, name="limits", rich_help_panel=_LIVE)
app.command(rich_help_panel=_LIVE)(prune.prune)
app.command(rich_help_panel=_SIMULATED)(compare.compare)
app.command(rich_help_panel=_SIMULATED)(sweep.sweep)
app.command(rich_help_panel=_SIMULATED)(equal_risk.equal_risk)
app.command(rich_help_panel=_SIMULATED)(tune.tune)
app.command(rich_help_panel=_SIMULATED)(simulation.run)
app.command(rich_help_panel=_SIMULATED)(fit.fit)
app.command(rich_help_panel=_SIMULATED)(simulation.validate)
app.command(rich_help_panel=_SIMULATED)(schema.schema)


def _show_version(wanted: bool) -> None:  # noqa: FBT001  # typer calls it so
    if wanted:
        from importlib.metadata import PackageNotFoundError
        from importlib.metadata import version as installed_version

        try:
            typer.echo(f"jobsim {installed_version('jobsim')}")
        except PackageNotFoundError:
            typer.echo("jobsim, from a source tree that is not installed")
        raise typer.Exit


@app.callback()
def options(
    *,
    config: Annotated[
        Path | None,
        option(
            "--config",
            callback=configure,
            is_eager=True,
            metavar="FILE",
            help="A file with options; by default jobsim.toml, or pyproject.toml (tool.jobsim), here.",
        ),
    ] = None,
    debug: Annotated[bool, flag("--debug", help="Show where errors come from.")] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_show_version,
            is_eager=True,
            metavar="",
            help="Show the version.",
        ),
    ] = False,
) -> None:
    """Declare the options of the program itself, which `Program` reads."""


def main() -> None:
    """Run the command line and exit with its code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a character is no reason to fail.
            stream.reconfigure(errors="backslashreplace")
    app()
