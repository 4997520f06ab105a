"""The SQLite store shared by processes, which also die: no job is handed out twice, and none is lost."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import pytest

from jobsim.core.job import JobId, State
from jobsim.core.limits import By, Limit, Scope
from jobsim.core.transitions import Kind
from jobsim.storage.sqlite import SqliteStorage
from jobsim.testing.conformance_base import add, at, claim, job_id, lose, new, settle
from jobsim.testing.invariants import verify

pytestmark = pytest.mark.live

HEAD: Final = """
import os, sys
from jobsim.core.errors import StorageError
from jobsim.core.job import State, WorkerId
from jobsim.storage.sqlite import SqliteStorage
from jobsim.testing.conformance_base import *
path, me = sys.argv[1], int(sys.argv[2])
def pause():
    print("ready", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs.db"


@contextmanager
def process(script: str, path: Path, number: int = 0) -> Iterator[subprocess.Popen[str]]:
    """Run a script in a Python of its own until it pauses; kill it in the end."""
    arguments = [sys.executable, "-c", HEAD + script, str(path), str(number)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            yield child
        finally:
            child.kill()


def together(script: str, path: Path, count: int) -> list[str]:
    """Run a script in several processes, which go on from their pause at once; return what they print."""
    with ExitStack() as stack:
        children = [stack.enter_context(process(script, path, number)) for number in range(count)]
        for child in children:
            assert child.stdin is not None
            child.stdin.write("\n")
            child.stdin.flush()
        outputs = [child.communicate()[0] for child in children]
        assert [child.returncode for child in children] == [0] * count
    return outputs


OPEN: Final = """
pause()
storage = SqliteStorage(path)
add(storage, new(me))
storage.close()
"""


def test_processes_that_open_a_new_file_at_once_all_can(path: Path) -> None:
    """One makes the database and the others wait: each then finds all it needs, and no job is lost."""
    together(OPEN, path, 6)
    storage = SqliteStorage(path)
    assert sorted(job.id for job in storage.find()) == [job_id(n) for n in range(6)]
    verify(storage.events(), jobs=storage.find())
    storage.close()


CLAIM: Final = """
storage = SqliteStorage(path)
pause()
worker = WorkerId(f"worker {me}")
while leases := claim(storage, limit=me + 1, worker=worker):
    for lease in leases:
        print(lease.id)
    if me % 2:
        storage.settle([Settlement(lease, SUCCEED) for lease in leases], at(1))
"""


def test_processes_share_the_jobs(path: Path) -> None:
    """Every job goes to one process, and all are handed out; the log is the sound history of that."""
    storage = SqliteStorage(path)
    ids = add(storage, *(new(n) for n in range(400)))
    taken = [line for output in together(CLAIM, path, 4) for line in output.split()]
    assert sorted(taken) == [str(id_) for id_ in ids]
    verify(storage.events(), accepted=ids, jobs=storage.find())
    storage.close()


ENQUEUE: Final = """
storage = SqliteStorage(path)
pause()
for number in range(100):
    add(storage, new(me * 1_000 + number))
"""


def test_processes_that_write_at_once_wait_for_each_other(path: Path) -> None:
    """No writer is refused for the sake of another, and every job is kept with its event."""
    SqliteStorage(path).close()
    together(ENQUEUE, path, 4)
    storage = SqliteStorage(path)
    accepted = [job_id(me * 1_000 + number) for me in range(4) for number in range(100)]
    assert len(storage.find()) == 400
    verify(storage.events(), accepted=accepted, jobs=storage.find())
    storage.close()


LIMITED: Final = """
storage = SqliteStorage(path)
pause()
worker = WorkerId(f"worker {me}")
while storage.counts()[State.PENDING]:
    for lease in claim(storage, limit=me + 2, worker=worker):
        storage.settle([Settlement(lease, SUCCEED)], at(1))
"""


def test_processes_keep_a_limit_together(path: Path) -> None:
    """Claims made at the same time never both take the last place, and no place is lost: all jobs are run."""
    storage = SqliteStorage(path)
    storage.set_limits({Scope(By.KIND, "mail"): Limit(running=3, running_per_key=2)})
    add(storage, *(new(n, limit_key="ab"[n % 2]) for n in range(200)))
    together(LIMITED, path, 4)
    running: set[JobId] = set()
    most = 0
    for event in storage.events():
        if event.kind is Kind.CLAIM:
            running.add(event.job)
        else:
            running.discard(event.job)
        most = max(most, len(running))
        assert max(Counter(job % 2 for job in running).values(), default=0) <= 2
    assert 1 < most <= 3
    assert storage.counts()[State.SUCCEEDED] == 200
    storage.close()


DIES: Final = """
storage = SqliteStorage(path)
claim(storage)
pause()
"""


def test_place_of_a_killed_process_is_free_with_its_lease(path: Path) -> None:
    """Nothing but the running job holds a place, so that whoever settles it gives the place back."""
    storage = SqliteStorage(path)
    storage.set_limits({Scope(By.KIND, "mail"): Limit(running=1)})
    add(storage, new(1), new(2))
    with process(DIES, path):
        pass
    assert claim(storage, now=at(59)) == []
    [lost] = storage.expired(9, at(61))
    assert settle(storage, lost, lose(at(500)), now=at(61))
    assert [lease.id for lease in claim(storage, now=at(61))] == [job_id(2)]
    storage.close()


CUT_OFF: Final = """
storage = SqliteStorage(path)
add(storage, new(1), new(2))
[lease] = claim(storage, limit=1)
def work():
    storage._exchange([Settlement(lease, SUCCEED)], ANN, QUEUES, 9, at(60), at(1))
    storage._writes.enqueue([new(3)], at(1))
    pause()
storage._database.write(work)
"""


def test_process_killed_within_a_call_leaves_nothing_of_it(path: Path) -> None:
    """After SIGKILL no lock is left, and the store is as it was before the call: its lease ends some day."""
    with process(CUT_OFF, path):
        pass
    storage = SqliteStorage(path)
    assert [job.state for job in storage.find()] == [State.RUNNING, State.PENDING]
    assert [event.seq for event in storage.events()] == [1, 2, 3]
    assert [lease.id for lease in storage.expired(9, at(61))] == [job_id(1)]
    assert [lease.id for lease in claim(storage)] == [job_id(2)]
    storage.close()


ACKNOWLEDGED: Final = """
storage = SqliteStorage(path)
add(storage, new(1))
claim(storage)
pause()
"""


def test_process_killed_after_a_call_has_lost_nothing(path: Path) -> None:
    """What was acknowledged is there, though nobody closed the store."""
    with process(ACKNOWLEDGED, path):
        pass
    storage = SqliteStorage(path)
    assert [job.state for job in storage.find()] == [State.RUNNING]
    storage.close()


FORK: Final = """
import threading
storage, memory = SqliteStorage(path), SqliteStorage(":memory:")
add(storage, new(1))
busy = threading.Thread(target=lambda: [add(storage, new(n)) for n in range(100, 400)])
busy.start()
children = []
for number in range(2, 6):
    child = os.fork()
    if child == 0:
        add(storage, new(number))
        assert [lease.id for lease in claim(storage, limit=1)] != []
        try:
            memory.find()
        except StorageError as error:
            assert "memory of the process" in str(error)
            storage.close()
            os._exit(0)
        os._exit(1)
    children.append(child)
codes = [os.waitpid(child, 0)[1] for child in children]
busy.join()
assert memory.find() == []
add(storage, new(6))
pause()
print(codes)
"""


def test_forked_child_opens_the_file_anew(path: Path) -> None:
    """Parent and children go on, each by a connection of its own, though a thread wrote during the fork."""
    assert together(FORK, path, 1) == ["[0, 0, 0, 0]\n"]
    storage = SqliteStorage(path)
    jobs = storage.find()
    assert {job_id(n) for n in (*range(1, 7), *range(100, 400))} == {job.id for job in jobs}
    assert storage.counts()[State.RUNNING] == 4
    verify(storage.events(), jobs=jobs)
    storage.close()
