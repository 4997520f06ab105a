"""Unique keys and limit keys: given as they are, or as a function of a call's arguments."""

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from jobsim.core.errors import ConfigError, PayloadError, did_you_mean
from jobsim.core.job import KEY_LENGTH

_BY_NAME: Final = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_NAMELESS: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL)


@dataclass(frozen=True, slots=True)
class Key:
    """The key of every call, as a text or as a function that takes those of the arguments that it names.

    `name` is that of the option it was given as, for errors.

    Raises:
        ConfigError: it is neither.
    """

    source: str | Callable[..., str | None]
    name: str
    _needs: frozenset[str] = field(init=False, compare=False)
    _takes: frozenset[str] | None = field(init=False, compare=False)  # None: whatever there is

    def __post_init__(self) -> None:
        parameters: list[inspect.Parameter] = []
        if callable(self.source):
            parameters = _parameters(self.source, self.name)
        else:
            self._check(self.source)
        named = [p for p in parameters if p.kind in _BY_NAME]
        every = any(p.kind is p.VAR_KEYWORD for p in parameters)
        needs = frozenset(p.name for p in named if p.default is p.empty)
        object.__setattr__(self, "_needs", needs)
        object.__setattr__(self, "_takes", None if every else frozenset(p.name for p in named))

    @classmethod
    def of(cls, written: "KeyLike | None", name: str) -> Self | None:
        """Return the key that was `written` as the option `name`.

        Raises:
            ConfigError: it is neither a text nor a function.
        """
        return written if written is None or isinstance(written, cls) else cls(written, name)  # type: ignore[arg-type]

    def check(self, arguments: Collection[str]) -> None:
        """Refuse a function that needs what is not among the names of the `arguments` of a kind.

        Raises:
            ConfigError: it does.
        """
        if missing := self._missing(arguments):
            raise ConfigError(missing)

    def _missing(self, arguments: Collection[str]) -> str:
        strange = next((name for name in sorted(self._needs) if name not in arguments), None)
        if strange is None:
            return ""
        return (
            f"{self.name}: its function needs {strange!r}, which is no argument of the job"
            f"{did_you_mean(strange, arguments)}"
        )

    def for_call(self, arguments: Mapping[str, Any]) -> str | None:
        """Return the key of a call with `arguments`; `None` where the function says that it has none.

        Raises:
            PayloadError: an argument is missing.
            ConfigError: what the function returns cannot be a key.
        """
        if not callable(self.source):
            return self.source
        if missing := self._missing(arguments):
            raise PayloadError(missing)
        takes = arguments if self._takes is None else self._takes & arguments.keys()
        key = self.source(**{name: arguments[name] for name in takes})
        if key is not None:
            self._check(key)
        return key

    def _check(self, key: object) -> None:
        if not isinstance(key, str):
            raise ConfigError(f"{self.name}: a key must be text, not {key!r}; {_hint(key)}")
        if not 1 <= len(key) <= KEY_LENGTH:
            shown = f"one of {len(key):,}" if key else "none"
            raise ConfigError(f"{self.name}: a key has 1 to {KEY_LENGTH} characters, not {shown}")
        if "\0" in key or not _is_unicode(key):
            raise ConfigError(f"{self.name}: {key!r} holds a character that not every store can keep")


KeyLike = str | Callable[..., str | None] | Key


def _hint(key: object) -> str:
    return (
        f"write {str(key)!r}" if isinstance(key, int) else "or a function of the arguments that returns one"
    )


def _parameters(function: Callable[..., Any], name: str) -> list[inspect.Parameter]:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except ValueError:
        parameters = []
        shown = repr(function)
    else:
        shown = next((repr(str(p)) for p in parameters if p.kind in _NAMELESS), "")
    if shown:
        raise ConfigError(
            f"{name}: a function takes the arguments of the job by name, such as lambda order_id: "
            f"f'order-{{order_id}}'; {shown} has no name for them"
        )
    return parameters


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
