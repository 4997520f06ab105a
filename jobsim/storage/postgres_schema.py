"""The schema of a PostgreSQL store: what is found there, and the making of it."""

import re
from typing import Final, LiteralString

import psycopg
from psycopg import IsolationLevel
from psycopg.sql import SQL, Identifier

from jobsim.core.errors import ConfigError, StorageError, StorageForeign
from jobsim.storage.base import outdated
from jobsim.storage.postgres_pipeline import Connection
from jobsim.storage.postgres_statements import migrations
from jobsim.storage.rows import Row

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_OLDEST: Final = 130_000
_MIGRATING: Final = -1

_ENCODINGS: Final = ("UTF8", "SQL_ASCII")
"""Those that take every text: of one that does not, an error of a handler's could not be written down."""

_ANSWERS_LATE: Final = "SELECT set_config('statement_timeout', '0', true)"
"""What is made once may take longer than a role's statements otherwise may."""

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
        StorageError: it is not there and not to be made, the server is too old, or its database has an
            encoding that lacks characters.
    """
    if connection.info.server_version < _OLDEST:
        raise StorageError(
            f"{where}: the server is PostgreSQL {connection.info.server_version // 10_000}; "
            f"jobsim needs 13 or later"
        )
    encoding = connection.info.parameter_status("server_encoding") or "UTF8"
    if encoding not in _ENCODINGS:
        raise StorageError(
            f"{where} is encoded in {encoding}, which has not all characters that jobs and their errors may "
            f"have; make one that is in UTF-8: createdb --encoding UTF8 --template template0 NAME"
        )
    scripts = migrations(schema)
    version = _version(connection, schema, where, len(scripts))
    if version == len(scripts):
        return
    if not create:
        raise outdated(where, version, len(scripts))
    # Said in full, as a role may have other defaults; what another has made meanwhile has to be seen.
    connection.isolation_level, connection.read_only = IsolationLevel.READ_COMMITTED, False
    with connection.transaction():
        connection.execute(_ANSWERS_LATE)
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
