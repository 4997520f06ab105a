"""``jobsim migrate``: make a database's tables, or bring them up to date."""

from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from jobsim.cli.database import shared_address
from jobsim.cli.options import Database, flag, usage
from jobsim.cli.output import note
from jobsim.storage.base import Inspectable

if TYPE_CHECKING:
    from jobsim.live.stores import Address


def migrate(
    *,
    url: Database,
    check: Annotated[
        bool, flag("--check", help="Change nothing; exit with 4 if there is work to do.")
    ] = False,
    sql: Annotated[
        bool, flag("--sql", help="Change nothing; write the SQL that would make the tables.")
    ] = False,
) -> None:
    """Make the tables of a database, or bring them up to date.

    Workers do that, too, as they start; this is for those who may not, and to do it at a chosen time.
    Several may at once: one does, the others wait.
    """
    if check and sql:
        raise typer.BadParameter("--check and --sql: give one of them")
    with usage("--url"):
        address = shared_address(url)
    if sql:
        typer.echo(_script(address))
        return
    with usage("--url"):
        store = address.open(create=not check)
    with closing(store):
        version = store.settings()["schema"] if isinstance(store, Inspectable) else "unknown"
    note(f"{address}: up to date, schema version {version}.")


def _script(address: "Address") -> str:
    if address.on_server:
        from jobsim.storage import postgres_statements
        from jobsim.storage.postgres_url import conninfo_and_options

        return postgres_statements.script(conninfo_and_options(address.url)[1].get("schema", "jobsim"))
    from jobsim.storage import sqlite_statements

    return sqlite_statements.script()
