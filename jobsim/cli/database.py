"""The database that reading and operator commands look at; they never make one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from jobsim.cli.options import usage
from jobsim.cli.target import load_queue
from jobsim.core.errors import StorageError
from jobsim.core.time import Instant

if TYPE_CHECKING:
    from jobsim.queue import Queue
    from jobsim.storage.base import Storage


def now() -> Instant:
    from jobsim.runtime.live import LiveRuntime

    return LiveRuntime().now()


@contextmanager
def open_database(where: str) -> "Iterator[Storage]":
    with usage("--url"):
        if "://" in where:
            from jobsim.queue import Queue

            queue = Queue(where)
        else:
            queue = load_queue(where)
    yield queue.storage
