"""Lines of chosen functions, as they are told of."""

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from functools import cached_property, partial, update_wrapper, wraps
from types import CodeType
from typing import Any

import pytest

import jobsim
from jobsim.testing.lines import codes_of, watched


def plain(numbers: list[int]) -> int:
    total = 0
    for number in numbers:
        total += other(number)
    return total


def other(number: int) -> int:
    return number


def on_one_line(number: int) -> int: return number  # fmt: skip


def loop_on_one_line(numbers: list[int]) -> None:
    for number in numbers: other(number)  # noqa: E701  # fmt: skip


def comprehension(numbers: list[int]) -> list[int]:
    return [other(number) for number in numbers]


def nested() -> list[int]:
    def inner(number: int) -> Iterator[int]:
        yield number

    return [each + 1 for each in inner(1)]


async def awaits() -> None:
    await asyncio.sleep(0)  # noqa: TID251  # it is the handler's
    other(1)


def decorated(fn: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(fn)
    def outer(*args: Any) -> Any:
        return fn(*args)

    return outer


class Decorator:
    """What is put around a function, and is none itself."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.fn = fn
        update_wrapper(self, fn)

    def __call__(self, *args: Any) -> Any:
        return self.fn(*args)


class Service:
    """Something that can be called in several ways."""

    friend = Decorator

    def method(self) -> int:
        return other(1)

    @classmethod
    def of_class(cls) -> int:
        return other(2)

    @property
    def shown(self) -> int:
        return other(3)

    @cached_property
    def kept(self) -> int:
        return other(4)

    class Part:
        """A class within."""

        def method(self) -> int:
            return other(5)

    def __call__(self) -> int:
        return self.method()


def seen(run: Callable[[], object], *things: object) -> list[str]:
    """Return which lines of `things` were told of, as function and distance from its beginning."""
    told: list[str] = []

    def reach(code: CodeType, line: int) -> None:
        told.append(f"{code.co_name}+{line - code.co_firstlineno}")

    with watched(codes_of(*things), reach):
        run()
    return told


def test_each_line_is_told_of_each_time_it_runs() -> None:
    """In order, those of a loop again and again, those of other functions never."""
    lines = seen(lambda: plain([5, 6]), plain)
    assert lines == ["plain+1", "plain+2", "plain+3", "plain+2", "plain+3", "plain+2", "plain+4"]


def test_function_on_one_line_has_one_line() -> None:
    """A lambda, or a def whose body stands beside it."""
    nameless = lambda: other(1)  # noqa: E731  # that is what it is about
    assert seen(nameless, nameless) == ["<lambda>+0"]
    assert seen(lambda: on_one_line(1), on_one_line) == ["on_one_line+0"]


def test_loop_on_one_line_is_told_of_each_time_it_comes_round() -> None:
    """Before each number, and when there are no more; a comprehension may be a function, or may not."""
    assert seen(lambda: loop_on_one_line([5, 6]), loop_on_one_line) == ["loop_on_one_line+1"] * 3
    rounds = [len(seen(partial(comprehension, [5] * n), comprehension)) for n in (1, 2, 5)]
    assert (rounds[1] - rounds[0], rounds[2] - rounds[1]) == (1, 3)


def test_what_is_defined_within_is_part_of_a_function() -> None:
    """Inner functions, generators and comprehensions are as good as its own lines."""
    assert "inner+1" in seen(nested, nested)


def test_coroutine_is_seen_across_its_awaits() -> None:
    """It may be resumed as often as it likes; its def is no line of it."""
    assert seen(lambda: asyncio.run(awaits()), awaits) == ["awaits+1", "awaits+2"]


@pytest.mark.parametrize(
    ("thing", "run"),
    [
        (decorated(other), partial(other, 1)),
        (partial(decorated(other), 1), partial(other, 1)),
        (Service().method, Service().method),
        (Service.of_class, Service.of_class),
        (Service(), Service()),
        (Service, Service().method),
        (Service, lambda: Service().shown),
        (Service, lambda: Service().kept),
        (Service, Service.Part().method),
        (sys.modules[__name__], partial(plain, [])),
    ],
    ids=[
        "decorated",
        "partial",
        "method",
        "class method",
        "callable",
        "class",
        "property",
        "cached",
        "inner",
        "module",
    ],
)
def test_code_is_found_below_what_it_is_wrapped_in(thing: object, run: Callable[[], object]) -> None:
    """Decorators, partial arguments, methods, classes and modules all lead to functions."""
    assert seen(run, thing)


@pytest.mark.parametrize(
    ("thing", "lines"),
    [
        (decorated(other), ["outer+2", "other+1"]),
        (decorated(decorated(other)), ["outer+2", "outer+2", "other+1"]),
        (Decorator(other), ["__call__+1", "other+1"]),
        (partial(decorated(other)), ["outer+2", "other+1"]),
        (jobsim.Queue("sqlite://").job(decorated(other)), ["outer+2", "other+1"]),
    ],
    ids=["decorator", "two", "class", "partial", "handler"],
)
def test_decorators_are_part_of_what_they_are_around(thing: Callable[..., Any], lines: list[str]) -> None:
    """They do their part of the work each time, before it and after it; a handler's queue is none of them."""
    assert seen(lambda: thing(1), thing) == lines


def test_class_that_is_only_named_in_another_is_no_part_of_it() -> None:
    """It has lines of its own, which were not asked for."""
    assert seen(lambda: Service.friend(other)(1), Service) == []


@pytest.mark.parametrize("thing", [len, object(), 7], ids=["builtin", "object", "number"])
def test_what_is_not_written_in_python_has_no_code(thing: object) -> None:
    """Nothing is raised for it."""
    assert codes_of(thing) == {}


def test_what_is_raised_is_raised_in_the_line() -> None:
    """It passes the function as if the line had raised it, and all is as before afterwards."""

    def refuse(_: CodeType, line: int) -> None:
        raise KeyError(line)

    before = sys.gettrace()
    with pytest.raises(KeyError), watched(codes_of(other), refuse):
        other(1)
    assert sys.gettrace() is before
    assert other(1) == 1


def test_other_threads_are_not_watched() -> None:
    """A line counts where it is run by the thread that asked."""

    def run() -> None:
        thread = threading.Thread(target=other, args=(1,))
        thread.start()
        thread.join()

    assert seen(run, other) == []


def test_debugger_gets_its_place_back() -> None:
    """Whoever traced before does so afterwards."""
    frames: list[str] = []

    def debugger(frame: Any, *_: object) -> None:
        frames.append(frame.f_code.co_name)

    before = sys.gettrace()
    sys.settrace(debugger)
    try:
        seen(lambda: other(1), other)
        other(2)
    finally:
        sys.settrace(before)
    assert frames[-1] == "other"
