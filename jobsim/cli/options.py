"""Options that several commands share, and how their text is read."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from typing import Annotated, Any, Final

import typer

from jobsim.core.errors import ConfigError, JobsimError
from jobsim.core.job import JobId
from jobsim.core.time import MILLISECOND, Duration, duration

_SHORTEST: Final = Duration(MILLISECOND)


@contextmanager
def usage(*hint: str, of: type[JobsimError] | tuple[type[JobsimError], ...] = ConfigError) -> Generator[None]:
    """Blame the parameter called `hint` for errors of the types `of` that come up inside."""
    try:
        yield
    except of as error:
        raise typer.BadParameter(str(error), param_hint=hint or None) from None


def _interval(text: str) -> Duration:
    value = _duration(text)
    if value < _SHORTEST:
        raise typer.BadParameter(f"{text} would keep the database busy; the shortest is {_SHORTEST.brief()}")
    return value


def _duration(text: str) -> Duration:
    try:
        return duration(text)
    except ConfigError as error:
        raise typer.BadParameter(str(error).removeprefix("duration: ")) from None


def job_id(text: str) -> JobId:
    """Return the id that `text` spells.

    Raises:
        typer.BadParameter: it spells none.
    """
    try:
        return JobId.parse(text)
    except ConfigError as error:
        raise typer.BadParameter(str(error)) from None


class Names(tuple[str, ...]):
    """Names written with commas between them."""

    __slots__ = ()


def _names(text: str) -> Names:
    names = Names(name.strip() for name in text.split(","))
    if not all(names):
        raise typer.BadParameter(f"write names with commas between them, such as a,b; not {text!r}")
    return names


def json_object(text: str) -> dict[str, Any]:
    """Return the JSON object that `text` spells.

    Raises:
        typer.BadParameter: it is not one.
    """
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else error
        raise typer.BadParameter(
            f"{text[:80]!r} is not JSON ({why}); write an object such as '{{\"order_id\": 42}}'",
            param_hint="JSON",
        ) from None
    if not isinstance(value, dict):
        raise typer.BadParameter(
            f"the arguments must be a JSON object with their names, such as '{{\"order_id\": 42}}'; "
            f"not {text[:80]!r}",
            param_hint="JSON",
        )
    return value


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON number")


def option(*names: str, **about: Any) -> Any:
    """Return an option that ``JOBSIM_`` and its long name give, too, as an environment variable."""
    long = next(name for name in names if name.startswith("--"))
    variable = "JOBSIM_" + long.removeprefix("--").replace("-", "_").upper()
    return typer.Option(*names, envvar=variable, **about)


def flag(*names: str, **about: Any) -> Any:
    """Return an option that takes no value."""
    return option(*names, metavar="", **about)


def consent(*names: str, **about: Any) -> Any:
    """Return a flag for the command line alone: what was once set elsewhere must not agree to each deed."""
    return typer.Option(*names, metavar="", **about)


def wait(*names: str, **about: Any) -> Any:
    """Return an option that takes a duration."""
    return option(*names, parser=_duration, metavar="DURATION", **about)


def every(*names: str, **about: Any) -> Any:
    """Return an option that takes a duration at which a database is looked at again and again."""
    return option(*names, parser=_interval, metavar="DURATION", **about)


Yes = Annotated[bool, consent("--yes", "-y", help="Do not ask.")]

App = Annotated[
    str, typer.Argument(metavar="APP", help="Where your queue is: module:queue, such as app:queue.")
]

JobArgument = Annotated[JobId, typer.Argument(parser=job_id, metavar="ID", help="The job's id, a UUID.")]

JobArguments = Annotated[
    list[JobId] | None, typer.Argument(parser=job_id, metavar="ID", help="Ids of dead letters.")
]

JobsToChange = Annotated[
    list[JobId], typer.Argument(parser=job_id, metavar="ID...", help="Ids of jobs, each a UUID.")
]

Database = Annotated[
    str,
    option(
        "--url",
        "--app",
        metavar="URL|APP",
        help="The database: a URL such as sqlite:///jobs.db, or the queue of an app, module:queue.",
    ),
]

Json = Annotated[bool, flag("--json", help="Write JSON for programs, not text for people.")]

Queues = Annotated[
    Names | None,
    option("--queues", "-q", parser=_names, metavar="A,B", help="Serve only these queues."),
]
