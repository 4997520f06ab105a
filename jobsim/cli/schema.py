"""``jobsim schema``: the JSON Schema of scenario files, for editors."""

from pathlib import Path
from typing import Annotated

import typer

from jobsim.cli.options import option
from jobsim.cli.output import note
from jobsim.core.errors import ConfigError


def schema(
    *,
    out: Annotated[
        Path | None,
        option("--out", metavar="FILE", help="Write it there.", show_default="standard output"),
    ] = None,
) -> None:
    """Write the JSON Schema of scenario files.

    An editor that knows TOML checks and completes a scenario whose first line is: #:schema FILE
    """
    from jobsim.sim.schema import schema_text

    text = schema_text()
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{out} cannot be written: {error.strerror or error}") from None
    note(f"Wrote {out}; begin a scenario with: #:schema {out}")
