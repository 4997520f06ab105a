"""What people wrote is refused in the same words everywhere."""

from enum import StrEnum

import pytest

from jobsim.core.breaker import Breaker
from jobsim.core.checks import check_count, word_of
from jobsim.core.errors import ConfigError


class Colour(StrEnum):
    """Words there are."""

    RED = "red"
    GREEN = "green"


@pytest.mark.parametrize("number", [0, -1, True, 1.0, "3", None])
def test_count_is_a_whole_number_from_one(number: object) -> None:
    """Neither a truth value nor a number that only looks whole counts things."""
    check_count(1, "slots")
    with pytest.raises(ConfigError, match=r"slots: must be a whole number, at least 1; not "):
        check_count(number, "slots")


@pytest.mark.parametrize("written", ["gren", None, 3, [], {}])
def test_word_is_one_of_those_there_are(written: object) -> None:
    """What is none is refused with those there are, be it no word at all."""
    assert word_of("green", Colour, "colour") is word_of(Colour.GREEN, Colour, "colour") is Colour.GREEN
    with pytest.raises(ConfigError, match=r"colour: .* is none of 'red', 'green'"):
        word_of(written, Colour, "colour")
    with pytest.raises(ConfigError, match=r"did you mean 'green'"):
        word_of("gren", Colour, "colour")


def test_setting_that_is_no_word_is_refused_in_a_sentence() -> None:
    """A list in the place of a word is no traceback."""
    with pytest.raises(ConfigError, match=r"stops: \['retries'\] is none of 'attempts', 'retries'"):
        Breaker(stops=["retries"])  # type: ignore[arg-type]
