"""The page about web frameworks is true: its modules are run, with those frameworks that are installed."""

import asyncio
import importlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from psycopg import conninfo  # noqa: TID251  # Django connects by itself

from jobsim.core.job import JobId, NewJob, State
from jobsim.core.time import Instant
from jobsim.queue import Queue
from jobsim.storage.memory import MemoryStorage

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "howto-frameworks.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
MODULES = {found[1]: block for block in BLOCKS if (found := re.match(r"# (\w+)\.py\n", block))}

Load = Callable[[str], Any]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Return a function that imports a module of the page; its jobs are in a file of the test's own."""
    for name, block in MODULES.items():
        (tmp_path / f"{name}.py").write_text(block, encoding="utf-8")
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("JOBSIM_URL", raising=False)
    yield importlib.import_module
    tasks = sys.modules.get("tasks")
    for name in MODULES:
        sys.modules.pop(name, None)
    if tasks is not None:
        tasks.queue.close()


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.partition("\n")[0])
def test_code_of_the_page_compiles(block: str) -> None:
    """Whether its framework is installed or not."""
    compile(block, str(PAGE), "exec", dont_inherit=True)


def test_page_shows_each_framework() -> None:
    """Tasks, and an application of each."""
    assert list(MODULES) == ["tasks", "flask_app", "fastapi_app", "views", "views_elsewhere"]


def test_importing_the_tasks_opens_nothing_and_they_can_be_rehearsed(load: Load, tmp_path: Path) -> None:
    """The module touches no store, nor does a test of the application."""
    load("tasks")
    exec(compile(BLOCKS[-1], str(PAGE), "exec", dont_inherit=True), {})
    assert not list(tmp_path.glob("*.db*"))


def enqueued_twice(post: Callable[[str], Any], load: Load) -> JobId:
    """Ask twice for a receipt; return the id of the one job that made."""
    first, second = post("/orders/42/receipt"), post("/orders/42/receipt")
    assert first.status_code == second.status_code == 202
    queue: Queue = load("tasks").queue
    [job] = queue.storage.find()
    assert job.payload == '{"order_id":42}'
    assert str(job.id) in first.text
    assert first.text == second.text
    return job.id


def test_flask_view_enqueues_once(load: Load) -> None:
    """A request that is sent twice makes one job."""
    pytest.importorskip("flask")
    enqueued_twice(load("flask_app").app.test_client().post, load)


def test_fastapi_handler_enqueues_once_and_tells_the_state(load: Load) -> None:
    """So it does where the handler is a coroutine."""
    pytest.importorskip("httpx")
    client = pytest.importorskip("fastapi.testclient").TestClient(load("fastapi_app").app)
    job = enqueued_twice(client.post, load)
    assert client.get(f"/jobs/{job}").json() == {"state": "pending"}


DJANGO = """\
import json, sys
from django.conf import settings
settings.configure(DATABASES={"default": json.loads(sys.argv[1])})
import django
django.setup()
from django.db import connection, transaction
from django.test import RequestFactory
import views, views_elsewhere

request = RequestFactory().post("/")
assert views.receipt(request, 1).status_code == 202
try:
    with transaction.atomic():
        views.receipt(request, 2)
        raise ArithmeticError
except ArithmeticError:
    pass
from tasks import queue, send_receipt
with queue.testing() as rehearsal:
    views.receipt(request, 3)
    views_elsewhere.receipt(request, 4)
    assert [job.payload for job in rehearsal.jobs] == ['{"order_id":3}', '{"order_id":4}']
"""


def views(url: str, database: dict[str, Any], place: Path) -> list[str]:
    """Call the views of the page with Django on `database`; return what they have put on the queue."""
    pytest.importorskip("django")
    with Queue(url) as queue:
        queue.storage.counts()
    subprocess.run(
        [sys.executable, "-c", DJANGO, json.dumps(database)],
        env={**os.environ, "JOBSIM_URL": url, "PYTHONPATH": os.pathsep.join([str(place), *sys.path])},
        check=True,
    )
    with Queue(url) as queue:
        return [job.payload for job in queue.storage.find()]


@pytest.mark.usefixtures("load")
def test_django_view_enqueues_in_its_transaction_on_sqlite(tmp_path: Path) -> None:
    """The job is there if the view's transaction commits, and never was if it does not."""
    database = {"ENGINE": "django.db.backends.sqlite3", "NAME": "shop.db"}
    url = f"sqlite:///{tmp_path}/shop.db?shared=true&durability=normal"
    assert views(url, database, tmp_path) == ['{"order_id":1}']


@pytest.mark.usefixtures("load")
def test_django_view_enqueues_in_its_transaction_on_postgres(
    tmp_path: Path, postgres: str, schema: str
) -> None:
    """So it is on a server."""
    place = conninfo.conninfo_to_dict(postgres)
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": place["dbname"],
        "HOST": place["host"],
        "USER": place["user"],
    }
    assert views(f"{postgres}&schema={schema}", database, tmp_path) == ['{"order_id":1}']


class Slow(MemoryStorage):
    """A store whose commits last until somebody else says so."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go_on = threading.Event(), threading.Event()

    def enqueue(self, jobs: Sequence[NewJob], now: Instant) -> list[JobId]:
        self.begun.set()
        assert self.go_on.wait(60)
        return super().enqueue(jobs, now)


def greet(name: str) -> None:
    """Greet."""


@pytest.mark.live
def test_enqueue_in_a_thread_leaves_the_event_loop_free() -> None:
    """While the commit is under way, other requests of the process go on: one of them ends it here."""
    storage = Slow()
    handler = Queue(storage).job(greet)

    async def other() -> None:
        while not storage.begun.is_set():  # noqa: ASYNC110  # a thread sets it
            await asyncio.sleep(0)  # noqa: TID251  # it lets others go on, and takes no time
        storage.go_on.set()

    async def serve() -> JobId:
        job, _ = await asyncio.gather(asyncio.to_thread(handler.enqueue, "Ada"), other())
        return job

    assert storage.get(asyncio.run(serve())) is not None


@pytest.mark.live
def test_enqueue_that_nobody_waits_for_any_more_is_whole() -> None:
    """A cancelled request has put its job on the queue, or has not; here it has."""
    storage = Slow()
    handler = Queue(storage).job(greet)

    async def serve() -> None:
        request = asyncio.create_task(asyncio.to_thread(handler.enqueue, "Ada"))
        while not storage.begun.is_set():  # noqa: ASYNC110  # a thread sets it
            await asyncio.sleep(0)  # noqa: TID251  # it lets others go on, and takes no time
        request.cancel()
        storage.go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await request

    asyncio.run(serve())
    assert storage.counts()[State.PENDING] == 1
