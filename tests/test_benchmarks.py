"""The benchmarks run, and say what they promise to say; of how fast anything was nothing is asserted."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jobsim.testing.postgres_server import find_binaries

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("benchmarks")]


def run(script: str, *arguments: str) -> list[dict[str, Any]]:
    """Run a benchmark with `--json`, and return its lines."""
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / script), "--json", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONWARNINGS": "default"},
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def stores() -> set[str]:
    return {"sqlite", "postgres"} if find_binaries() else {"sqlite"}


def test_live_measures_our_queue_on_every_store(tmp_path: Path) -> None:
    """Drain, enqueue, pick-up and idling are measured on each store that can be reached."""
    sizes = ["--jobs", "60", "--picks", "4", "--every", "0.01", "--idle", "0.1", "--only", "async handler"]
    rows = run("live.py", *sizes, "--directory", str(tmp_path))
    found = {(row["store"], row["measure"]) for row in rows}
    measures = {
        "durable commit, ms",
        "drain, 4 slots, jobs/s",
        "drain, 100 slots, jobs/s",
        "enqueue by 1, jobs/s",
        "idle, % of a core",
        "pick-up p50, ms",
        "pick-up p99, ms",
    }
    assert found >= {(store, measure) for store in stores() for measure in measures}
    assert not list(tmp_path.iterdir()), "its files are removed"


def test_storage_measures_calls_and_claims_on_every_store(tmp_path: Path) -> None:
    """Each call is compared with the bare driver at each batch size, and claims by what is pending."""
    rows = run("storage.py", "--rounds", "2", "--pending", "1500", "--directory", str(tmp_path))
    calls = {(row["store"], row["call"], row["batch"]) for row in rows if "call" in row}
    names = ("enqueue", "exchange", "extend")
    assert calls == {(store, name, batch) for store in stores() for name in names for batch in (1, 10, 100)}
    assert {row["jobs"] for row in rows if "jobs" in row} == {
        "1,000 pending",
        "1,500 pending",
        "1,000 pending, 1,500 for later",
    }
    assert all(row["ratio"] > 0 for row in rows)


def test_simulation_measures_the_engine_and_the_textbook_model() -> None:
    """The models agree on what happens in their world, as far as so few jobs can tell."""
    rows = run("simulation.py", "--jobs", "500", "--repeats", "1")
    assert {row["model"] for row in rows} >= {"textbook SimPy Resource", "jobsim on memory"}
    assert all(1 <= row["attempts_per_job"] <= 5 for row in rows)
