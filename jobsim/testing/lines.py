"""Lines of chosen functions, told of before they run: how a worker can die between any two of a handler."""

import inspect
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any

Reach = Callable[[CodeType, int], None]
"""Told of a line that is about to run; what it raises is raised there."""

Codes = Mapping[int, CodeType]
"""Code by its id, as equal lambdas on one line are two."""


def codes_of(*things: object) -> Codes:
    """Return the code of functions, of the methods of classes, and of all those defined in modules."""
    return {id(code): code for thing in things for top in _codes(thing) for code in _nested(top)}


def _codes(thing: object) -> Iterator[CodeType]:
    if isinstance(thing, ModuleType):
        mine = (each for each in vars(thing).values() if getattr(each, "__module__", None) == thing.__name__)
        for each in mine:
            yield from _codes(each)
    elif isinstance(thing, type):
        for each in vars(thing).values():
            yield from _codes(getattr(each, "__func__", each))
    else:
        function = _function(thing)
        if function is not None:
            yield function.__code__


def _function(thing: Any) -> FunctionType | None:
    """Return the function that calling `thing` comes to, below decorators and partial arguments."""
    while not isinstance(thing, FunctionType) or hasattr(thing, "__wrapped__"):
        if isinstance(thing, partial):
            thing = thing.func
        elif inspect.ismethod(thing):
            thing = thing.__func__
        elif hasattr(thing, "__wrapped__"):
            thing = thing.__wrapped__
        elif isinstance(type(thing).__call__, FunctionType):
            thing = type(thing).__call__
        else:
            return None
    return thing


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant)


def _header(code: CodeType) -> int:
    """Return the line of the ``def``, which some versions report though nothing of it runs; 0 if all do."""
    lines = {line for _, _, line in code.co_lines() if line is not None}
    return code.co_firstlineno if len(lines) > 1 else 0


if sys.version_info >= (3, 12):

    @contextmanager
    def watched(codes: Codes, reach: Reach) -> Iterator[None]:
        """Tell `reach` of every line of `codes` that this thread is about to run within."""
        monitoring, owner = sys.monitoring, threading.get_ident()
        line = monitoring.events.LINE
        both = (
            line | monitoring.events.PY_START
        )  # Python 3.13.0 tells of no line of a lambda without the latter
        headers = {code: _header(code) for code in codes.values()}

        def told(code: CodeType, number: int) -> None:
            if threading.get_ident() == owner and number != headers.get(code):
                reach(code, number)

        tool = next(number for number in (3, 4, 5, 2) if monitoring.get_tool(number) is None)
        monitoring.use_tool_id(tool, "jobsim")
        try:
            monitoring.register_callback(tool, line, told)
            for code in codes.values():
                monitoring.set_local_events(tool, code, both)
            yield
        finally:
            for code in codes.values():
                monitoring.set_local_events(tool, code, 0)
            monitoring.register_callback(tool, line, None)
            monitoring.free_tool_id(tool)

else:

    @contextmanager
    def watched(codes: Codes, reach: Reach) -> Iterator[None]:
        """Tell `reach` of every line of `codes` that this thread is about to run within.

        Nobody else, such as a debugger or a measurement of coverage, sees lines meanwhile.
        """

        def trace(frame: FrameType, event: str, _: object) -> Any:
            code = frame.f_code
            if id(code) not in codes:
                return None
            if event == "line" and frame.f_lineno != headers[id(code)]:
                reach(code, frame.f_lineno)
            return trace

        headers = {key: _header(code) for key, code in codes.items()}
        before = sys.gettrace()
        sys.settrace(trace)
        try:
            yield
        finally:
            sys.settrace(before)
