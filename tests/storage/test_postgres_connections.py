"""The connections of one process to a PostgreSQL server: a fork has its own."""

import os
import threading
from typing import Any

import pytest

from jobsim.core.time import SECOND, Duration
from jobsim.storage import postgres_connections
from jobsim.storage.postgres_connections import Connections


class Pool:
    """A pool as far as it is borrowed from, which notes by which thread."""

    def __init__(self, *_: object, **__: object) -> None:
        self.borrowers: list[str] = []

    def getconn(self) -> str:
        """Give out a connection."""
        self.borrowers.append(threading.current_thread().name)
        return "connection"

    def putconn(self, connection: str) -> None:
        """Take one back."""


def borrow(connections: Connections) -> None:
    with connections.borrow():
        pass


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> Connections:
    """What a fork has of its parent's connections, which the main thread has used there."""
    monkeypatch.setattr(postgres_connections, "ConnectionPool", Pool)
    found = Connections("host=nowhere", Duration(SECOND), 1, prepared=True)
    borrow(found)
    there = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: there + 1)
    return found


def pools(monkeypatch: pytest.MonkeyPatch, making: Any) -> list[Pool]:
    """Return the pools that are made from now on, before each of which `making` is called."""
    made: list[Pool] = []

    def make(*_: object, **__: object) -> Pool:
        making()
        made.append(Pool())
        return made[-1]

    monkeypatch.setattr(postgres_connections, "ConnectionPool", make)
    return made


def test_threads_of_a_fork_share_a_pool_of_its_own(
    connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that comes while another opens it waits for it, and never takes a connection of the parent's."""
    other = threading.Thread(target=borrow, args=(connections,), name="other")

    def come_between() -> None:
        other.start()
        other.join(0.1)

    made = pools(monkeypatch, come_between)
    borrow(connections)
    other.join()
    assert [sorted(pool.borrowers) for pool in made] == [["MainThread", "other"]]


def test_fork_that_could_not_open_a_pool_tries_again(
    connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system that gives no more threads just now does not lead to the parent's connections."""

    def fail() -> None:
        if failures:
            raise failures.pop()

    failures = [RuntimeError("can't start new thread")]
    made = pools(monkeypatch, fail)
    with pytest.raises(RuntimeError, match="thread"):
        borrow(connections)
    borrow(connections)
    assert [pool.borrowers for pool in made] == [["MainThread"]]
