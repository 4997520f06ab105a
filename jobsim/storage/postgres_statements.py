"""The SQL of the PostgreSQL store: each statement and each migration is a file."""

from collections.abc import Iterable
from importlib.resources import files
from typing import Final

from jobsim.core.job import JobId

_DIRECTORY: Final = files("jobsim.storage") / "sql" / "postgres"
_MIGRATION: Final = "migrate_"


def statements(schema: str) -> dict[str, bytes]:
    """Return the statements by name, without their comments, for the tables in `schema`."""
    return {
        file.name.removesuffix(".sql"): _within(schema, _bare(file.read_text("utf-8")))
        for file in _DIRECTORY.iterdir()
        if not file.name.startswith(_MIGRATION)
    }


def migrations(schema: str) -> list[bytes]:
    """Return the scripts that lead from nothing to the present schema; the n-th makes it version n."""
    names = sorted(file.name for file in _DIRECTORY.iterdir() if file.name.startswith(_MIGRATION))
    return [_within(schema, (_DIRECTORY / name).read_text("utf-8")) for name in names]


def script(schema: str) -> str:
    """Return the SQL that makes all tables in a database that has none, for people who do that by hand."""
    scripts = migrations(schema)
    mark = f"UPDATE jobsim.jobsim_schema SET version = {len(scripts)};"  # noqa: S608  # our own number
    made = f'CREATE SCHEMA "{schema}";'.encode()
    return b"\n\n".join((made, *(each.strip() for each in scripts), _within(schema, mark))).decode()


def _bare(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith("--"))


def _within(schema: str, text: str) -> bytes:
    return text.replace("jobsim.", f'"{schema}".').encode()


def numbers(values: Iterable[int | None]) -> str:
    """Return `values` as PostgreSQL spells an array: a tenth of what the driver's own way costs."""
    return "{" + ",".join(["NULL" if value is None else str(int(value)) for value in values]) + "}"


def uuids(ids: Iterable[JobId]) -> str:
    """Return `ids` as PostgreSQL spells an array."""
    return "{" + ",".join([f"{id_:032x}" for id_ in ids]) + "}"


def texts(values: Iterable[str | None]) -> str:
    """Return `values` as PostgreSQL spells an array."""
    return "{" + ",".join(["NULL" if value is None else _quoted(value) for value in values]) + "}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
