"""What people wrote, refused in the same words wherever it is of the same kind."""

from enum import StrEnum
from typing import TypeVar

from jobsim.core.errors import ConfigError, did_you_mean

W = TypeVar("W", bound=StrEnum)


def check_count(number: object, name: str) -> None:
    """Refuse what is no number of things of which there is one at least; `name` is what it was given as.

    Raises:
        ConfigError: it is not.
    """
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise ConfigError(f"{name}: must be a whole number, at least 1; not {number!r}")


def word_of(written: object, words: type[W], name: str) -> W:
    """Return which of `words` was `written`; `name` is what it was given as.

    Raises:
        ConfigError: none.
    """
    for word in words:
        if word == written:
            return word
    known = ", ".join(repr(word.value) for word in words)
    raise ConfigError(f"{name}: {written!r} is none of {known}{did_you_mean(str(written), words)}")
