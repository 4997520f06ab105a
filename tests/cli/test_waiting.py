"""``jobsim worker`` while its database's server is away."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from jobsim.cli.program import ExitCode
from jobsim.queue import Queue
from jobsim.testing.postgres_server import PostgresServer

Start = Callable[..., "subprocess.Popen[str]"]

pytestmark = pytest.mark.live


def test_worker_waits_for_a_server_that_is_down(
    tmp_path: Path, start: Start, make_server: Callable[[], PostgresServer], schema: str
) -> None:
    """It says so, and works once the server is there; who does not wait exits with 4."""
    with make_server() as server:
        url = f"{server.dsn}&schema={schema}"
        (tmp_path / "waitingapp.py").write_text(
            f"import jobsim\nqueue = jobsim.Queue({url!r})\n\n\n@queue.job\ndef work() -> None:\n    pass\n"
        )
        with Queue(url) as queue:
            queue.enqueue("work")
        server.stop()
        hasty = start("worker", "waitingapp:queue", "--wait-for-database", "0s")
        _, said = hasty.communicate(timeout=120)
        assert hasty.returncode == ExitCode.DATABASE
        assert "cannot be reached" in said
        assert "trying again in" not in said
        worker = start("worker", "waitingapp:queue", "--burst", JOBSIM_WAIT_FOR_DATABASE="5m")
        assert worker.stderr is not None
        assert "cannot be reached" in worker.stderr.readline()
        server.start()
        _, said = worker.communicate(timeout=240)
        assert worker.returncode == 0
        assert "1 attempt, 1 succeeded" in said
