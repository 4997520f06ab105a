"""Handlers at the top of a module, as other processes can import them."""

import asyncio
import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jobsim


def where() -> list[int]:
    """Return this process and the one that started it."""
    return [os.getpid(), os.getppid()]


async def later(number: int) -> int:
    """Return after a moment, which an event loop alone can wait for."""
    await asyncio.to_thread(os.getpid)
    return number + 1


def told(context: jobsim.JobContext, number: int) -> list[object]:
    """Return what the context says."""
    return [str(context.id), context.attempt, context.deadline is not None, context.cancelled, number]


def fail(message: str) -> None:
    """Raise."""
    raise LookupError(message)


def discard() -> None:
    """Give the job up."""
    raise jobsim.Discard("the account is closed")


def snooze() -> None:
    """Ask to be run later."""
    raise jobsim.Snooze("90s")


def cancel() -> None:
    """Cancel the job."""
    raise jobsim.Cancel("not needed")


def retry_after() -> None:
    """Fail, with a wait."""
    raise jobsim.RetryAfter("7s")


def die(how: int) -> None:
    """End the process by a signal."""
    os.kill(os.getpid(), how)


def crash() -> None:
    """Read what is not there, as a broken extension would."""
    sys.stderr.flush()
    ctypes.string_at(0)


def leave(code: int) -> None:
    """End the process in order."""
    os._exit(code)


def stop_then_return() -> str:
    """Get the signals that a terminal sends to all processes."""
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGINT)
    return "here"


def hang(path: str) -> None:
    """Say who hangs, and do."""
    Path(path).write_text(str(os.getpid()))
    while True:
        time.sleep(60)  # noqa: TID251  # a handler of a user's


def start_and_hang(path: str) -> None:
    """Start a program that is given all files there are, say which, and wait for it."""
    program = subprocess.Popen(["sleep", "60"], close_fds=False)
    Path(path).write_text(str(program.pid))
    program.wait()


def fork_and_die(path: str) -> None:
    """Leave a process behind that hangs, say which, and crash."""
    child = os.fork()
    if not child:
        hang(path)
    while not Path(path).exists() or not Path(path).read_text():
        time.sleep(0.01)  # noqa: TID251  # a handler of a user's
    os.kill(os.getpid(), signal.SIGKILL)


def return_twice(number: int) -> int:
    """Return, in a fork as well."""
    os.fork()
    return number


def end_own_process(path: str) -> int | None:
    """Fork a process that hangs, end it by SIGTERM, and return how it ended."""
    process = multiprocessing.get_context("fork").Process(target=hang, args=(path,))
    process.start()
    while not Path(path).exists():
        time.sleep(0.01)  # noqa: TID251  # a handler of a user's
    process.terminate()
    process.join(5)
    return process.exitcode
