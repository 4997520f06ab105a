"""Several worker processes under one: those that die are replaced, and all are stopped together."""

import logging
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Final

from jobsim.core.backoff import Exponential
from jobsim.core.streams import Purpose, Streams
from jobsim.core.time import SECOND, Duration, Instant
from jobsim.live.processes import ended_by
from jobsim.live.signals import heeding
from jobsim.runtime.live import GLANCE_S, elapsed

LIFELINE: Final = "JOBSIM_LIFELINE"
"""Names the file descriptor whose end tells a worker process that its supervisor is gone."""

PLACE: Final = "JOBSIM_PLACE"
"""Names which of its supervisor's processes one is, from 1; another that replaces it is the same."""

_DELAYS: Final = Exponential(base="1s", cap="30s", jitter="equal")
_SETTLED: Final = Duration(60 * SECOND)
"""A process that has lived for this long died of something new."""

_NEVER: Final = Instant(0)
_NO_DELAY: Final = Duration(0)

_log: Final = logging.getLogger("jobsim.worker")


@dataclass(slots=True)
class _Place:
    """One of the processes that are to be there, and how often it has died in a row."""

    number: int
    process: "subprocess.Popen[bytes] | None" = None
    began: Instant = _NEVER
    deaths: int = 0
    delay: Duration = _NO_DELAY
    due: Instant | None = None


@dataclass(slots=True)
class Supervisor:
    """Keeps `count` processes of `command` going until stopped; one that ends in order is not replaced.

    A process that dies is replaced after a while, a longer one each time that it dies soon. `unusable` are
    the exit codes by which a process says that another would fare no better: the first ends them all.
    """

    command: Sequence[str]
    count: int
    unusable: frozenset[int] = frozenset()
    _ends: "SimpleQueue[tuple[_Place, int] | None]" = field(default_factory=SimpleQueue)
    _signals: int = 0
    _code: int = 0
    _streams: Streams = field(default_factory=Streams)

    def run(self) -> int:
        """Start the processes, and return the exit code of the whole once they have all ended.

        SIGTERM and SIGINT are passed on as SIGTERM: the first lets running attempts end, the second gives
        them back at once.
        """
        places = [_Place(number) for number in range(1, self.count + 1)]
        lifeline, held = os.pipe()
        try:
            with heeding(lambda _: self._stop(places)):
                for place in places:
                    self._start(place, lifeline)
                while any(place.process is not None or place.due is not None for place in places):
                    self._attend(places, lifeline)
        finally:
            os.close(held)  # whoever is left stops by that
            os.close(lifeline)
        return self._code

    def _start(self, place: _Place, lifeline: int) -> None:
        place.due, place.began = None, elapsed()
        # Of a session of its own: Ctrl-C is for the supervisor, who passes it on once.
        process = subprocess.Popen(  # noqa: S603  # the command that this process was started by
            self.command,
            env={**os.environ, LIFELINE: str(lifeline), PLACE: str(place.number)},
            pass_fds=[lifeline],
            start_new_session=True,
        )
        place.process = process
        if self._signals:  # one came while it was started
            process.terminate()
        threading.Thread(target=lambda: self._ends.put((place, process.wait())), daemon=True).start()

    def _attend(self, places: Sequence[_Place], lifeline: int) -> None:
        """Wait for the next thing to happen, and do what is to be done then."""
        due = [max(0.0, (place.due - elapsed()) / SECOND) for place in places if place.due is not None]
        try:
            event = self._ends.get(timeout=min([GLANCE_S, *due]))
        except Empty:
            event = None
        if event is not None:
            place, code = event
            place.process = None
            self._ended(place, code, places)
        for place in places:
            if self._signals:
                place.due = None
            elif place.due is not None and place.due <= elapsed():
                self._start_again(place, lifeline)

    def _start_again(self, place: _Place, lifeline: int) -> None:
        try:
            self._start(place, lifeline)
        except OSError as error:  # what the system has too little of just now it may have later
            self._start_later(place, f"could not be started: {error}")

    def _ended(self, place: _Place, code: int, places: Sequence[_Place]) -> None:
        if self._signals or code == 0:
            # One that had not yet begun to work is ended by the signal itself.
            self._code = max(self._code, 0 if code == -signal.SIGTERM else abs(code))
            return
        if code in self.unusable:
            _log.error("worker process %d %s; all are stopped", place.number, ended_by(code))
            self._code = code
            self._stop(places)
            return
        self._start_later(place, ended_by(code))

    def _start_later(self, place: _Place, how: str) -> None:
        place.deaths = 1 if elapsed() - place.began > _SETTLED else place.deaths + 1
        jitter = self._streams.stream(Purpose.JITTER, place.number, place.deaths)
        place.delay = _DELAYS.delay(place.deaths, place.delay, jitter)
        place.due = Instant(elapsed() + place.delay)
        _log.warning("worker process %d %s; another starts in %s", place.number, how, place.delay.brief())

    def _stop(self, places: Sequence[_Place]) -> None:
        self._signals += 1
        for place in places:
            if place.process is not None:
                place.process.terminate()
        self._ends.put(None)  # there may be nothing left to wait for


def is_supervised() -> bool:
    """Return whether a supervisor has started this process."""
    return LIFELINE in os.environ


def place() -> int:
    """Return which of its supervisor's processes this is, from 1; 1 where there is no supervisor."""
    return int(os.environ.get(PLACE, "1"))


def follow_supervisor(stop: Callable[[], None]) -> None:
    """Call `stop` once the supervisor that started this process, if one did, is there no more."""
    lifeline = os.environ.pop(LIFELINE, "")

    def follow() -> None:
        os.read(int(lifeline), 1)  # nothing is ever written: it returns at the end
        stop()

    if lifeline:
        threading.Thread(target=follow, name="jobsim-supervisor", daemon=True).start()
