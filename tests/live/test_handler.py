"""Handlers: what can be one, how its kind is set up, and how its jobs are placed."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from jobsim.core.errors import ConfigError, PayloadError
from jobsim.core.job import JobId
from jobsim.core.policy import RetryPolicy
from jobsim.live.calls import Call
from jobsim.live.handler import Handler
from jobsim.live.placement import RESERVED, Placement
from jobsim.live.terms import Terms

TERMS = Terms(policy=RetryPolicy())


class Desk:
    """Keeps what handlers want enqueued."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, list[Call], Placement]] = []
        self.batches: list[int | None] = []

    def accept(
        self, kind: str, calls: Iterable[Call], placement: Placement, batch: int | None
    ) -> list[JobId]:
        """Take jobs and give them ids."""
        several = list(calls)
        self.taken.append((kind, several, placement))
        self.batches.append(batch)
        return [JobId(number) for number in range(len(several))]


def greet(name: str, times: int = 1) -> str:
    """Greet."""
    return f"Hello, {name}! " * times


def handler(fn: Callable[..., Any] = greet, kind: str = "greet") -> tuple[Handler[..., Any], Desk]:
    """Return a handler and where its jobs go."""
    desk = Desk()
    return Handler(desk.accept, kind, fn, TERMS), desk


def test_handler_is_still_the_function() -> None:
    """Called, it runs here and now; name and text are the function's; nothing is enqueued."""
    decorated, desk = handler()
    assert decorated("Ada", times=2) == "Hello, Ada! Hello, Ada! "
    assert vars(decorated)["__name__"] == "greet"
    assert decorated.__doc__ == "Greet."
    assert desk.taken == []


def test_enqueue_stores_the_call_and_its_place() -> None:
    """Positional and named arguments are stored by name; options are not arguments."""
    decorated, desk = handler()
    assert decorated.enqueue(
        "Ada", times=3, delay="5m", priority=2, queue="mail", max_attempts=None
    ) == JobId(0)
    ((kind, calls, placement),) = desk.taken
    assert (kind, calls) == ("greet", [Call('{"name":"Ada","times":3}')])
    assert placement == Placement(delay="5m", priority=2, queue="mail", max_attempts=None)


def test_enqueue_many_is_one_batch() -> None:
    """All calls go in together, with the same options."""
    decorated, desk = handler()
    ids = decorated.enqueue_many(({"name": name} for name in "ab"), delay=1)
    assert ids == [JobId(0), JobId(1)]
    assert desk.taken == [("greet", [Call('{"name":"a"}'), Call('{"name":"b"}')], Placement(delay=1))]
    assert desk.batches == [None]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ({"name": 7}, "call 1: greet: argument name: Input should be a valid string"),
        ({}, "call 1: greet: missing a required argument: 'name'"),
        ("Ada", "call 1: must be a mapping of arguments by name, not 'Ada'"),
    ],
)
def test_enqueue_many_takes_none_where_one_is_wrong(call: Any, said: str) -> None:
    """A wrong call is named by its place, and nothing is enqueued."""
    decorated, desk = handler()
    with pytest.raises(PayloadError) as error:
        decorated.enqueue_many([{"name": "a"}, call])
    assert str(error.value).startswith(said)
    assert desk.taken == []


def test_enqueue_many_names_no_place_where_there_is_one_call() -> None:
    """A wrong call that came alone is told without its place."""
    decorated, _ = handler()
    with pytest.raises(PayloadError, match=r"^greet: missing a required argument: 'name'"):
        decorated.enqueue_many([{}])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"delay": "soon"}, "delay: 'soon' is not a duration"),
        ({"delay": -1}, "delay: a duration cannot be negative"),
        ({"delay": 1, "run_at": datetime(2026, 1, 1, tzinfo=UTC)}, "delay and run_at: give one of the two"),
        ({"run_at": datetime(2026, 1, 1)}, "has no time zone"),  # noqa: DTZ001
        ({"run_at": "tomorrow"}, "run_at: must be a datetime with a time zone"),
        ({"priority": 1.5}, "priority: must be a whole number"),
        ({"priority": 2**31}, "priority: must be a whole number of at most 32 bits"),
        ({"priority": True}, "priority: must be a whole number"),
        ({"queue": ""}, "queue: '' cannot name a queue"),
        ({"queue": "a b"}, "queue: 'a b' cannot name a queue"),
        ({"queue": "x" * 65}, "at most 64"),
        ({"max_attempts": 0}, "max_attempts: must be a whole number, at least 1"),
        ({"unique_key": ""}, "unique_key: a key has 1 to 255 characters, not none"),
        ({"limit_key": "x" * 256}, "limit_key: a key has 1 to 255 characters, not one of 256"),
        ({"unique_key": "k", "on_conflict": "skipp"}, "did you mean 'skip'?"),
        ({"on_conflict": "raise"}, "on_conflict: it says what a taken unique_key means; give that, too"),
    ],
)
def test_options_that_cannot_be_used_are_named(options: dict[str, Any], said: str) -> None:
    """A wrong option is refused before anything is enqueued."""
    decorated, desk = handler()
    for enqueue in (partial(decorated.enqueue, "Ada"), partial(decorated.enqueue_many, [{"name": "Ada"}])):
        with pytest.raises(ConfigError) as error:
            enqueue(**options)
        assert said in str(error.value)
    assert desk.taken == []


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_a_parameter_may_not_hide_an_option(name: str) -> None:
    """A parameter called like an option of `enqueue` could not be given, so the declaration is refused."""
    scope: dict[str, Any] = {}
    exec(f"def fn({name}): ...", scope)
    with pytest.raises(ConfigError, match=f"enqueue has an option '{name}' of its own; rename the parameter"):
        handler(scope["fn"])


