"""The schema of a PostgreSQL store: what is found there, and the making of it."""

import re
from typing import Final

from psycopg.sql import SQL, Identifier

from jobsim.core.errors import ConfigError, StorageError, StorageForeign
from jobsim.storage.postgres_session import Connection
from jobsim.storage.postgres_statements import migrations

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_OLDEST: Final = 130_000
_MIGRATING: Final = -1


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
    if _version(connection, schema, where, len(scripts)) == len(scripts):
        return
    if not create:
        raise StorageError(
            f"{where} does not hold jobsim's tables; see that the names are right, or run `jobsim migrate`"
        )
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock($1::int, $2::int)", (tag, _MIGRATING))
        version = _version(connection, schema, where, len(scripts))
        if version == 0:
            _refuse_foreign(connection, schema, where)
        if not connection.execute("SELECT to_regnamespace($1)", (f'"{schema}"',)).fetchall()[0][0]:
            connection.execute(SQL("CREATE SCHEMA {}").format(Identifier(schema)))
        for script in scripts[version:]:
            connection.execute(script)
        connection.execute(
            SQL("UPDATE {}.jobsim_schema SET version = $1").format(Identifier(schema)), (len(scripts),)
        )


def _version(connection: Connection, schema: str, where: str, known: int) -> int:
    """Return the version of the schema, 0 where there is nothing yet."""
    [(marked,)] = connection.execute("SELECT to_regclass($1)", (f'"{schema}".jobsim_schema',)).fetchall()
    if marked is None:
        return 0
    version: int
    [(version,)] = connection.execute(
        SQL("SELECT version FROM {}.jobsim_schema").format(Identifier(schema))
    ).fetchall()
    if version > known:
        raise StorageForeign(
            f"{where} was made by a newer jobsim (schema {version}, this one knows {known}); upgrade jobsim"
        )
    return version


def _refuse_foreign(connection: Connection, schema: str, where: str) -> None:
    query = "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace($1) ORDER BY 1 LIMIT 1"
    for (name,) in connection.execute(query, (f'"{schema}"',)).fetchall():
        raise StorageForeign(f"{where} holds {name!r}, but not jobsim's tables; name another schema")
