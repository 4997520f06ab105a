"""A worker's memory does not grow with the jobs that it has run."""

import subprocess
import sys
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from jobsim.core.job import State
from jobsim.queue import Queue

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(sys.platform != "linux", reason="/proc tells of memory on Linux alone"),
]

ROOT = Path(__file__).parents[2]

WORKER: Final = """\
import gc, itertools, os, sys
from pathlib import Path
import apsw
import jobsim

queue = jobsim.Queue("sqlite:///jobs.db?durability=normal")
marks = {int(mark) for mark in sys.argv[1:]}
done = itertools.count(1)


@queue.job(keep_result=True)
def work(number: int) -> int:
    if next(done) in marks:
        gc.collect()
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        print(resident - apsw.memory_used(), apsw.memory_used(), sys.getallocatedblocks(), flush=True)
    return number


queue.run_worker(concurrency=20, burst=True)
"""


class Memory(NamedTuple):
    """What a process uses: resident bytes without SQLite's, those of SQLite, and blocks of Python's."""

    own: int
    sqlite: int
    blocks: int


def growth(place: Path, *marks: int) -> Memory:
    """Have one worker run as many jobs as the last mark says; return by what it grew since the first."""
    with Queue(f"sqlite:///{place}/jobs.db?durability=normal") as queue:
        queue.enqueue_many("work", ({"number": n} for n in range(marks[-1])), batch=5_000)
        done = subprocess.run(
            [sys.executable, "-c", WORKER, *map(str, marks)],
            cwd=place,
            env={"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        assert queue.storage.counts()[State.SUCCEEDED] == marks[-1]
    first, *_, last = (Memory(*map(int, line.split())) for line in done.stdout.splitlines())
    return Memory(*(after - before for before, after in zip(first, last, strict=True)))


def test_a_worker_keeps_nothing_of_the_jobs_it_has_run(tmp_path: Path) -> None:
    """Between the thousandth job and the three thousandth, fewer new blocks stay than one to four jobs."""
    assert growth(tmp_path, 1_000, 3_000).blocks < 500


@pytest.mark.soak
def test_memory_of_a_worker_is_flat_over_200_000_jobs(tmp_path: Path) -> None:
    """From the 20,000th job on it grows by less than 60 bytes a job; SQLite fills its cache and no more."""
    grown = growth(tmp_path, 20_000, 200_000)
    assert grown.own < 60 * 180_000, grown
    assert grown.sqlite < 36_000_000, grown
    assert grown.blocks < 180_000 // 10, grown
