"""``jobsim limits``: look at the limits in force, and change them."""

from contextlib import suppress
from dataclasses import fields
from typing import Annotated, Any

import typer

from jobsim.cli.database import open_database
from jobsim.cli.options import Database, Json, option, usage
from jobsim.cli.output import complain, note, write_json, write_table
from jobsim.cli.program import ExitCode
from jobsim.core.breaker import Breaker
from jobsim.core.budget import Budget
from jobsim.core.errors import ConfigError, did_you_mean
from jobsim.core.limits import NO_LIMIT, By, Limit, Rate, Scope

app = typer.Typer(help="Look at the limits in force, and change them.", no_args_is_help=True)


def _scope(text: str) -> Scope:
    from jobsim.live.placement import check_kind, check_queue

    by, _, name = text.partition(":")
    try:
        if by == By.KIND:
            check_kind(name)
            return Scope(By.KIND, name)
        if by == By.QUEUE:
            check_queue(name)
            return Scope(By.QUEUE, name)
    except ConfigError as error:
        raise typer.BadParameter(str(error)) from None
    raise typer.BadParameter(f"{text!r} is neither kind:NAME nor queue:NAME")


def _rate(text: str) -> Rate:
    with usage():
        return Rate.parse(text)


def _budget(text: str) -> Budget:
    from jobsim.budgets import budget_named

    with usage():
        return Budget(**_fields(text, Budget)) if "=" in text else budget_named(text)


def _breaker(text: str) -> Breaker:
    from jobsim.budgets import breaker_named

    with usage():
        return Breaker(**_fields(text, Breaker)) if "=" in text else breaker_named(text)


def _fields(text: str, cls: type[Budget | Breaker]) -> dict[str, Any]:
    """Return what ``capacity=50,ttl=10s`` says of a budget or a breaker."""
    known, given = {field.name for field in fields(cls)}, dict[str, Any]()
    for part in text.split(","):
        name, _, value = part.partition("=")
        if name not in known:
            raise ConfigError(
                f"{name}: there is none{did_you_mean(name, known)}; there are: {', '.join(sorted(known))}"
            )
        given[name] = _number(value)
    return given


def _number(text: str) -> float | str:
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text


ScopeArgument = Annotated[
    Scope,
    typer.Argument(parser=_scope, metavar="SCOPE", help="Whose limit: kind:NAME or queue:NAME."),
]


@app.command("list")
def list_limits(*, url: Database, as_json: Json = False) -> None:
    """List the limits in force, and the queues that are paused."""
    with open_database(url) as store:
        paused = {Scope(By.QUEUE, queue) for queue in store.paused()}
        limits = dict.fromkeys(paused, NO_LIMIT) | store.limits()
    records = [_record(scope, limit) | {"paused": scope in paused} for scope, limit in sorted(limits.items())]
    if as_json:
        for record in records:
            write_json(record)
        return
    headings = ("SCOPE", "RUNNING", "PER KEY", "RATE", "BURST", "BUDGET", "BREAKER", "")
    rows = [(*tuple(record.values())[:-1], "paused" if record["paused"] else None) for record in records]
    write_table(headings, rows)


@app.command("set")
def set_limit(
    scope: ScopeArgument,
    *,
    url: Database,
    running: Annotated[
        int | None, option("--running", min=1, metavar="N", help="Attempts that run at once.")
    ] = None,
    per_key: Annotated[
        int | None, option("--per-key", min=1, metavar="N", help="Those of one limit key that do.")
    ] = None,
    rate: Annotated[
        Rate | None,
        option("--rate", parser=_rate, metavar="N/DURATION", help="Attempts that begin in a time: 100/1m."),
    ] = None,
    burst: Annotated[
        int | None,
        option("--rate-burst", min=1, metavar="N", help="Those that may begin together after a pause."),
    ] = None,
    budget: Annotated[
        Budget | None,
        option(
            "--budget",
            parser=_budget,
            metavar="NAME|KEY=VALUE,...",
            help="What retries are paid from: aws_sdk, grpc, ..., or capacity=50,per_second=1.",
        ),
    ] = None,
    breaker: Annotated[
        Breaker | None,
        option(
            "--breaker",
            parser=_breaker,
            metavar="NAME|KEY=VALUE,...",
            help="What stops attempts where too many fail: polly, ..., or threshold=0.5,window=30s.",
        ),
    ] = None,
) -> None:
    """Put a limit in force, at once, in the place of the one there is.

    It holds until it is set or cleared again, here or by a worker that starts and whose app says otherwise.
    """
    if burst is not None:
        if rate is None:
            raise typer.BadParameter("--rate-burst goes with --rate")
        rate = Rate(rate.starts, rate.per, burst)
    with usage():
        limit = Limit(running=running, running_per_key=per_key, rate=rate, budget=budget, breaker=breaker)
    if not limit:
        raise typer.BadParameter(
            "give --running, --per-key, --rate, --budget or --breaker; to remove a limit: limits clear"
        )
    with open_database(url) as store:
        store.set_limits({scope: limit})
    note(f"In force for {_shown(scope, limit)}.")


@app.command()
def clear(scope: ScopeArgument, *, url: Database) -> None:
    """Remove a limit; what it held back may start at once."""
    with open_database(url) as store:
        there = store.limits().get(scope)
        store.set_limits({scope: NO_LIMIT})
    if there is None:
        complain(f"there was no limit for {_name(scope)}")
        raise typer.Exit(ExitCode.NOT_FOUND)
    note(f"Removed for {_shown(scope, there)}.")


def _name(scope: Scope) -> str:
    return f"{scope.by.value}:{scope.name}"


def _record(scope: Scope, limit: Limit) -> dict[str, object]:
    rate = limit.rate
    return {
        "scope": _name(scope),
        "running": limit.running,
        "per_key": limit.running_per_key,
        "rate": None if rate is None else f"{rate.starts}/{rate.per}",
        "burst": None if rate is None else rate.burst,
        "budget": None if limit.budget is None else repr(limit.budget),
        "breaker": None if limit.breaker is None else repr(limit.breaker),
    }


def _shown(scope: Scope, limit: Limit) -> str:
    from jobsim.live.limits import described

    return f"{_name(scope)}: {described(limit)}"
