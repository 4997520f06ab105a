"""What a process that waits is made of, as a value: equal prints, equal further course.

A coroutine stands at an instruction, with its variables and what its evaluation has put aside; CPython's
garbage collector knows them all. From there everything that can change is followed, through the objects of
the engine down to plain values, with a number for each thing that is met again.
"""

import gc
from collections import deque
from collections.abc import Callable
from enum import Enum
from types import (
    BuiltinFunctionType,
    CellType,
    CodeType,
    CoroutineType,
    FrameType,
    FunctionType,
    GeneratorType,
    MethodType,
    ModuleType,
    NoneType,
)
from typing import Any, Final

from jobsim.core.decide import Decision, Settlement
from jobsim.core.job import Lease, NewJob
from jobsim.core.policy import RetryPolicy
from jobsim.core.streams import Streams
from jobsim.worker.settings import WorkerSettings

_PLAIN: Final = (
    *(NoneType, int, float, str, bytes, frozenset, Enum, type, ModuleType, CodeType),
    *(Lease, NewJob, Settlement, Decision),
)
"""Values without parts that change."""

_SAME: Final = (RetryPolicy, Streams, WorkerSettings)
"""What stays as it is, and is the same for all processes in one role."""


def print_of(state: tuple[object, ...]) -> tuple[Any, ...]:
    """Return the print of `state`, which may be compared with those of others in the same role."""
    printer = _Printer()
    printer.follow(state)
    return tuple(printer.marks)


class _Printer:
    def __init__(self) -> None:
        self.marks: list[Any] = []
        self._met: dict[int, int] = {}
        self._kept: list[object] = []  # so that no id is another's

    def follow(self, thing: Any) -> None:
        """Add what `thing` is, as far as it can change."""
        kind = type(thing)
        followed = _way(kind)
        if followed is None:
            self.marks += (kind, thing)
        elif kind is tuple:
            self.all(thing)
        else:
            self._follow(thing, followed)

    def _follow(self, thing: Any, followed: "_Way") -> None:
        number = self._met.setdefault(id(thing), len(self._kept))
        if number < len(self._kept):
            self.marks += (_Printer, number)
            return
        self._kept.append(thing)
        followed(self, thing)

    def all(self, things: Any) -> None:
        """Add what several things are."""
        self.marks += (type(things), len(things))
        for thing in things:
            self.follow(thing)


_Way = Callable[[_Printer, Any], None]
"""Adds the parts of a thing that was not met before."""

_ways: Final[dict[type, _Way | None]] = {}
_slots_of: Final[dict[type, list[str]]] = {}


def _way(kind: type) -> _Way | None:
    """Return how things of a kind are followed; `None`: they have no parts that change."""
    if kind not in _ways:
        found = next((way for kinds, way in _WAYS if issubclass(kind, kinds)), _object)
        _ways[kind] = None if issubclass(kind, _PLAIN) else found
    return _ways[kind]


def _same(printer: _Printer, thing: Any) -> None:
    printer.marks.append(id(thing))


def _set(printer: _Printer, thing: Any) -> None:
    printer.marks.append(frozenset(thing))  # of ids and names, in the engine


def _dict(printer: _Printer, thing: Any) -> None:
    printer.all(list(thing.items()))


def _suspended(printer: _Printer, thing: Any) -> None:
    frame = thing.cr_frame if isinstance(thing, CoroutineType) else thing.gi_frame
    if frame is None:
        printer.marks.append("over")
        return
    printer.marks += (frame.f_code, frame.f_lasti)
    del frame
    printer.all([part for part in gc.get_referents(thing) if type(part) is not FrameType])


def _function(printer: _Printer, thing: Any) -> None:
    printer.marks.append(thing.__code__)
    printer.all(thing.__closure__ or ())


def _cell(printer: _Printer, thing: Any) -> None:
    printer.all(gc.get_referents(thing))  # none, where no value was put into it


def _method(printer: _Printer, thing: Any) -> None:
    printer.marks.append(thing.__name__)
    printer.follow(thing.__self__)


def _error(printer: _Printer, thing: Any) -> None:
    printer.marks.append(type(thing))
    printer.all(thing.args)


def _object(printer: _Printer, thing: Any) -> None:
    kind = type(thing)
    printer.marks.append(kind)
    attributes = dict(getattr(thing, "__dict__", ()))
    for name in _slots(kind):
        if hasattr(thing, name):
            attributes[name] = getattr(thing, name)
    if not attributes and kind.__module__ == "builtins":
        printer.follow(thing.__reduce__())  # an iterator
    for name, value in attributes.items():
        if name != "clock":  # which is set anew before each step
            printer.marks.append(name)
            printer.follow(value)


def _slots(kind: type) -> list[str]:
    if kind not in _slots_of:
        _slots_of[kind] = [name for base in kind.__mro__ for name in vars(base).get("__slots__", ())]
    return _slots_of[kind]


_WAYS: Final[list[tuple[type | tuple[type, ...], _Way]]] = [
    (_SAME, _same),
    ((tuple, list, deque), _Printer.all),
    (dict, _dict),
    (set, _set),
    ((CoroutineType, GeneratorType), _suspended),
    (FunctionType, _function),
    (CellType, _cell),
    ((MethodType, BuiltinFunctionType), _method),
    (BaseException, _error),
]
