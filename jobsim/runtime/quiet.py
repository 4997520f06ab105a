"""What workers and stores log is news in production; in a simulated world it is what was asked for."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

_simulated: Final = ContextVar("jobsim_simulated", default=False)


def _is_news(_: logging.LogRecord) -> bool:
    return not _simulated.get()


for _name in ("jobsim.worker", "jobsim.storage"):
    logging.getLogger(_name).addFilter(_is_news)


@contextmanager
def unheard() -> Iterator[None]:
    """Let nothing be heard of lost leases, busy stores and the like while a simulation runs in this thread.

    Errors of a policy are: nobody has asked for those.
    """
    token = _simulated.set(True)
    try:
        yield
    finally:
        _simulated.reset(token)
