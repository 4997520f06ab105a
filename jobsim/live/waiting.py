"""Waiting for a database that is not there yet, as when all of a deployment starts at once."""

import logging
from collections.abc import Callable
from typing import Final

from jobsim.core.streams import Purpose, Streams
from jobsim.core.time import Duration, Instant
from jobsim.runtime.live import elapsed, now, pause
from jobsim.worker.calls import PATIENCE, RETRIED

_log: Final = logging.getLogger("jobsim.worker")


def reach(
    opened: Callable[[], object],
    patience: Duration,
    elapsed: Callable[[], Instant] = elapsed,
    pause: Callable[[Duration], None] = pause,
) -> None:
    """Call `opened` until it does not say that trying again may help; for `patience`, and not much longer.

    Raises:
        StorageError: it did not help, or could not.
    """
    waits = Streams().stream(Purpose.POLL, now())
    began, delay, tries = elapsed(), Duration(0), 0
    while True:
        try:
            opened()
        except RETRIED as error:
            left = Duration(max(0, began + patience - elapsed()))
            if not left:
                raise
            tries += 1
            delay = min(PATIENCE.delay(tries, delay, waits), left)
            _log.warning("%s; trying again in %s", error, delay.brief())
            pause(delay)
        else:
            return
