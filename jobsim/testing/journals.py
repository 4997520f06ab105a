"""What one process of many was told, written down where it outlives that process.

A journal is a file of lines; each is written by one call to the system, so that what stands there when the
process is killed is whole. Only the end of a long line may be missing: that was not yet known to anybody.
"""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from jobsim.core.job import JobId, WorkerId
from jobsim.core.transitions import Kind
from jobsim.testing.clients import Clients, Told


class Journal(Clients):
    """Clients of one process; what they ask and hear is in the file `path` before it is acted on.

    Nothing is heard before it was asked for, and nothing asked that is not in the file: who is killed between
    an answer and its line was told nothing.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def ask(self, told: Sequence[Told]) -> int:
        """Write down what a call asks for, of which nothing is heard yet; return its place in `told`."""
        place = super().ask(told)
        self._write(place, 0, told)
        return place

    def hear(self, place: int, asked: int, told: Sequence[Told]) -> None:
        """Write down what was heard, in the place of what had been asked for there: so many things."""
        super().hear(place, asked, told)
        self._write(place, asked, told)

    def _write(self, place: int, asked: int, told: Sequence[Told]) -> None:
        if told or asked:
            os.write(self._file, f"{json.dumps([place, asked, told])}\n".encode())

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def read(paths: Iterable[Path]) -> Clients:
    """Return what the processes with journals at `paths` were told, all in all."""
    clients = Clients()
    for path in paths:
        told: list[Told] = []
        for place, asked, lines in _lines(path):
            told[place : place + asked] = [_told(*line) for line in lines]
        clients.told += told
    return clients


def _lines(path: Path) -> Iterator[tuple[int, int, list[Any]]]:
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    return map(json.loads, whole.splitlines())


def _told(kind: str, job: int, token: int, kept: bool | None, worker: str | None) -> Told:  # noqa: FBT001
    return Told(Kind(kind), JobId(job), token, kept, None if worker is None else WorkerId(worker))
