"""The process that runs handlers for a worker, one attempt at a time, until the worker is gone."""

import asyncio
import logging
import os
import runpy
import signal
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache, partial
from importlib import import_module
from operator import attrgetter
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any, Final

from jobsim.core.errors import JobsimError
from jobsim.core.outcome import Outcome
from jobsim.core.policy import RetryPolicy
from jobsim.live.context import JobContext
from jobsim.live.handler import Handler
from jobsim.live.outcomes import raised, run_async, run_sync
from jobsim.live.terms import Terms
from jobsim.live.tracing import carried_on
from jobsim.live.wire import BEGUN, Origin, Request, Told, reply

SCRIPT: Final = "__jobsim_main__"
"""The name under which the worker's script runs here, so that it does not start another worker."""


def serve(number: int, level: int) -> None:
    """Make the attempts asked for on the socket `number`, and log to stderr from `level` on."""
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    # Signals are for the worker, which lets attempts end; a group of processes gets them all the same.
    heeded = {name: signal.signal(name, lambda *_: None) for name in (signal.SIGINT, signal.SIGTERM)}
    requests: SimpleQueue[str] = SimpleQueue()
    connection = socket.socket(fileno=number)
    connection.set_inheritable(False)
    os.register_at_fork(after_in_child=partial(_let_go, connection, heeded))
    threading.Thread(target=_listen, args=(connection, requests), daemon=True).start()
    while True:
        request = Request.of(requests.get())
        connection.sendall(_made(request, partial(connection.sendall, BEGUN.encode())).encode())


def _let_go(connection: socket.socket, heeded: Mapping[signal.Signals, Any]) -> None:
    """Have a fork that a handler has made heed signals, and neither answer in our place nor hold the socket.

    The socket's end is how the worker hears of ours.
    """
    for name, handler in heeded.items():
        signal.signal(name, handler)
    with suppress(OSError):  # a fork's fork
        os.close(connection.detach())


def _listen(connection: socket.socket, requests: "SimpleQueue[str]") -> None:
    """Hand on what the worker asks for; with it, end the process and all that handlers have started."""
    with connection.makefile(encoding="utf-8", newline="\n") as lines:
        for line in lines:
            requests.put(line)
    os.killpg(os.getpid(), signal.SIGKILL)


def _made(request: Request, begin: Callable[[], None]) -> str:
    """Make an attempt, and return what there is to be said of it; `begin` is called once all is imported."""
    records = _Records()
    log = logging.getLogger("jobsim.worker")
    log.addHandler(records)
    log.propagate = False  # the worker logs them
    try:
        return reply(_attempt(request, begin), records.told)
    finally:
        log.removeHandler(records)
        log.propagate = True


def _attempt(request: Request, begin: Callable[[], None]) -> Outcome:
    context = JobContext(request.lease, request.deadline)
    try:
        handler = _handler(request)
    except BaseException as error:  # noqa: BLE001  # whatever a user's module does when it is imported
        return raised(error, context)
    begin()
    payload = request.lease.payload
    with carried_on(request.lease.headers):
        if handler.is_async:
            return asyncio.run(run_async(handler, context, payload))
        return run_sync(handler, context, payload)


def _handler(request: Request) -> Handler[..., Any]:
    return _declared(request.origin, request.lease.kind, request.keep_result, request.payload_limit)


@cache
def _declared(origin: Origin, kind: str, keep_result: bool, limit: int) -> Handler[..., Any]:  # noqa: FBT001
    found = attrgetter(origin.name)(_module(origin))
    terms = Terms(policy=RetryPolicy(), keep_result=keep_result, payload_limit=limit)
    handler = Handler(_refuse, kind, found.fn if isinstance(found, Handler) else found, terms)
    handler.arguments.check()  # which loads what reads payloads, before it is the handler's time
    return handler


def _refuse(*_: object) -> Any:
    raise JobsimError("this handler only runs jobs")


@cache
def _module(origin: Origin) -> Any:
    if not origin.is_script:
        return import_module(origin.module)
    return SimpleNamespace(**runpy.run_path(origin.module, run_name=SCRIPT))


class _Records(logging.Handler):
    """Keeps what is said of the attempt, with its tracebacks."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(message)s"))
        self.told: list[Told] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append(Told(record.levelno, self.format(record)))
