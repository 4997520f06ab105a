"""``jobsim doctor``: what is wrong with an installation and its database, and what to do about it."""

import os
import stat
from collections.abc import Iterator
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

from jobsim.cli.config import config_of, problem, variables
from jobsim.cli.database import shared_address
from jobsim.cli.options import Json, usage
from jobsim.cli.output import write_json, write_table
from jobsim.cli.program import ExitCode
from jobsim.core.errors import StorageError, did_you_mean
from jobsim.core.job import State
from jobsim.core.time import SECOND, Duration, Instant
from jobsim.core.transitions import WAITING

if TYPE_CHECKING:
    from jobsim.live.stores import Address
    from jobsim.storage.base import Storage

_GRACE: Final = Duration(120 * SECOND)
"""How long after its end a lease may stand where workers run: each looks for such three times a lease."""

_MANY: Final = 1_000
_SKEW: Final = Duration(SECOND)

_INTERNAL: Final = frozenset({"JOBSIM_LIFELINE", "JOBSIM_PLACE"})
"""What a supervisor tells the worker processes that it starts."""

_SYNCHRONOUS: Final = {"0": "off", "1": "normal", "2": "full", "3": "extra"}


class Health(StrEnum):
    """How well something is."""

    OK = "ok"
    ATTENTION = "ATTENTION"


class Finding(NamedTuple):
    """What was looked at, how well it is, and what was seen, with what to do about it."""

    health: Health
    about: str
    seen: str


