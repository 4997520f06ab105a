"""The SQL of the SQLite store: each statement and each migration is a file."""

from array import array
from collections.abc import Iterable, Sequence
from importlib.resources import files
from itertools import chain
from typing import Any, Final, Protocol, Self

import apsw

from jobsim.storage.rows import Row, storable

_DIRECTORY: Final = files("jobsim.storage") / "sql" / "sqlite"


def statement(name: str) -> str:
    """Return the statement of that name without its comment, and short: its text is its key in the cache."""
    lines = (_DIRECTORY / f"{name}.sql").read_text("utf-8").splitlines()
    return " ".join(" ".join(line for line in lines if not line.startswith("--")).split())


def migrations() -> list[str]:
    """Return the scripts that lead from nothing to the present schema; the n-th makes it version n."""
    names = sorted(file.name for file in _DIRECTORY.iterdir() if file.name.startswith("migrate_"))
    return [(_DIRECTORY / name).read_text("utf-8") for name in names]


def script() -> str:
    """Return the SQL that makes all tables in a database that has none, for people who do that by hand."""
    scripts = migrations()
    marked = statement("set_version").replace("?1", str(len(scripts))) + ";"
    return "\n\n".join((*(each.strip() for each in scripts), marked))


def keys(numbers: Iterable[int]) -> "apsw.CArrayBinding":
    """Return `numbers`, of which there is one at least, as SQLite takes an array."""
    return apsw.carray(array("q", numbers))


def texts(values: Iterable[str]) -> "apsw.CArrayBinding":
    """Return `values`, of which there is one at least, as SQLite takes an array."""
    return apsw.carray(tuple(str(storable(value)) for value in values))


class Connection(Protocol):
    """What is asked of a cursor's connection."""

    def last_insert_rowid(self) -> int:
        """Return the row id of the last row that was inserted."""
        ...


class Cursor(Protocol):
    """What the cursors of APSW and of the standard library have in common."""

    @property
    def connection(self) -> Connection:
        """Return whose cursor it is."""
        ...

    def execute(self, sql: str, bindings: Sequence[Any] = ..., /) -> Self:
        """Run one statement."""
        ...

    def fetchall(self) -> list[Row]:
        """Return the rows that it gave."""
        ...


class OnKeys:
    """A statement about the jobs whose keys are ``?1``; about one alone it takes two thirds of the time."""

    def __init__(self, name: str) -> None:
        self._many = statement(name)
        one = self._many.replace("carray(?1) AS wanted CROSS JOIN", "").replace(
            "FROM carray(?1) AS wanted", ""
        )
        self._one = one.replace("wanted.value", "?1")

    def execute(self, cursor: apsw.Cursor, wanted: Sequence[int], *bindings: Any) -> apsw.Cursor:
        """Run it on `wanted`, of which there is one at least."""
        if len(wanted) == 1:
            return cursor.execute(self._one, (wanted[0], *bindings))
        return cursor.execute(self._many, (keys(wanted), *bindings))


class Insert:
    """An INSERT that takes many rows in one step, which costs half of a step a row.

    What its text calls ``?1``, ``?2`` and so on is the same in every row.
    """

    _MOST: Final = 128

    def __init__(self, name: str) -> None:
        text = statement(name)
        head, values, row = text.partition("VALUES")
        self._row = row.replace(" ", "")
        self._texts = [head + values + self._row]

    def into(self, cursor: Cursor, rows: Sequence[Row], same: Row = ()) -> None:
        """Insert `rows` in order; their row ids, where they are given none, follow each other."""
        for low in range(0, len(rows), self._MOST):
            some = rows[low : low + self._MOST]
            cursor.execute(self._text(len(some)), (*same, *chain.from_iterable(some)))

    def _text(self, count: int) -> str:
        texts = self._texts
        while len(texts) < count:
            texts.append(f"{texts[-1]},{self._row}")
        return texts[count - 1]
