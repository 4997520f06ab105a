"""The schema of a PostgreSQL store: what is found there, and the making of it."""

import re
from typing import Final, LiteralString

import psycopg
from psycopg.sql import SQL, Identifier

from jobsim.core.errors import ConfigError, StorageError, StorageForeign
from jobsim.storage.base import outdated
from jobsim.storage.postgres_pipeline import Connection
from jobsim.storage.postgres_statements import migrations
from jobsim.storage.rows import Row

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_OLDEST: Final = 130_000
_MIGRATING: Final = -1

# Not by to_regclass and the like: those may answer from before a lock that was waited for.
_TABLES: Final = """
    SELECT relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname = $1 ORDER BY relname
"""


def checked(schema: str) -> str:
    """Return `schema` if it can be the name of one.

    Raises:
        ConfigError: it cannot.
    """
    if not _NAME.fullmatch(schema) or schema.startswith("pg_"):
        raise ConfigError(
            f"schema: {schema!r} cannot be the name of a schema; use letters, digits and underscores, "
            f"63 at most, none of the digits first"
        )
    return schema


def prepare(connection: Connection, schema: str, tag: int, where: str, *, create: bool) -> None:
    """See that the schema is ours, and bring it up to date, while others who want to do that wait.

    Raises:
        StorageForeign: it is not, or is newer.
        StorageError: it is not there and not to be made, or the server is too old.
    """
    if connection.info.server_version < _OLDEST:
        raise StorageError(
            f"{where}: the server is PostgreSQL {connection.info.server_version // 10_000}; "
            f"jobsim needs 13 or later"
        )
    scripts = migrations(schema)
    version = _version(connection, schema, where, len(scripts))
    if version == len(scripts):
        return
    if not create:
        raise outdated(where, version, len(scripts))
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock($1::int, $2::int)", (tag, _MIGRATING))
        version = _version(connection, schema, where, len(scripts))
        if not connection.execute("SELECT FROM pg_namespace WHERE nspname = $1", (schema,)).fetchall():
            connection.execute(SQL("CREATE SCHEMA {}").format(Identifier(schema)))
        for script in scripts[version:]:
            connection.execute(script)
        _execute(connection, "UPDATE {}.jobsim_schema SET version = $1", schema, len(scripts))


def _version(connection: Connection, schema: str, where: str, known: int) -> int:
    """Return the version of the schema, 0 where there is nothing yet."""
    tables = [name for (name,) in connection.execute(_TABLES, (schema,)).fetchall()]
    if not tables:
        return 0
    if "jobsim_schema" not in tables:
        raise StorageForeign(f"{where} holds {tables[0]!r}, but not jobsim's tables; name another schema")
    version: int
    [(version,)] = _execute(connection, "SELECT version FROM {}.jobsim_schema", schema).fetchall()
    if version > known:
        raise StorageForeign(
            f"{where} was made by a newer jobsim (schema {version}, this one knows {known}); upgrade jobsim"
        )
    return version


def _execute(
    connection: Connection, statement: LiteralString, schema: str, *parameters: int
) -> psycopg.Cursor[Row]:
    return connection.execute(SQL(statement).format(Identifier(schema)), parameters)
