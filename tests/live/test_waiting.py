"""A database that is not there yet is waited for."""

import logging

import pytest

from jobsim.core.errors import StorageForeign, StorageUnavailable
from jobsim.core.time import MILLISECOND, SECOND, Duration, Instant
from jobsim.live.waiting import reach


class Server:
    """A server that is back after a while, by a clock that waiting moves; each look takes a millisecond."""

    def __init__(self, back_after: int) -> None:
        self.back = Instant(back_after * SECOND)
        self.time = Instant(0)
        self.looks = 0
        self.error: Exception = StorageUnavailable("it cannot be reached")

    def open(self) -> None:
        self.looks += 1
        self.time = Instant(self.time + MILLISECOND)
        if self.time < self.back:
            raise self.error

    def pause(self, duration: Duration) -> None:
        self.time = Instant(self.time + duration)

    def reach(self, patience: int) -> None:
        reach(self.open, Duration(patience * SECOND), lambda: self.time, self.pause)


def test_database_is_waited_for_ever_more_seldom(caplog: pytest.LogCaptureFixture) -> None:
    """It is looked for soon, then every few seconds, and each time that is said, with the reason."""
    server = Server(back_after=50)
    with caplog.at_level(logging.WARNING, "jobsim.worker"):
        server.reach(patience=60)
    assert 10 <= server.looks <= 40
    assert server.time <= 50 * SECOND + 6 * SECOND
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == server.looks - 1
    assert all(text.startswith("it cannot be reached; trying again in ") for text in said)


def test_waiting_ends_after_the_time_that_was_given() -> None:
    """The error is raised then, after a last look."""
    server = Server(back_after=99)
    with pytest.raises(StorageUnavailable):
        server.reach(patience=60)
    assert 60 * SECOND <= server.time <= 60 * SECOND + server.looks * MILLISECOND
    hasty = Server(back_after=99)
    with pytest.raises(StorageUnavailable):
        hasty.reach(patience=0)
    assert hasty.looks == 1


def test_what_does_not_pass_by_itself_is_not_waited_for() -> None:
    """A database that is somebody else's is so in a minute, too."""
    server = Server(back_after=99)
    server.error = StorageForeign("not ours")
    with pytest.raises(StorageForeign):
        server.reach(patience=60)
    assert server.looks == 1
