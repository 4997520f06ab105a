"""The root command: every way for a command to end, as one sentence and an exit code."""

import os
import shlex
import shutil
import sys
import traceback
from contextlib import suppress
from enum import IntEnum
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

import typer
from typer.core import TyperGroup

from jobsim.cli.config import origin, problem
from jobsim.cli.output import complain, note
from jobsim.core.errors import JobsimError, NotFound, StorageError


class ExitCode(IntEnum):
    """What the process tells its caller."""

    OK = 0
    ERROR = 1
    USAGE = 2
    NOT_FOUND = 3
    DATABASE = 4
    UNSOUND = 5
    EXPECTATION = 99
    INTERRUPTED = 130


def exit_code(error: Exception) -> ExitCode:
    """Return the code that stands for `error`."""
    match error:
        case NotFound():
            return ExitCode.NOT_FOUND
        case StorageError():
            return ExitCode.DATABASE
        case _:
            return ExitCode.ERROR


_DESPITE: Final = ("doctor",)
"""Commands that run beside a configuration file that cannot be used, and tell of it themselves."""


class Program(TyperGroup):
    """The group of all commands. Nothing a user can cause ends in a traceback."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run the command line and, unless told otherwise, exit with its code."""
        alone = extra.get("standalone_mode", True)
        extra["standalone_mode"] = False  # errors then come here, to be told in our own words
        if not alone:
            return super().main(*args, **extra)
        code = self._code(*args, **extra)
        sys.exit(_flushed(code))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that was asked for; beside a broken file, only its help and what tells of it."""
        why = problem(ctx)
        if why is None or args[0] in _DESPITE:
            return super().resolve_command(ctx, args)
        if set(ctx.help_option_names).isdisjoint(args):
            raise typer.BadParameter(str(why), ctx=ctx, param_hint="--config")
        names = takewhile(lambda word: not word.startswith("-"), args)
        return super().resolve_command(ctx, [*names, ctx.help_option_names[0]])

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for; its errors leave as an exit."""
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort, typer.TyperException):
            raise
        except BrokenPipeError:
            _drop_output()
            raise typer.Exit(ExitCode.OK) from None
        except Exception as error:  # noqa: BLE001  # whatever it is, people get a sentence
            if ctx.params["debug"]:
                traceback.print_exc()
            complain(_sentence(error))
            raise typer.Exit(exit_code(error)) from None

    def _code(self, *args: Any, **extra: Any) -> int:
        try:
            result = super().main(*args, **extra)
        except typer.Abort:
            note("")
            complain("stopped; nothing was changed")
            return ExitCode.INTERRUPTED
        except typer.TyperException as error:
            return _misused(error)
        except SystemExit as end:
            if not isinstance(end.__context__, BrokenPipeError):
                raise
            _drop_output()  # the reader of a help text has gone, which is an error to those who print it
            return ExitCode.OK
        return result if isinstance(result, int) else ExitCode.OK


def _misused(error: typer.TyperException) -> int:
    """Say what is wrong with the command line, and where its help is."""
    context = getattr(error, "ctx", None)
    # Asking for nothing has shown the help already, and leaves no message.
    if message := error.format_message():
        place = (
            origin(context, error.param) if isinstance(error, typer.BadParameter) and error.param else None
        )
        complain(f"{place}: {_in_our_words(message)}" if place else _in_our_words(message))
        if context is not None:
            note(f"Try '{context.command_path} --help'.")
    return error.exit_code


_WORDS: Final = {
    "Value error, ": "",
    "Input should be greater than or equal to": "must be at least",
    "Input should be less than or equal to": "must be at most",
    "Input should be": "must be",
    ", unable to parse string as an integer": "",
    "Choose from:\n\t": "Choose from ",
    ",\n\t": ", ",
}
"""What the checks of values call it, and what we do."""


def _in_our_words(message: str) -> str:
    for theirs, ours in _WORDS.items():
        message = message.replace(theirs, ours)
    return message


def _sentence(error: Exception) -> str:
    """Return what to tell of an error that ended a command."""
    match error:
        case JobsimError():
            return str(error)
        case OSError(strerror=str(why)):
            return f"{error.filename}: {why}" if error.filename else why
        case _:
            return (
                f"unexpected error: {type(error).__name__}: {error}; "
                "set JOBSIM_DEBUG=1 to see where it came from"
            )


def _flushed(code: int) -> int:
    """Write what is still buffered, and return `code`, or the error's where that fails."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()
    except OSError as error:
        _drop_output()
        if code == ExitCode.OK:
            complain(f"the output cannot be written: {error.strerror or error}")
            return ExitCode.ERROR
    return code


def _drop_output() -> None:
    """Send what is still buffered nowhere: its reader has gone, or the disk is full."""
    with suppress(OSError, ValueError):  # a stream that is no file has no descriptor to replace
        descriptor = sys.stdout.fileno()
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), descriptor)


def invoked_as() -> str:
    """Return how to call this program again from the same shell."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        python = Path(sys.executable)
        found = shutil.which(python.name)
        return f"{python.name if found == str(python) else shlex.quote(nearby(python))} -m jobsim"
    return called.name if shutil.which(called.name) == str(called) else shlex.quote(str(called))


def nearby(path: Path) -> str:
    """Return `path` from the current directory if it lies in it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if here in path.parents else str(path)
