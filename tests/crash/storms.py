"""Storms in processes of their own, which have one thread and may fork, and what came of them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def toll(
    url: str,
    place: Path,
    kills: int,
    seed: int,
    *command: str,
    meanwhile: Callable[["subprocess.Popen[bytes]"], object] = lambda _: None,
) -> dict[str, Any]:
    """Let a storm rage, do `meanwhile` beside it, and return its toll; no process outlives this."""
    place.mkdir()
    arguments = [*(command or ("-m", "jobsim.testing.storm")), url, str(place), str(kills), str(seed)]
    with (place / "toll").open("wb") as told, (place / "stderr").open("wb") as said:
        storm = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=said,
            start_new_session=True,
        )
    try:
        meanwhile(storm)
        code = storm.wait()
    finally:
        if storm.poll() is None:
            os.killpg(storm.pid, signal.SIGKILL)
            storm.wait()
    assert code == 0, (place / "stderr").read_text(errors="replace")[-4_000:]
    found: dict[str, Any] = json.loads((place / "toll").read_bytes())
    return found
