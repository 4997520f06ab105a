"""Inputs led by coverage: atheris, where it is installed, finds nothing but errors of jobsim's own.

pip install atheris
pytest -m soak --timeout 0 tests/fuzz/test_atheris.py
"""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.campaigns import record

ROOT = Path(__file__).parents[2]
RUNS = {"scenario": 20_000, "payload": 200_000, "url": 200_000, "length": 200_000, "log": 100_000}
SEEDS = {
    "scenario": [path.read_bytes() for path in sorted((ROOT / "scenarios").glob("*.toml"))],
    "payload": [b'{"order": 7, "to": ["ann"], "more": {"a": null}}', b'{"order": 1, "to": []}'],
    "url": [
        b"sqlite:///jobs.db?durability=normal&busy_timeout=5s",
        b"postgresql://ann:secret@[::1]:5432/shop?schema=jobs&connections=4&sslmode=require",
    ],
    "length": [b"1h30m", b"1.5s", b"250 ms", b"2 days, 3:04:05"],
    "log": [b""],
}
"""What inputs are made of at first."""

pytestmark = pytest.mark.soak


@pytest.mark.skipif(
    find_spec("atheris") is None,
    reason="atheris is not installed, and its fuzzing is NOT done: pip install atheris",
)
@pytest.mark.parametrize("target", RUNS)
def test_atheris_finds_nothing(tmp_path: Path, target: str) -> None:
    """However an input is made to reach the last line of a parser, it is read or refused."""
    seeds = tmp_path / "seeds"
    seeds.mkdir()
    for number, seed in enumerate(SEEDS[target]):
        (seeds / str(number)).write_bytes(seed)
    done = subprocess.run(
        [
            sys.executable,
            ROOT / "tests" / "fuzz" / "atheris_targets.py",
            target,
            seeds,
            f"-runs={RUNS[target]}",
            "-max_len=4000",
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4_000:]
    record("fuzzing by atheris", inputs=RUNS[target])
