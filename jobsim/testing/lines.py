"""Lines of chosen functions, told of before they run: how a worker can die between any two of a handler."""

import inspect
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, partial
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any

from jobsim.live.handler import Handler
from jobsim.testing.relay import Relay

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
            for part in _parts(thing, each):
                yield from _codes(part)
    else:
        for function in _functions(thing):
            yield function.__code__


def _parts(owner: type, member: Any) -> Iterator[object]:
    """Yield what a member of the class `owner` runs; a class that is only named there is none of its own."""
    if isinstance(member, property):
        yield from (member.fget, member.fset, member.fdel)
    elif isinstance(member, cached_property):
        yield member.func
    elif not isinstance(member, type) or member.__qualname__ == f"{owner.__qualname__}.{member.__name__}":
        yield getattr(member, "__func__", member)


def _functions(thing: Any) -> Iterator[FunctionType]:
    """Yield the functions that calling `thing` runs: itself, and those of the decorators around it."""
    if isinstance(thing, FunctionType):
        yield thing
    elif isinstance(thing, partial):
        yield from _functions(thing.func)
    elif inspect.ismethod(thing):
        yield from _functions(thing.__func__)
    elif isinstance(type(thing).__call__, FunctionType) and not isinstance(thing, Handler):
        yield from _functions(type(thing).__call__)
    if hasattr(thing, "__wrapped__"):
        yield from _functions(thing.__wrapped__)


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
        line, jump = monitoring.events.LINE, monitoring.events.JUMP
        # Python 3.13.0 tells of no line of a lambda without the start.
        events = line | jump | monitoring.events.PY_START
        headers = {code: _header(code) for code in codes.values()}

        def told(code: CodeType, number: int) -> None:
            if threading.get_ident() == owner and number != headers.get(code):
                reach(code, number)

        def jumped(code: CodeType, offset: int, to: int) -> None:
            number = _line_at(code, to)
            if to < offset and number is not None and number == _line_at(code, offset):
                told(code, number)  # a loop on one line, which is begun once and run again and again

        tool = next(number for number in (3, 4, 5, 2) if monitoring.get_tool(number) is None)
        monitoring.use_tool_id(tool, "jobsim")
        try:
            monitoring.register_callback(tool, line, told)
            monitoring.register_callback(tool, jump, jumped)
            for code in codes.values():
                monitoring.set_local_events(tool, code, events)
            yield
        finally:
            for code in codes.values():
                monitoring.set_local_events(tool, code, 0)
            monitoring.register_callback(tool, line, None)
            monitoring.register_callback(tool, jump, None)
            monitoring.free_tool_id(tool)

    def _line_at(code: CodeType, offset: int) -> int | None:
        return next((line for start, end, line in code.co_lines() if start <= offset < end), None)

else:

    @contextmanager
    def watched(codes: Codes, reach: Reach) -> Iterator[None]:
        """Tell `reach` of every line of `codes` that this thread is about to run within.

        Who traces already, such as a debugger or a measurement of coverage, goes on to see all.
        """
        headers = {key: _header(code) for key, code in codes.items()}

        def line(frame: FrameType) -> None:
            code = frame.f_code
            if id(code) in codes and frame.f_lineno != headers[id(code)]:
                reach(code, frame.f_lineno)

        def trace(frame: FrameType, event: str, _: object) -> Any:
            if id(frame.f_code) not in codes:
                return None
            if event == "line":
                line(frame)
            return trace

        before = sys.gettrace()
        if before is None:
            sys.settrace(trace)
            try:
                yield
            finally:
                sys.settrace(None)
            return
        relay = Relay(line, before)
        relay.begin()
        try:
            yield
        finally:
            relay.end()
