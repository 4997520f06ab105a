"""Bugs planted in the text of a statement: a condition that is dropped, a number that is not raised."""

from collections.abc import Mapping
from typing import Final, NamedTuple

import pytest

from jobsim.storage import sqlite, sqlite_claim, sqlite_writes
from jobsim.storage.sqlite_statements import OnKeys


class Slip(NamedTuple):
    """What a `statement` has, and what it is to have in its place."""

    statement: str
    right: str
    wrong: str

    def of(self, text: str) -> str:
        """Return `text` with the slip.

        Raises:
            AssertionError: it has not what is to be replaced: the slip is out of date.
        """
        assert self.right in text, f"{self.statement}.sql has no {self.right!r} any more"
        return text.replace(self.right, self.wrong)


_HOMES: Final = {
    "start": (sqlite_claim, "_START"),
    "claimable": (sqlite_claim, "_CLAIMABLE"),
    "held": (sqlite_writes, "_HELD"),
    "expired": (sqlite, "_EXPIRED"),
}

SQLITE: Final[Mapping[str, Slip]] = {
    "attempt not raised": Slip("start", "attempt = attempt + 1", "attempt = attempt"),
    "token not raised": Slip("start", "token = token + 1", "token = max(token, 1)"),
    "settled without a lease": Slip("held", "lease_until IS NOT NULL", "TRUE"),
    "rescue of the living": Slip("expired", "lease_until < ?1", "lease_until < ?1 + 3600000000"),
    "claimed too early": Slip("claimable", "run_at <= ?3", "run_at <= ?3 + 3600000000"),
}
"""Slips of the store on SQLite, whose tokens and bounds are compared in Python."""


def in_sqlite(patch: pytest.MonkeyPatch, slip: Slip) -> None:
    """Plant a slip in the statements of SQLite."""
    home, name = _HOMES[slip.statement]
    text = getattr(home, name)
    if isinstance(text, OnKeys):
        for form in ("_one", "_many"):
            patch.setattr(text, form, slip.of(getattr(text, form)))
    else:
        patch.setattr(home, name, slip.of(text))
