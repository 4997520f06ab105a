"""The signals that stop workers: SIGTERM and SIGINT, where they are this process's to heed."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

_STOPPING: Final = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def heeding(stop: Callable[[Callable[[], None]], None]) -> Iterator[None]:
    """Have a signal call `stop`, with what lets signals mean again what they meant before.

    Left alone is one that is ignored, as in a shell's background job, and one whose handler is not Python's:
    the program around this Python has that, and it could not be put back. For the main thread only.
    """
    found = {number: signal.getsignal(number) for number in _STOPPING}
    before = {number: h for number, h in found.items() if h is not None and h is not signal.SIG_IGN}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def heed(_number: int, _frame: FrameType | None) -> None:
        stop(restore)

    for number in before:
        signal.signal(number, heed)
    try:
        yield
    finally:
        restore()
