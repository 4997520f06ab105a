"""Writes the reference of the command line, as Markdown, from the commands themselves."""

from collections.abc import Iterator
from typing import Any, Final

from typer.main import get_command

from jobsim.cli.app import app

NAME: Final = "jobsim"


def commands() -> str:
    """Return a section for each command: what it does, and its arguments and options."""
    return "\n".join(_lines(get_command(app), NAME))


def _lines(command: Any, path: str) -> Iterator[str]:
    """Yield the lines of a command, and of those below it."""
    below = getattr(command, "commands", {})
    if path != NAME:
        yield f"\n## `{path}`\n"
    yield _text(command.help)
    if not below:
        yield f"\n```text\n{_usage(command, path)}\n```\n"
    yield from _parameters([one for one in command.params if not one.hidden], path)
    for name, one in below.items():
        yield from _lines(one, f"{path} {name}")
    if command.epilog:
        yield f"\n{_text(command.epilog)}\n"


def _usage(command: Any, path: str) -> str:
    pieces = command.collect_usage_pieces(command.make_context(path, [], resilient_parsing=True))
    return " ".join((path, *pieces))


def _parameters(parameters: list[Any], path: str) -> Iterator[str]:
    """Yield the table of a command's arguments and options."""
    if not parameters or path == NAME:
        return
    yield "\n| | | default | environment |\n| --- | --- | --- | --- |"
    for one in parameters:
        cells = _written(one), _text(one.help), _default(one), _code(one.envvar or "")
        yield f"| {' | '.join(cells)} |"


def _written(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return _code(str(parameter.metavar or parameter.name.upper()))
    names = ", ".join(_code(name) for name in (*parameter.opts, *parameter.secondary_opts))
    return names if parameter.is_flag else f"{names} {_code(_metavar(parameter))}"


def _metavar(parameter: Any) -> str:
    return str(parameter.metavar or parameter.type.name.upper())


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    shown = parameter.show_default if isinstance(parameter.show_default, str) else parameter.default
    return "" if shown is None or shown is False or callable(shown) else _code(str(shown))


def _code(text: str) -> str:
    return f"`{text.replace('|', chr(0x2758))}`" if text else ""


def _text(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", r"\|").replace("[", r"\[").replace("<", r"\<")
