"""Command lines that nobody would write: each ends as documented, and writes nothing."""

from pathlib import Path
from typing import Any, Final

import pytest
import typer.main
from hypothesis import given
from hypothesis import strategies as st

from jobsim.cli.app import app
from tests.fuzz.damage import examples, told, unchanged

pytestmark = pytest.mark.fuzz

VALUES: Final = [
    *("", " ", "-", "--", "-1", "0", "1", "nan", "inf", "9" * 400, "1e999", "null", "[]", "{}", "{", "x=1"),
    *(
        "\0",
        "\ud800",
        "💥",
        "a" * 10_000,
        "%s%n",
        "../../etc/passwd",
        "/",
        ".",
        "~",
        "/dev/null",
        "/proc/self/mem",
    ),
    *(
        "sqlite://",
        "sqlite:///none.db",
        "sqlite:///none.db?durability=x",
        "sqlite:////dev/null",
        "sqlite:///.",
    ),
    *(
        "postgresql://",
        "postgresql://@:0/",
        "http://x",
        "memory://",
        "app:queue",
        "os:path",
        "os",
        ":",
        "a.b:c",
    ),
    *("none.toml", "5s", "1h30m", "-5s", "1y", "pending", "dead_letter", "queue:x", "kind:", "full_jitter"),
    *(
        "'; DROP TABLE job; --",
        "01920000-0000-7000-8000-000000000000",
        "--json",
        "--help",
        "--debug",
        "--bogus",
    ),
]
"""What is given as an argument or as the value of an option. None of it names anything that is there."""

ENDLESS: Final = {"worker"}
"""Commands that would go on until they are stopped; none can begin, as there is no queue here."""


def commands(command: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    """Return all commands with their names."""
    below = getattr(command, "commands", {})
    found = [(path, command)]
    return found + [each for name, inner in below.items() for each in commands(inner, (*path, name))]


COMMANDS: Final = commands(typer.main.get_command(app))


@st.composite
def lines(draw: st.DrawFn) -> list[str]:
    """Return a command with options and arguments of its own, and values that are anything."""
    path, command = draw(st.sampled_from(COMMANDS))
    words = list(path)
    options = [option for parameter in command.params for option in parameter.opts if option.startswith("-")]
    options = [option for option in options if option != "--out"]  # it writes a file, as it says
    values = st.sampled_from(VALUES) | st.text(max_size=8)
    for _ in range(draw(st.integers(0, 5))):
        if draw(st.booleans()) and options:
            words.append(draw(st.sampled_from(options)))
        if draw(st.booleans()):
            words.append(draw(values))
    return words


@examples(150)
@given(lines())
def test_any_command_line_ends_as_documented(here: Path, line: list[str]) -> None:
    """Words in any order are refused in a sentence, or do what they say; no file is made."""
    with unchanged(here):
        told(*line)


@examples(30)
@given(st.sampled_from([path for path, _ in COMMANDS]), st.data())
def test_any_environment_is_refused_or_read(here: Path, path: tuple[str, ...], data: st.DataObject) -> None:
    """A variable that holds anything is blamed by its name, or does what it says."""
    known = [parameter.envvar for _, each in COMMANDS for parameter in each.params if parameter.envvar]
    without_nul = st.sampled_from([value for value in VALUES if value.isprintable()])
    environment = data.draw(st.dictionaries(st.sampled_from(sorted(set(known))), without_nul, max_size=3))
    with unchanged(here):
        told(*path, **environment)
