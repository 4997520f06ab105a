import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsim.core.errors import ConfigError
from jobsim.core.outcome import ERROR_TEXT_LIMIT, Cancel, Error, RetryAfter, Snooze, error_name
from jobsim.core.time import duration


class Speechless(ConnectionError):
    """An error that cannot be printed."""

    def __str__(self) -> str:
        raise RuntimeError("no")


def test_error_keeps_name_message_and_lineage() -> None:
    """An exception becomes its qualified name, its text and the names of all its bases."""
    error = Error.of(json.JSONDecodeError("bad", "x", 0))
    assert error.kind == "json.decoder.JSONDecodeError"
    assert error.message == "bad: line 1 column 1 (char 0)"
    assert error.lineage == ("json.decoder.JSONDecodeError", "ValueError", "Exception", "BaseException")
    assert str(error) == "json.decoder.JSONDecodeError: bad: line 1 column 1 (char 0)"


def test_error_without_message_is_its_name() -> None:
    """There is no dangling colon."""
    assert str(Error.of(KeyboardInterrupt())) == "KeyboardInterrupt"


@given(st.text(max_size=50), st.integers(0, 3 * ERROR_TEXT_LIMIT))
def test_error_text_is_bounded(text: str, times: int) -> None:
    """No more of a message is kept than the limit, whatever the handler raised."""
    assert len(Error.of(ValueError(text * times)).message) <= ERROR_TEXT_LIMIT


def test_error_survives_an_exception_that_cannot_be_printed() -> None:
    """A __str__ that raises costs the message, not the job."""
    error = Error.of(Speechless())
    assert error.message == "(its message could not be read: __str__ raised)"
    assert error.is_a("ConnectionError")


@pytest.mark.parametrize(
    ("name", "matches"),
    [
        ("json.decoder.JSONDecodeError", True),
        ("decoder.JSONDecodeError", True),
        ("JSONDecodeError", True),
        ("ValueError", True),
        ("BaseException", True),
        ("Error", False),
        ("TypeError", False),
        ("", False),
    ],
)
def test_error_is_a_matches_whole_names_of_the_lineage(name: str, matches: bool) -> None:
    """Qualified or bare, itself or a base; never a part of a word."""
    assert Error.of(json.JSONDecodeError("bad", "x", 0)).is_a(name) is matches


def test_error_without_lineage_is_a_its_kind() -> None:
    """An error read from a file or a store may know nothing but its name."""
    assert Error("x.Y").is_a("Y")
    assert not Error("x.Y").is_a("x")


def test_error_name_of_builtins_is_bare() -> None:
    """Only what is really built in goes without its module."""
    impostor = type("ValueError", (Exception,), {"__module__": "shop"})
    assert error_name(ValueError) == "ValueError"
    assert error_name(json.JSONDecodeError) == "json.decoder.JSONDecodeError"
    assert error_name(impostor) == "shop.ValueError"
    assert error_name("shop.Odd") == "shop.Odd"


@pytest.mark.parametrize(
    "raised", [RetryAfter("5s", "busy"), RetryAfter(5), Snooze("1h"), Cancel("obsolete"), Cancel()], ids=repr
)
def test_what_a_handler_raises_can_be_rebuilt_from_its_arguments(raised: Exception) -> None:
    """Frameworks clone exceptions by type and args; nothing is lost by it."""
    again = type(raised)(*raised.args)
    assert vars(again) == vars(raised)
    assert str(again) == str(raised)


def test_retry_after_and_snooze_read_durations() -> None:
    """They take what people write, and refuse the rest where it is raised."""
    assert RetryAfter("5s").delay == duration("5s")
    assert str(RetryAfter("5s")) == "retry after 5s"
    assert str(RetryAfter("5s", "busy")) == "busy"
    assert Snooze(90).delay == duration("90s")
    with pytest.raises(ConfigError, match="RetryAfter: a duration cannot be negative"):
        RetryAfter(-1)
    with pytest.raises(ConfigError, match="Snooze: '5' has no unit"):
        Snooze("5")
