"""A directory to be in, without the caller's own settings."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="module", autouse=True)
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Be in an empty directory, and keep what the caller has set out."""
    place, before = tmp_path_factory.mktemp("fuzz"), Path.cwd()
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("JOBSIM_")]:
            patch.delenv(name)
        patch.setenv("COLUMNS", "100")
        os.chdir(place)
        yield place
        os.chdir(before)
