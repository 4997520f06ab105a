"""What is written: tables and JSON on stdout, sentences on stderr."""

import json
import math
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from jobsim.core.masking import masked_in
from jobsim.core.time import Instant, to_datetime

PIPED_COLUMNS: Final = 80
_GAP: Final = 2
_NARROWEST: Final = 8


class _Console(Console):
    """A console that leaves a closed pipe to the program, which ends quietly then."""

    def on_broken_pipe(self) -> None:
        """Pass the error on."""
        raise BrokenPipeError


def console() -> Console:
    """Return a console on stdout: the terminal's width there, 80 columns in a pipe."""
    out = _Console(highlight=False, markup=False, emoji=False, soft_wrap=False)
    if not out.is_terminal and "COLUMNS" not in os.environ:
        out.width = PIPED_COLUMNS
    return out


def clear() -> None:
    """Clear the terminal; what is no terminal is left as it is."""
    console().clear()


def note(text: str) -> None:
    """Write `text` on stderr: anything but data."""
    with suppress(ValueError):  # a handler has closed it
        sys.stdout.flush()  # so that a terminal shows both in the order they were written
    typer.echo(printable(text), err=True)


def complain(text: str) -> None:
    """Write an error on stderr; what it quotes of a command line or a file may hold a password."""
    note(f"jobsim: {masked_in(text)}")


def printable(text: str) -> str:
    """Return `text` with control characters escaped: what jobs hold must not steer a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def iso(moment: Instant | None, timespec: str = "microseconds") -> str | None:
    """Return `moment` in ISO 8601, UTC."""
    if moment is None:
        return None
    return to_datetime(moment).isoformat(timespec=timespec).replace("+00:00", "Z")


def write_text(text: str) -> None:
    """Write running text, wrapped at the width of the output."""
    console().print(Text(printable(text)))


def write_json(value: object) -> None:
    """Write `value` as one line of JSON; what is not a finite number becomes null."""
    typer.echo(json.dumps(_finite(value), allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_table(headings: Sequence[str], rows: Iterable[Sequence[object]], *, wrap: bool = False) -> None:
    """Write a table without borders. Its last column takes the room left: cut there, or wrapped."""
    texts = [[cell(value) for value in row] for row in rows]
    widths = [
        max(len(line) for text in column for line in str(text).split("\n")) + _GAP
        for column in zip(headings, *texts, strict=True)
    ]
    out = console()
    room = max(out.width - sum(widths[:-1]), _NARROWEST)
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    for heading in headings[:-1]:
        table.add_column(heading, no_wrap=True)
    table.add_column(headings[-1], no_wrap=not wrap, overflow="fold" if wrap else "ellipsis", max_width=room)
    for row in texts:
        table.add_row(*row)
    out.print(table)


def write_wide_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write a table in as many parts as it takes for each to fit, every part led by the first column."""
    heads = [_folded(heading) for heading in headings]
    widths = [
        max(len(text) for text in (*heads[i].split("\n"), *(row[i] for row in rows))) + _GAP
        for i in range(len(heads))
    ]
    out = console()
    for part in _parts(widths, out.width + _GAP):
        chosen = (0, *part)
        write_table([heads[i] for i in chosen], [[row[i] for i in chosen] for row in rows])
        out.print()


def _folded(heading: str) -> str:
    """Return `heading` on two lines, as narrow as its words allow."""
    words = heading.split(" ")
    folds = [(" ".join(words[:i]), " ".join(words[i:])) for i in range(1, len(words))]
    return "\n".join(min(folds, key=lambda fold: max(map(len, fold)))) if folds else heading


def _parts(widths: Sequence[int], room: int) -> list[list[int]]:
    """Return the columns but the first, in runs that fit beside it; a column too wide stands alone."""
    parts: list[list[int]] = [[]]
    used = widths[0]
    for index, width in enumerate(widths[1:], 1):
        if parts[-1] and used + width > room:
            parts.append([])
            used = widths[0]
        parts[-1].append(index)
        used += width
    return parts


def cell(value: object) -> Text:
    """Return `value` as it stands in a table; nothing for `None`."""
    return Text("" if value is None else printable(str(value)).strip())


def counted(number: int, one: str, several: str) -> str:
    """Return a number with the word it counts."""
    return f"{number:,} {one if number == 1 else several}"


def one_line(text: str | None) -> str:
    """Return `text` with every run of white space as one space."""
    return " ".join((text or "").split())
