"""Optimistic contention: clients that change one row, each only if nobody else has since it was read."""

from typing import Literal

from jobsim.models.base import Model
from jobsim.models.fields import ErrorField, Text, default
from jobsim.models.service import Service


class Row(Model):
    """A row with a version, changed by a compare-and-set: read, work, then write if it is as it was read.

    An attempt reads the row, works for its own service time, and writes. Where another has written
    in between, the write fails with `error`, and so does the attempt. `network` is the time of each of the
    four ways: to read, back, to write, back. The row itself takes no time, unless `service` says how long a
    read or a write takes: then it sees to one of them at a time, first come, first served.
    Source: Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015, and its simulator,
    aws-samples/aws-arch-backoff-simulator.
    """

    model: Literal["row"] = "row"
    name: Text
    network: Service
    service: Service | None = None
    error: ErrorField = default("RuntimeError: version conflict")


class Version:
    """The state of a row: when it was last written. Times are microseconds, counted from any moment."""

    __slots__ = ("_written",)

    def __init__(self) -> None:
        self._written = -1

    def write(self, read: int, at: int) -> bool:
        """Write `at` a moment what was `read` at an earlier one; `False`: another has written since.

        Writes come in the order of their times. What is read at the very moment of a write is its result.
        """
        if read < self._written:
            return False
        self._written = at
        return True
