"""What goes on beside a worker: hearing of new jobs, and looking at the clock of the store's server."""

import threading
from collections.abc import Sequence
from contextlib import closing, nullcontext
from typing import Final

from jobsim.core.errors import StorageError
from jobsim.core.time import MILLISECOND, Duration, Instant
from jobsim.runtime.base import Signal
from jobsim.runtime.clock import LOOK, ServerClock
from jobsim.runtime.live import now
from jobsim.storage.base import Storage, Watchable

_TURN: Final = Duration(250 * MILLISECOND)
"""How long one wait for news lasts; so soon the thread ends after its worker."""

_BREATH_S: Final = 0.005
"""How long after news it does not listen: of a flood of jobs, a worker hears this often."""


class _Look:
    """Rings `bell` only where there is work for the workers of `queues`.

    Of a file, every claim and settlement of other processes is news. To look is cheap and disturbs nobody,
    where a claim in vain would have those others wait.
    """

    def __init__(self, storage: Storage, queues: Sequence[str], bell: Signal) -> None:
        self._storage = storage
        self._queues = queues
        self._bell = bell
        self._foreseen: Instant | None = None

    def ring(self) -> None:
        """Ring if a job is due, or one is to come earlier or later than was foreseen."""
        before, self._foreseen = self._foreseen, self._storage.next_due(self._queues)
        due = self._foreseen
        if due is not None and (due <= now() or due != before):
            self._bell.ring()


def attend(
    storage: Storage,
    queues: Sequence[str],
    clock: ServerClock | None,
    bell: Signal,
    ended: threading.Event,
) -> None:
    """Ring `bell`, which other threads may ring, at news of jobs of `queues`, until `ended`.

    Beside that keep `clock` right. While the store cannot be reached, neither is done: a worker looks for
    jobs by itself, and clocks go on.
    """
    watch = storage.watch() if isinstance(storage, Watchable) else None
    if watch is None and clock is None:
        return
    # A server tells of new jobs alone, and to look there would be a way to it and back.
    ring = _Look(storage, queues, bell).ring if clock is None else bell.ring
    with closing(watch) if watch is not None else nullcontext():
        while not ended.is_set():
            try:
                if watch is None:
                    ended.wait(_TURN.seconds)
                elif watch.wait(_TURN):
                    ring()
                    ended.wait(_BREATH_S)
                if clock is not None:
                    clock.look_after(LOOK)
            except StorageError:
                ended.wait(_TURN.seconds)
