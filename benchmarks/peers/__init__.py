"""The queues that `live.py` measures, a module each, behind one small interface.

Each runs in processes of its own: `python -m peers NAME ACTION ...`, see `__main__`.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import Final, NamedTuple

from peers.base import Peer


class Entry(NamedTuple):
    """A queue by name: the store it is on, its module here, its class, and the packages it needs."""

    name: str
    store: str
    module: str
    factory: str
    needs: tuple[str, ...] = ()
    only_drains: bool = False

    def missing(self) -> list[str]:
        """Return the packages that are not installed."""
        return [package for package in self.needs if find_spec(package) is None]

    def make(self, where: str) -> Peer:
        """Return the queue at `where`: the path of a file, or how libpq is told of a database."""
        peer: Peer = getattr(import_module(f"peers.{self.module}"), self.factory)(where)
        return peer


ENTRIES: Final = (
    Entry("jobsim on SQLite", "sqlite", "ours", "OnSqlite"),
    Entry("jobsim on SQLite, async handler", "sqlite", "ours", "OnSqliteAsync", (), only_drains=True),
    Entry("Huey", "sqlite", "of_huey", "Huey", ("huey",)),
    Entry("litequeue", "sqlite", "of_litequeue", "LiteQueue", ("litequeue",)),
    Entry("jobsim on PostgreSQL", "postgres", "ours", "OnPostgres", ("psycopg",)),
    Entry(
        "jobsim on PostgreSQL, async handler",
        "postgres",
        "ours",
        "OnPostgresAsync",
        ("psycopg",),
        only_drains=True,
    ),
    Entry("PgQueuer", "postgres", "of_pgqueuer", "PgQueuer", ("pgqueuer", "asyncpg")),
    Entry("Procrastinate", "postgres", "of_procrastinate", "Procrastinate", ("procrastinate",)),
)
BASES: Final = {"sqlite": "jobsim on SQLite", "postgres": "jobsim on PostgreSQL"}
"""Of each store, the queue that the others are compared with."""
