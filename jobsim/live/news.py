"""What goes on beside a worker: hearing of new jobs, and looking at the clock of the store's server."""

import threading
from contextlib import closing, nullcontext
from typing import Final

from jobsim.core.errors import StorageError
from jobsim.core.time import MILLISECOND, SECOND, Duration
from jobsim.runtime.base import Signal
from jobsim.runtime.clock import ServerClock
from jobsim.storage.base import Storage, Watchable

_TURN: Final = Duration(250 * MILLISECOND)
"""How long one wait for news lasts; so soon the thread ends after its worker."""

_BREATH_S: Final = 0.002
"""How long after news it does not listen: of a flood of jobs, a worker hears this often."""

_LOOK: Final = 10 * SECOND
"""How old the last look at the server's clock may get."""


def attend(storage: Storage, clock: ServerClock | None, bell: Signal, ended: threading.Event) -> None:
    """Ring `bell`, which other threads may ring, at news of jobs, and keep `clock` right, until `ended`.

    While the store cannot be reached, neither is done: a worker looks for jobs by itself, and clocks go on.
    """
    watch = storage.watch() if isinstance(storage, Watchable) else None
    if watch is None and clock is None:
        return
    with closing(watch) if watch is not None else nullcontext():
        while not ended.is_set():
            try:
                if watch is None:
                    ended.wait(_TURN.seconds)
                elif watch.wait(_TURN):
                    bell.ring()
                    ended.wait(_BREATH_S)
                if clock is not None:
                    clock.look_after(_LOOK)
            except StorageError:
                ended.wait(_TURN.seconds)
