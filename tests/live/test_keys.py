"""Keys: as they are, or made of arguments."""

from collections.abc import Callable
from operator import itemgetter
from typing import Any

import pytest

from jobsim.core.errors import ConfigError, PayloadError
from jobsim.live.keys import Key

CALL = {"order_id": 7, "tenant": "é", "note": None}


@pytest.mark.parametrize(
    ("source", "key"),
    [
        ("nightly", "nightly"),
        (lambda: "always", "always"),
        (lambda order_id: f"order-{order_id}", "order-7"),
        (lambda tenant, *, order_id: f"{tenant}/{order_id}", "é/7"),
        (lambda order_id, shop="x": f"{order_id}{shop}", "7x"),
        (lambda **call: "+".join(sorted(call)), "note+order_id+tenant"),
        (lambda note: note, None),
        ("x" * 255, "x" * 255),
    ],
)
def test_a_function_gets_the_arguments_that_it_names(source: Any, key: str | None) -> None:
    """A text is the key of every call; a function takes what it wants of the arguments, and may give none."""
    assert Key(source, "unique_key").for_call(CALL) == key


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("", "unique_key: a key has 1 to 255 characters, not none"),
        ("x" * 256, "unique_key: a key has 1 to 255 characters, not one of 256"),
        ("a\0b", "not every store can keep"),
        ("\ud800", "not every store can keep"),
        (7, "a key must be text, not 7; write '7'"),
        (("order", 7), "or a function of the arguments"),
        (itemgetter("order_id"), "takes the arguments of the job by name"),
        (lambda order_id, /: order_id, "'order_id' has no name for them"),
        (lambda *call: call, r"'\*call' has no name for them"),
        (str, "takes the arguments of the job by name"),
    ],
)
def test_what_can_be_no_key_is_refused(source: Any, said: str) -> None:
    """A key is text of 1 to 255 characters that every store can keep, or a function that gives it one."""
    with pytest.raises(ConfigError, match=said):
        Key(source, "unique_key")


@pytest.mark.parametrize("made", ["", 7, "x" * 256])
def test_what_a_function_makes_is_checked(made: Any) -> None:
    """A key that is made of arguments is held to the same rules."""
    with pytest.raises(ConfigError, match=r"limit_key: a key (must be text|has 1 to 255 characters)"):
        Key(lambda: made, "limit_key").for_call({})


def test_a_call_without_what_a_key_needs_is_told() -> None:
    """The argument that is missing is named, with the one that could be meant."""
    key = Key(lambda oder_id: oder_id, "unique_key")
    with pytest.raises(PayloadError, match=r"needs 'oder_id', .*\(did you mean 'order_id'\?\)"):
        key.for_call(CALL)
    with pytest.raises(ConfigError, match="needs 'oder_id'"):
        key.check(CALL.keys())


def test_keys_of_one_source_are_equal() -> None:
    """Whether a key was read before or is read now makes no difference."""
    source: Callable[..., str] = lambda: "a"  # noqa: E731  # one object, as callers have it
    assert Key.of(Key(source, "limit_key"), "limit_key") == Key.of(source, "limit_key")
    assert Key.of(None, "limit_key") is None
