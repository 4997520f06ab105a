"""A trace function that passes on all that it is told to the one it takes the place of.

So a debugger stops in a handler, and a measurement of coverage sees it, while its lines are watched. Such
tools count calls and returns, in C or by what they leave in frames: each of them gets both of every frame.
"""

import sys
from collections.abc import Callable, Iterator
from inspect import currentframe
from types import FrameType
from typing import Any

Trace = Callable[[FrameType, Any, Any], Any]
"""As `sys.settrace` takes it."""

Line = Callable[[FrameType], None]
"""Told of a frame that is about to run a line; what it raises is raised there."""


class Relay:
    """Tells `line` of every line that this thread runs, and `other`, the trace function so far, of all.

    What `line` raises ends all tracing, as CPython has it, until `end` puts `other` back.
    """

    def __init__(self, line: Line, other: Trace) -> None:
        self._line = line
        self._other = other
        self._open: list[tuple[FrameType, Trace]] = []
        self._below: list[FrameType] = []
        self._marked: list[FrameType] = []
        self._over = False

    def begin(self) -> None:
        """Take the place of the other one."""
        self._below = _stack(currentframe())
        self._marked = [each for each in self._below if each.f_trace is None]
        for each in self._marked:  # what traces in C is told of its return by this alone
            each.f_trace = self._other
        sys.settrace(self._called)

    def end(self) -> None:
        """Give its place back to the other one."""
        died = sys.gettrace() is None
        self._over = True
        for each in self._marked:
            each.f_trace = None
        if died:
            self._close()
            for each in self._entered(currentframe()):
                each.f_trace = self._other(each, "call", None)
        sys.settrace(self._other)
        _call()  # by which a tracer that is written in C puts itself in the place of its Python face

    def _entered(self, frame: FrameType | None) -> Iterator[FrameType]:
        """Yield the frames that were entered after tracing had ended, the outermost first."""
        stack = _stack(frame)
        same = next(
            (n for n, (one, two) in enumerate(zip(stack, self._below, strict=False)) if one is not two),
            len(stack) - 1,
        )
        yield from stack[same:]

    def _called(self, frame: FrameType, event: str, value: object) -> Trace | None:
        told = self._other(frame, event, value)
        if sys.gettrace() != self._called:  # coverage's puts itself back at a call
            sys.settrace(self._called)
        if told is not None:
            self._open.append((frame, told))
        return self._local(told)

    def _local(self, told: Trace | None) -> Trace:
        def local(frame: FrameType, event: str, value: object) -> Trace | None:
            nonlocal told
            if self._over:
                return told and told(frame, event, value)
            if event == "line":
                self._line(frame)
            if event == "return" and self._open and self._open[-1][0] is frame:
                self._open.pop()
            if told is not None:
                told = told(frame, event, value)
            return local

        return local

    def _close(self) -> None:
        """Tell the other one of the returns that it has not heard of."""
        while self._open:
            frame, told = self._open.pop()
            told(frame, "return", None)


def _stack(frame: FrameType | None) -> list[FrameType]:
    """Return the frames that are left to return to, the outermost first."""
    found = []
    while frame is not None:
        found.append(frame)
        frame = frame.f_back
    return found[::-1]


def _call() -> None:
    pass