def doctor(
    context: typer.Context,
    where: Annotated[
        str | None,
        typer.Argument(
            metavar="URL|APP",
            envvar="JOBSIM_URL",
            help="The database to look at: a URL, or the queue of an app, module:queue.",
        ),
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Look for what is wrong here, and say what to do about it.

    Exits with 0 if all is well, with 1 if something needs attention.
    """
    findings = [*_settings(context), *_findings(where)]
    well = all(finding.health is Health.OK for finding in findings)
    if as_json:
        told = [{"about": about, "ok": health is Health.OK, "seen": seen} for health, about, seen in findings]
        write_json({"ok": well, "findings": told})
    else:
        write_table(
            ("", "ABOUT", "SEEN"), [(health, about, seen) for health, about, seen in findings], wrap=True
        )
    if not well:
        raise typer.Exit(ExitCode.ERROR)


def _settings(context: typer.Context) -> Iterator[Finding]:
    """Yield where options come from that the command line does not give, and variables that nobody reads."""
    if (why := problem(context)) is not None:
        yield _attention("configuration", str(why))
    config = config_of(context)
    if config is not None:
        keys = sorted(set(config.keys.values()), key=config.line)
        yield _ok("configuration", "; ".join(f"{config.where(key)} {'.'.join(key)}" for key in keys))
    known = {*variables(context.find_root().command), *_INTERNAL}
    given = sorted(name for name in os.environ if name.startswith("JOBSIM_"))
    if used := [name for name in given if name in known - _INTERNAL]:
        yield _ok("environment", ", ".join(used))
    for name in given:
        if name not in known:
            yield _attention("environment", f"nothing reads {name}{did_you_mean(name, known)}")


def _findings(where: str | None) -> Iterator[Finding]:
    address = None
    if where is not None:
        with usage("URL|APP"):
            address = shared_address(where)
    if address is None or not address.on_server:
        yield from _libraries()
    if address is None:
        return
    yield _ok("database", str(address))
    try:
        with usage("URL|APP"):
            storage = address.open(create=False)
        with closing(storage):
            yield from _database(address, storage)
    except StorageError as error:
        yield _attention("database", str(error))


def _ok(about: str, seen: str) -> Finding:
    return Finding(Health.OK, about, seen)


def _attention(about: str, seen: str) -> Finding:
    return Finding(Health.ATTENTION, about, seen)


def _libraries() -> Iterator[Finding]:
    from jobsim.storage.sqlite_library import OURS, PYTHONS, resets_wal_wrongly

    bug = "has the WAL-reset bug, which can lose committed jobs"
    if resets_wal_wrongly(OURS):
        yield _attention("SQLite of APSW", f"{OURS} {bug}; upgrade: pip install --upgrade apsw")
    else:
        yield _ok("SQLite of APSW", OURS)
    if resets_wal_wrongly(PYTHONS):
        yield _attention(
            "SQLite of Python",
            f"{PYTHONS} {bug}: do not enqueue by a connection of sqlite3 (use one of apsw) "
            f"before SQLite is 3.51.3, 3.50.7 or 3.44.6",
        )
    else:
        yield _ok("SQLite of Python", PYTHONS)


def _database(address: "Address", storage: "Storage") -> Iterator[Finding]:
    from jobsim.live.stores import present
    from jobsim.storage.base import Inspectable, Timekeeper

    if isinstance(storage, Inspectable):
        settings = storage.settings()
        yield _ok("schema", f"version {settings['schema']}, which is this jobsim's")
        yield from _server(settings) if address.on_server else _file(address, settings)
    if isinstance(storage, Timekeeper):
        yield _clock(storage)
    yield _leases(storage, present(storage))
    yield _breakers(storage, present(storage))
    yield _paused(storage)
    yield _idle(storage, present(storage))


def _file(address: "Address", settings: dict[str, str]) -> Iterator[Finding]:
    from jobsim.storage.sqlite_wal import BIG, Wal

    written = _SYNCHRONOUS.get(settings["synchronous"], settings["synchronous"])
    caveat = f"; {address.caveat}" if address.caveat else ""
    yield _ok("durability", f"journal_mode={settings['journal_mode']}, synchronous={written}{caveat}")
    wal = Path(f"{address.path}-wal")
    size = wal.stat().st_size if wal.exists() else 0
    if size > BIG:
        yield _attention(
            "WAL",
            f"{size / 1e6:,.0f} MB: somebody reads for so long that it cannot be copied back; "
            f"end long transactions on the file, such as those of an open sqlite3 shell",
        )
    else:
        yield _ok("WAL", f"{size / 1e6:,.1f} MB")
    if Wal(str(address.path)).in_doubt:
        yield _attention(
            "disk",
            "it did not confirm a write (fsync failed), and the process ended: look after the disk; the next "
            "process that writes has the disk confirm it, or ends as well",
        )
    if address.path is not None:
        yield _permissions(address.path)


def _permissions(path: Path) -> Finding:
    """Say who beside its owner gets at the jobs in a file."""
    mode, around = path.stat().st_mode, path.parent.stat().st_mode
    if around & stat.S_IWOTH and not around & stat.S_ISVTX:
        return _attention(
            "permissions",
            f"everybody on this machine may replace files in {path.parent}: chmod o-w {path.parent}",
        )
    if mode & stat.S_IRWXO:
        may = "change" if mode & stat.S_IWOTH else "read"
        return _attention(
            "permissions",
            f"everybody on this machine may {may} the jobs: chmod o= {path} and the files beside it, "
            f"-wal and -shm",
        )
    if mode & stat.S_IRWXG:
        return _ok("permissions", "its owner and its group get at the jobs")
    return _ok("permissions", "its owner alone gets at the jobs")


def _server(settings: dict[str, str]) -> Iterator[Finding]:
    yield _ok("server", f"PostgreSQL {settings['server_version']}")
    if unsafe := [name for name in ("fsync", "full_page_writes") if settings[name] != "on"]:
        switched = " and ".join(f"{name}={settings[name]}" for name in unsafe)
        yield _attention("durability", f"{switched}: power loss can ruin the database while that is so")
    elif settings["synchronous_commit"] == "off":
        yield _ok(
            "durability", "synchronous_commit=off on the server; jobsim commits with it on all the same"
        )
    else:
        yield _ok("durability", f"synchronous_commit={settings['synchronous_commit']}, fsync=on")
    if settings["way"] == "plain":
        yield _attention(
            "encryption",
            "jobs and passwords cross the network in the clear; add sslmode=verify-full to the URL",
        )
    else:
        yield _ok("encryption", f"the connection is {settings['way']}")


def _clock(storage: "Storage") -> Finding:
    from jobsim.live.stores import clock_of
    from jobsim.runtime.live import now

    clock = clock_of(storage)
    ahead = 0 if clock is None else clock.now() - now()
    if abs(ahead) <= _SKEW:
        return _ok("clock", f"{ahead / SECOND:+.3f} s between the server's and this machine's")
    side = "behind" if ahead > 0 else "ahead of"
    return _attention(
        "clock",
        f"this machine is {abs(ahead) / SECOND:,.1f} s {side} the server, by whose time jobs go; "
        f"see that both follow NTP, or times in logs and jobs will not agree",
    )


def _breakers(storage: "Storage", now: Instant) -> Finding:
    from jobsim.live.limits import broken

    told = [f"{scope.by}:{scope.name} is {words}" for scope, words in broken(storage, now).items()]
    if not told:
        return _ok("breakers", "none is open")
    return _attention(
        "breakers",
        f"{'; '.join(told)}: too many attempts failed; jobsim jobs list --state failed tells of what",
    )


def _paused(storage: "Storage") -> Finding:
    paused, depths = sorted(storage.paused()), storage.depths()
    if not paused:
        return _ok("queues", "none is paused")
    names = ", ".join(paused)
    if waiting := sum(depths[queue].counts[s] for queue in paused if queue in depths for s in WAITING):
        jobs = f"{waiting:,} job waits" if waiting == 1 else f"{waiting:,} jobs wait"
        return _attention("queues", f"{names}: paused, and {jobs} there; to go on: jobsim queues resume NAME")
    return _ok("queues", f"{names}: paused, and nothing waits there")


def _idle(storage: "Storage", now: Instant) -> Finding:
    paused = storage.paused()
    unserved = {
        queue: Duration((now - depth.oldest) // SECOND * SECOND)
        for queue, depth in sorted(storage.depths().items())
        if queue not in paused and not depth.counts[State.RUNNING]
        if depth.oldest is not None and depth.oldest < now - _GRACE
    }
    if not unserved:
        return _ok("workers", "every queue on which jobs are due is worked on")
    told = "; ".join(f"{queue}: due for {age}" for queue, age in unserved.items())
    return _attention(
        "workers",
        f"{told}, and nothing runs there: start a worker (jobsim worker APP --queues NAME), unless a limit "
        f"or an open breaker holds the jobs back (jobsim limits list)",
    )


def _leases(storage: "Storage", now: Instant) -> Finding:
    stuck = len(storage.expired(_MANY, Instant(now - _GRACE)))
    if not stuck:
        return _ok("leases", "none is over and left behind")
    number = f"{_MANY:,} or more" if stuck == _MANY else f"{stuck:,}"
    return _attention(
        "leases",
        f"{number} ended over {_GRACE} ago, and no worker brought the jobs back; "
        f"start one: jobsim worker APP",
    )
