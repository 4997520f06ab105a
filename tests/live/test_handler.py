"""Handlers: what can be one, how its kind is set up, and how its jobs are placed."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

import jobsim
from jobsim.core.errors import ConfigError, PayloadError
from jobsim.core.job import JobId
from jobsim.core.policy import RetryPolicy
from jobsim.core.time import SECOND, Instant
from jobsim.live.handler import Handler, Placement, Terms, policy_of

TERMS = Terms(policy=RetryPolicy())


class Desk:
    """Keeps what handlers want enqueued."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, list[str], Placement]] = []

    def accept(self, kind: str, payloads: Sequence[str], placement: Placement) -> list[JobId]:
        """Take jobs and give them ids."""
        self.taken.append((kind, list(payloads), placement))
        return [JobId(number) for number in range(len(payloads))]


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
    ((kind, payloads, placement),) = desk.taken
    assert (kind, payloads) == ("greet", ['{"name":"Ada","times":3}'])
    assert placement == Placement(delay="5m", priority=2, queue="mail", max_attempts=None)


def test_enqueue_many_is_one_batch() -> None:
    """All calls go in together, with the same options."""
    decorated, desk = handler()
    ids = decorated.enqueue_many(({"name": name} for name in "ab"), delay=1)
    assert ids == [JobId(0), JobId(1)]
    assert desk.taken == [("greet", ['{"name":"a"}', '{"name":"b"}'], Placement(delay=1))]


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


def test_placement_says_when_a_job_starts() -> None:
    """Now, after a delay, or at a moment, which may have passed."""
    present = Instant(1_000 * SECOND)
    assert Placement().start(present) == present
    assert Placement(delay="1.5s").start(present) == present + 1_500_000
    assert Placement(delay=timedelta(minutes=1)).start(present) == present + 60 * SECOND
    assert Placement(run_at=datetime(1970, 1, 1, 0, 0, 7, tzinfo=UTC)).start(present) == 7 * SECOND


@pytest.mark.parametrize("name", ["delay", "run_at", "priority", "queue", "max_attempts", "unique_key"])
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


def test_retry_may_be_a_policy_a_backoff_or_a_preset() -> None:
    """The winner of a comparison is used as it is; `max_attempts` goes before its own."""
    backoff = jobsim.Exponential(base="1s", cap="30s", jitter="full")
    policy = RetryPolicy(backoff, max_attempts=3, max_age="1h")
    assert policy_of(policy, ...) is policy
    assert policy_of(policy, 7) == RetryPolicy(backoff, max_attempts=7, max_age="1h")
    assert policy_of(policy, None).max_attempts is None
    assert policy_of(backoff, ...) == RetryPolicy(backoff)
    assert policy_of("oban", ...) is jobsim.policies.oban
    assert policy_of(None, 1) == RetryPolicy(max_attempts=1)


@pytest.mark.parametrize(
    ("retry", "said"),
    [
        ("full_jiter", "did you mean 'full_jitter'?"),
        (jobsim.Exponential, "Exponential is a class; write Exponential(...)"),
        (3, "retry: 3 is no policy"),
    ],
)
def test_a_retry_that_is_none_is_told(retry: Any, said: str) -> None:
    """What is no policy is refused with what could be meant."""
    with pytest.raises(ConfigError) as error:
        policy_of(retry, ...)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"timeout": 0}, "timeout: must be longer than 0s"),
        ({"timeout": "fast"}, "timeout: 'fast' is not a duration"),
        ({"queue": "no spaces"}, "cannot name a queue"),
        ({"priority": "high"}, "priority: must be a whole number"),
    ],
)
def test_terms_that_cannot_be_used_are_refused(setting: dict[str, Any], said: str) -> None:
    """A setting of the kind is checked where it is declared."""
    with pytest.raises(ConfigError, match=said):
        Terms(policy=RetryPolicy(), **setting)


def test_one_call_is_not_taken_for_several() -> None:
    """A single mapping in place of several is told, not read letter by letter."""
    decorated, desk = handler()
    with pytest.raises(PayloadError, match="put it in a list"):
        decorated.enqueue_many({"name": "Ada"})  # type: ignore[dict-item]
    assert desk.taken == []