def _generator() -> Iterator[int]:
    yield 1


async def _async_generator() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("fn", "said"),
    [
        (_generator, "it has a yield"),
        (_async_generator, "it has a yield"),
        (42, "must be a function, not 42"),
        (str, "must be a function, not <class 'str'>"),
    ],
)
def test_what_is_no_function_is_refused(fn: Any, said: str) -> None:
    """A handler is a function that returns, sync or async."""
    with pytest.raises(ConfigError, match=said):
        handler(fn)


@pytest.mark.parametrize("kind", ["", "a b", "-a", "a\n", "x" * 129, "<lambda>", None])
def test_a_kind_has_a_plain_name(kind: Any) -> None:
    """A kind is written in commands and logs, so its name is plain."""
    with pytest.raises(ConfigError, match="cannot name a kind of job"):
        handler(kind=kind)


class _Callable:
    async def __call__(self, name: str) -> None: ...


async def _later(name: str) -> None: ...


@pytest.mark.parametrize(
    ("fn", "is_async"),
    [(greet, False), (_later, True), (partial(_later, name="a"), True), (_Callable(), True)],
)
def test_async_handlers_are_known(fn: Callable[..., Any], is_async: bool) -> None:
    """Whether a handler is awaited is seen through partials and callable objects."""
    decorated, _ = handler(fn)
    assert decorated.is_async is is_async


def test_one_call_is_not_taken_for_several() -> None:
    """A single mapping in place of several is told, not read letter by letter."""
    decorated, desk = handler()
    with pytest.raises(PayloadError, match="put it in a list"):
        decorated.enqueue_many({"name": "Ada"})  # type: ignore[dict-item]
    assert desk.taken == []


def test_a_misspelt_option_is_told() -> None:
    """What is neither an argument nor an option is refused with what could be meant, before all else."""
    decorated, desk = handler()
    with pytest.raises(PayloadError, match=r"no argument 'dely' \(did you mean 'delay'\?\)"):
        decorated.enqueue("Ada", dely=3)
    with pytest.raises(ConfigError, match=r"there is no option 'dely' \(did you mean 'delay'\?\)"):
        decorated.enqueue_many([{"name": "Ada"}], dely=3)  # type: ignore[call-arg]  # the mistake
    with pytest.raises(PayloadError, match=r"no argument 'dely'; it takes"):
        decorated.enqueue_many([{"name": "Ada", "dely": 3}])
    assert desk.taken == []


def test_keys_are_made_of_the_arguments_as_the_handler_will_see_them() -> None:
    """A declared key is a function of converted arguments and defaults; an option goes before it."""
    desk = Desk()

    def pay(order_id: int, tenant: str = "none") -> None: ...

    terms = Terms(
        policy=RetryPolicy(),
        unique_key=lambda order_id: f"pay-{order_id:04}",
        limit_key=lambda tenant: tenant,
    )
    pays = Handler(desk.accept, "pay", pay, terms)
    pays.enqueue("7")
    pays.enqueue(7, tenant="a", unique_key="mine")
    pays.enqueue_many([{"order_id": 1}, {"order_id": 2}], limit_key=lambda **all_: str(len(all_)))
    keys = [call[1:] for _, calls, _ in desk.taken for call in calls]
    assert keys == [("pay-0007", "none"), ("mine", "a"), ("pay-0001", "2"), ("pay-0002", "2")]


def test_a_key_of_what_is_no_parameter_is_refused_at_once() -> None:
    """A declaration whose key needs an argument that no job will have is refused."""
    terms = Terms(policy=RetryPolicy(), unique_key=lambda nme: nme)
    with pytest.raises(ConfigError, match=r"needs 'nme', which is no argument .* \(did you mean 'name'\?\)"):
        Handler(Desk().accept, "greet", greet, terms)


def test_enqueue_many_hands_calls_on_as_they_come() -> None:
    """Nothing of a long row of calls is read before it is wanted."""
    read: list[str] = []

    def calls() -> Iterator[dict[str, Any]]:
        for name in "abc":
            read.append(name)
            yield {"name": name}

    def accept(_kind: str, calls: Iterable[Call], _placement: Placement, batch: int | None) -> list[JobId]:
        assert (batch, read) == (2, [])
        next(iter(calls))
        return []

    Handler(accept, "greet", greet, TERMS).enqueue_many(calls(), batch=2)
    assert read == ["a"]
