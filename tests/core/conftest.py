import os
import subprocess
import sys
from collections.abc import Callable

import pytest


@pytest.fixture
def said_by() -> Callable[[str, str], str]:
    """Runs a Python text in another process under a given PYTHONHASHSEED, and returns what it prints."""

    def run(text: str, hash_seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(
            [sys.executable, "-c", text], env=environment, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    return run
