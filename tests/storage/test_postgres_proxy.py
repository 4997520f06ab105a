"""The store behind a proxy that pools transactions, where each may get another session: a real PgBouncer."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from jobsim.core.job import JobId, State
from jobsim.storage.base import Storage
from jobsim.storage.postgres import PostgresStorage
from jobsim.testing.conformance import StorageConformance
from jobsim.testing.conformance_base import BEGAN, MINUTE, SUCCEED, add, claim, job_id, new, settle
from jobsim.testing.invariants import verify

pytestmark = pytest.mark.live

PORT = 6432
NOBODY = 65534
CONFIG = """
[databases]
* = host={server} user=postgres
[pgbouncer]
listen_addr =
listen_port = {port}
unix_socket_dir = {directory}
auth_type = any
pool_mode = transaction
default_pool_size = 3
max_client_conn = 100
ignore_startup_parameters = extra_float_digits
logfile = {directory}/log
"""


@pytest.fixture(scope="module")
def proxy(postgres: str) -> Iterator[str]:
    """Where the proxy is to be found."""
    program = shutil.which(
        "pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin"
    )
    if program is None:
        pytest.skip("no pgbouncer: the PostgreSQL store is NOT tested behind a proxy (apt install pgbouncer)")
    server = parse_qs(urlsplit(postgres).query).get("host", [""])[0]
    if not server.startswith("/"):
        pytest.skip("the PostgreSQL server is one of others: its store is NOT tested behind a proxy")
    with _running(program, server) as directory:
        yield f"postgresql:///postgres?host={directory}&port={PORT}&user=postgres"


@contextmanager
def _running(program: str, server: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="jobsim-pb-", dir="/tmp") as name:  # short enough
        directory = Path(name)
        directory.chmod(0o755)
        user = None if os.getuid() else NOBODY
        if user:
            os.chown(directory, user, user)
        config = directory / "ini"
        config.write_text(CONFIG.format(server=server, port=PORT, directory=directory))
        process = subprocess.Popen([program, config], user=user, group=user, stderr=subprocess.DEVNULL)
        try:
            _await(directory / f".s.PGSQL.{PORT}", process)
            yield directory
        finally:
            process.terminate()
            process.wait(30)


def _await(path: Path, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(500):
        with socket.socket(socket.AF_UNIX) as knock:
            if knock.connect_ex(str(path)) == 0:
                return
        assert process.poll() is None, "pgbouncer does not start"
        time.sleep(0.02)
    raise AssertionError("pgbouncer does not listen")


class TestBehindProxy(StorageConformance):
    """Every rule holds there."""

    dsn: str

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _proxy(cls, proxy: str) -> None:
        cls.dsn = proxy

    def make_storage(self, tmp_path: Path) -> Storage:
        schema = f"p_{sha256(str(tmp_path).encode()).hexdigest()[:16]}"
        return PostgresStorage(self.dsn, schema=schema, prepared=False, listen=False)


def test_workers_behind_a_proxy_finish_all_jobs(proxy: str, schema: str) -> None:
    """More connections than the proxy has sessions drain the queue, each job once, and the log is whole."""
    stores = [
        PostgresStorage(proxy, schema=schema, prepared=False, listen=False, connections=2) for _ in range(6)
    ]
    ids = add(stores[0], *(new(n) for n in range(300)))

    def drain(storage: PostgresStorage) -> list[JobId]:
        done = []
        while storage.counts()[State.SUCCEEDED] < len(ids):
            for lease in claim(storage, limit=7, lease=MINUTE):
                assert settle(storage, lease, SUCCEED)
                done.append(lease.id)
        return done

    with ThreadPoolExecutor(6) as threads:
        parts = list(threads.map(drain, stores))
    assert sorted(job for part in parts for job in part) == [job_id(n) for n in range(300)]
    verify(stores[0].events(), accepted=ids, jobs=stores[0].find())
    assert stores[0].watch() is None
    assert stores[0].next_due(["default"]) is None
    assert stores[0].clock() > BEGAN
    for storage in stores:
        storage.close()
