"""The store in memory keeps the contract."""

import threading
from pathlib import Path

import pytest

from jobsim.core.events import EventLog
from jobsim.storage.base import Storage
from jobsim.storage.memory import MemoryStorage
from jobsim.testing.conformance import StorageConformance
from jobsim.testing.conformance_base import add, new


class TestMemory(StorageConformance):
    """In memory."""

    def make_storage(self, tmp_path: Path) -> Storage:
        return MemoryStorage()

    def reopens(self) -> bool:
        return False


def test_events_are_read_while_nobody_adds_to_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """What another thread adds while the log is read waits for that, and is not lost."""
    storage = MemoryStorage()
    add(storage, new(1))
    writer = threading.Thread(target=add, args=(storage, new(2)))
    extend = EventLog.extend

    def slowly(log: EventLog, records: bytes) -> None:
        if not writer.ident:
            writer.start()
            writer.join(0.1)
        extend(log, records)

    monkeypatch.setattr(EventLog, "extend", slowly)
    assert len(list(storage.events())) == 1
    writer.join()
    assert len(list(storage.events())) == 2
