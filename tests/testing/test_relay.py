"""What traces already, as it is told of what runs while lines are watched."""

import bdb
import ctypes
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

from jobsim.core.errors import PowerLost
from jobsim.testing import App, explore_crashes
from jobsim.testing.lines import codes_of, watched

pytestmark = pytest.mark.skipif(sys.version_info >= (3, 12), reason="nobody takes another's place there")


_EVENTS = {0: "call", 2: "line", 3: "return"}
_SET_TRACE = ctypes.pythonapi.PyEval_SetTrace


def _in_c(tracer: "InC", frame: FrameType, event: int, _: int) -> int:
    tracer.note(frame, _EVENTS.get(event, ""))
    return 0


_IN_C = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.py_object, ctypes.c_int, ctypes.c_void_p)(
    _in_c
)


class InC:
    """A tracer as that of coverage: it keeps calls by number, and is told of them in C, once it is called."""

    def __init__(self) -> None:
        self.depth = 0
        self.lines: list[tuple[str, int]] = []
        self.least = 0

    def __call__(self, frame: FrameType, event: str, _: object) -> "InC":
        self.note(frame, event)
        if event == "call":
            _SET_TRACE(_IN_C, ctypes.py_object(self))
        return self

    def note(self, frame: FrameType, event: str) -> None:
        """Keep count."""
        if frame.f_code is InC.__call__.__code__:
            return  # which in coverage is C, and has no frame
        match event:
            case "call":
                self.depth += 1
            case "return":
                self.depth -= 1
                self.least = min(self.least, self.depth)
            case "line":
                self.lines.append((frame.f_code.co_name, self.depth))


class InPython(InC):
    """One that leaves a function of its own in each frame, and puts nothing back."""

    def __call__(self, frame: FrameType, event: str, _: object) -> Any:
        def local(frame: FrameType, event: str, _: object) -> Any:
            self.note(frame, event)
            return local

        self.note(frame, event)
        return local


def inner(steps: list[str]) -> None:
    steps.append("inner")


def handler(steps: list[str]) -> None:
    inner(steps)
    steps.append("end")


@contextmanager
def around(reach: Callable[..., None]) -> Generator[None]:
    with watched(codes_of(handler, inner), reach):
        yield


def live(reach: Callable[..., None]) -> list[str]:
    steps: list[str] = []
    try:
        with around(reach):
            handler(steps)
    except PowerLost:
        steps.append("died")
    return steps


def traced(tracer: InC, reach: Callable[..., None]) -> list[str]:
    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        return live(reach)
    finally:
        sys.settrace(before)


def die(*_: object) -> None:
    raise PowerLost


def die_within(code: Any, _: int) -> None:
    if code is inner.__code__:
        raise PowerLost


@pytest.mark.parametrize("kind", [InC, InPython])
@pytest.mark.parametrize(
    ("reach", "ends"), [(lambda *_: None, ["inner", "end"]), (die, ["died"]), (die_within, ["died"])]
)
def test_tracer_is_told_of_as_many_returns_as_calls(
    kind: type[InC], reach: Callable[..., None], ends: list[str]
) -> None:
    """Whether the worker dies or not, what it counts is even, and goes on in the frames below."""
    tracer = kind()
    assert traced(tracer, reach) == ends
    assert (tracer.depth, tracer.least) == (0, 0)
    of_caller = {depth for name, depth in tracer.lines if name == "live"}
    assert of_caller == {1}


def test_tracer_sees_the_lines_that_are_watched() -> None:
    """So a measurement of coverage has those of handlers."""
    tracer = InC()
    traced(tracer, lambda *_: None)
    assert [name for name, _ in tracer.lines if name in ("handler", "inner")] == [
        "handler",
        "inner",
        "handler",
    ]


def test_generator_that_outlives_the_watch_is_watched_no_more() -> None:
    """A tracer still hears of it."""

    def numbers() -> Generator[int]:
        yield 1
        yield 2

    def run() -> tuple[int, int]:
        with watched(codes_of(numbers), lambda _, line: seen.append(line)):
            generator = numbers()
            next(generator)
        return len(seen), next(generator)

    seen: list[int] = []
    tracer, before = InPython(), sys.gettrace()
    sys.settrace(tracer)
    try:
        assert run() == (1, 2)
    finally:
        sys.settrace(before)
    assert len(seen) == 1
    assert [name for name, _ in tracer.lines].count("numbers") == 2


class Debugger(bdb.Bdb):
    """One that goes on from each breakpoint."""

    hits = 0

    def user_line(self, frame: FrameType) -> None:
        self.hits += self.break_here(frame)
        self.set_continue()


def test_debugger_stops_in_a_handler_in_each_run() -> None:
    """Its breakpoints are those of a handler that runs, and nothing is missed of the crashes."""

    def test(app: App) -> None:
        app.register(handler)
        app.enqueue("handler", [])
        app.drain()

    debugger = Debugger()
    debugger.set_break(__file__, handler.__code__.co_firstlineno + 1)
    met = explore_crashes(test)
    before = sys.gettrace()
    try:
        assert debugger.runcall(explore_crashes, test) == met
    finally:
        sys.settrace(before)
    assert debugger.hits > met
