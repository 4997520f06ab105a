"""Processes that handlers run in, so that a crash of one, or its end by force, costs one attempt."""

import inspect
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import IO, Any, Final

from jobsim.core.errors import ConfigError
from jobsim.core.outcome import Error, Failed, Outcome, Released
from jobsim.live.context import JobContext
from jobsim.live.wire import BEGUN, Origin, Request, read_reply

_PROGRAM: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[3]); "
    "from jobsim.live.child import serve; serve(int(sys.argv[1]), int(sys.argv[2]))"
)
"""Imports as this process does; its arguments are a socket, a level of logging, and where modules are."""

_log: Final = logging.getLogger("jobsim.worker")


def origin_of(fn: Callable[..., Any], kind: str) -> Origin:
    """Return where another process finds `fn`.

    Raises:
        ConfigError: it finds it nowhere.
    """
    inner = fn
    while isinstance(inner, partial):
        inner = inner.func
    name, module = getattr(fn, "__qualname__", ""), getattr(fn, "__module__", "")
    if inner is not fn or not name or "<" in name:
        raise ConfigError(
            f"{kind}: isolation='process' takes a function that another process can import by its name: "
            f"define it by def at the top of a module; {fn!r} is not"
        )
    if module != "__main__":
        return Origin(module, is_script=False, name=name)
    main: Any = sys.modules["__main__"]
    if getattr(main, "__spec__", None) is not None:
        return Origin(main.__spec__.name, is_script=False, name=name)
    try:
        return Origin(inspect.getfile(main), is_script=True, name=name)
    except TypeError:
        raise ConfigError(
            f"{kind}: isolation='process' takes a function of a module, and this one was typed into an "
            "interactive session; put it into a file and import it"
        ) from None


def ended_by(code: int) -> str:
    """Return what ended a process whose return code, as `subprocess` tells it, is `code`."""
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


class Child:
    """A process that makes one attempt at a time, and leads the group of all that handlers start there."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        level = logging.getLogger().getEffectiveLevel()
        places: list[object] = [*sys.path]  # of which the import system passes over what is no text
        texts = json.dumps([place for place in places if isinstance(place, str)])
        arguments = str(theirs.fileno()), str(level), texts
        try:
            with theirs:
                self._process = subprocess.Popen(  # noqa: S603  # this Python, and a program of our own
                    [sys.executable, "-c", _PROGRAM, *arguments],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,
                )
        except BaseException:
            ours.close()
            raise
        self._socket = ours
        self._lines: IO[str] = ours.makefile(encoding="utf-8", newline="\n")

    def attempt(self, request: Request, context: JobContext, begun: Callable[[], None]) -> Outcome | None:
        """Return how the attempt ended, and log what was said of it; `None` where the process is gone."""
        try:
            self._socket.sendall(request.line().encode())
            line = self._lines.readline()
            if line == BEGUN:
                begun()
                line = self._lines.readline()
        except OSError:
            line = ""
        if not line.endswith("\n"):
            return None
        outcome, told = read_reply(line)
        for record in told:
            _log.log(record.level, "%s", record.text, extra=context.about)
        return outcome

    @property
    def lives(self) -> bool:
        """Whether the process is there."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End the process and what it has started, whatever they do; not once it is buried."""
        with suppress(ProcessLookupError, PermissionError):  # they are gone, or another user's by now
            os.killpg(self._process.pid, signal.SIGKILL)

    def bury(self) -> str:
        """Wait for the end of a process that is killed or gone, and return what ended it."""
        self._lines.close()
        self._socket.close()
        return ended_by(self._process.wait())


class Children:
    """As many processes as attempts run in them at a time; those at rest are used again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[Child] = []
        self._busy: dict[JobContext, Child] = {}
        self._closed = False

    def attempt(self, request: Request, context: JobContext, begun: Callable[[], None]) -> Outcome:
        """Make an attempt in a process of its own and return how it ended; never raises.

        `begun` is called when the handler is, once the process has started and imported it. One that is
        `context.cancelled` before it has a process is not made.
        """
        try:
            child = self._taken(context)
        except OSError as error:
            return Failed(Error.of(error))
        if child is None:
            return Released()
        outcome = child.attempt(request, context, begun)
        with self._lock:
            del self._busy[context]
            if outcome is not None and not (self._closed or context.cancelled):
                self._idle.append(child)
                return outcome
        child.kill()
        end = child.bury()
        if outcome is not None:
            return outcome
        if not context.cancelled:
            _log.warning("%s failed: its process %s", context, end, extra=context.about)
        return Failed(Error("jobsim.ProcessDied", f"the handler's process {end}"))

    def kill(self, context: JobContext) -> None:
        """End the process of an attempt that is `context.cancelled`, if it has not ended; from any thread."""
        with self._lock:
            child = self._busy.get(context)
            if child is not None:
                child.kill()

    def _taken(self, context: JobContext) -> Child | None:
        with self._lock:
            if self._closed or context.cancelled:
                return None
            child = self._busy[context] = self._rested() or Child()
            return child

    def _rested(self) -> Child | None:
        while self._idle:
            child = self._idle.pop()
            if child.lives:
                return child
            child.bury()  # ended while it had nothing to do
        return None

    def close(self) -> None:
        """End all processes, those that run an attempt too."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            for child in self._busy.values():
                child.kill()
        for child in idle:
            child.kill()
            child.bury()
