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
    """Return the statement of that name without its comment."""
    lines = (_DIRECTORY / f"{name}.sql").read_text("utf-8").splitlines()
    return "\n".join(line for line in lines if not line.startswith("--"))


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


class Cursor(Protocol):
    """What the cursors of APSW and of the standard library have in common."""

    def execute(self, sql: str, bindings: Sequence[Any] = ..., /) -> Self:
        """Run one statement."""
        ...

    def fetchall(self) -> list[Row]:
        """Return the rows that it gave."""
        ...


class Insert:
    """An INSERT that takes many rows in one step, which costs half of a step a row.

    What its text calls ``?1``, ``?2`` and so on is the same in every row.
    """

    _MOST: Final = 128

    def __init__(self, name: str) -> None:
        text = statement(name)
        self._head, _, self._row = text.partition("VALUES")
        self._texts = [text]

    def into(self, cursor: Cursor, rows: Sequence[Row], same: Row = ()) -> None:
        """Insert `rows` in order; their row ids, where they are given none, follow each other."""
        for low in range(0, len(rows), self._MOST):
            some = rows[low : low + self._MOST]
            cursor.execute(self._text(len(some)), (*same, *chain.from_iterable(some)))

    def _text(self, count: int) -> str:
        texts = self._texts
        while len(texts) < count:
            texts.append(self._head + "VALUES" + ",".join([self._row] * (len(texts) + 1)))
        return texts[count - 1]
