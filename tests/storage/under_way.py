"""A call on a PostgreSQL store that has written all but its commit, while others go on."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from jobsim.core.time import Instant
from jobsim.storage.postgres import PostgresStorage
from jobsim.storage.postgres_session import Session
from jobsim.testing.conformance_base import BEGAN


@contextmanager
def under_way(storage: PostgresStorage, work: Callable[[Session], Callable[[], object]]) -> Iterator[None]:
    """Make a call in another thread, which has written all but its commit meanwhile."""
    written, go_on = threading.Event(), threading.Event()

    def slowly(session: Session, _: Instant) -> Callable[[], None]:
        reply = work(session)

        def answer() -> None:
            reply()
            session.run("number").fetchall()
            written.set()
            assert go_on.wait(60)

        return answer

    with ThreadPoolExecutor(1) as thread:
        done = thread.submit(storage._database.write, slowly, BEGAN)
        assert written.wait(60)
        try:
            yield
        finally:
            go_on.set()
            done.result()
