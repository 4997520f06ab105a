"""A schedule as a short text, which can be copied from a failure and made again."""

from collections.abc import Iterable
from string import ascii_lowercase, ascii_uppercase, digits
from typing import Final

from jobsim.core.errors import ConfigError
from jobsim.testing.interleaving_scope import Scope

_DIGITS: Final = digits + ascii_lowercase + ascii_uppercase[:-1]
_MORE: Final = ascii_uppercase[-1]
"""Adds to the digit after it as many as there are digits."""


def token_of(scope: Scope, choices: Iterable[int]) -> str:
    """Return the token of a schedule: its scope, and which of all moves was made, step by step."""
    return f"{scope}-{''.join(_MORE * (n // len(_DIGITS)) + _DIGITS[n % len(_DIGITS)] for n in choices)}"


def read_token(token: str) -> tuple[Scope, list[int]]:
    """Return the scope and the choices that a token stands for.

    Raises:
        ConfigError: it is none.
    """
    scope, _, text = token.strip().partition("-")
    choices, more = list[int](), 0
    for digit in text:
        if digit == _MORE:
            more += len(_DIGITS)
        elif digit in _DIGITS:
            choices.append(more + _DIGITS.index(digit))
            more = 0
        else:
            raise ConfigError(f"{token!r} is no token of a schedule: {digit!r} stands for no move")
    return Scope.parse(scope), choices
