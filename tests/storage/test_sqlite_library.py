"""Which copies of SQLite can be trusted with a WAL."""

import pytest

from jobsim.storage.sqlite_library import OURS, resets_wal_wrongly


@pytest.mark.parametrize(
    "version", ["3.7.0", "3.40.1", "3.44.5", "3.45.0", "3.49.2", "3.50.6", "3.51.0", "3.51.2"]
)
def test_versions_with_the_bug_are_known(version: str) -> None:
    """From the first with a WAL to the last before the repair, but for the branches that were mended."""
    assert resets_wal_wrongly(version)


@pytest.mark.parametrize(
    "version", ["3.6.23", "3.44.6", "3.44.7", "3.50.7", "3.51.3", "3.53.0", "3.53.10", "4.0.0"]
)
def test_versions_without_the_bug_are_known(version: str) -> None:
    """Nobody is told to upgrade for nothing."""
    assert not resets_wal_wrongly(version)


def test_the_library_that_ships_is_mended() -> None:
    """The store itself goes through a library that can be trusted."""
    assert not resets_wal_wrongly(OURS)
