"""Arguments and results as JSON text: what is accepted, and how it comes back."""

import inspect
import json
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Final, NotRequired

from jobsim.core.errors import ConfigError, PayloadError, did_you_mean
from jobsim.live.context import JobContext

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

SIZE_LIMIT: Final = 10_000_000
"""Longest payload or result unless a queue says otherwise, in bytes of UTF-8."""

SIZE_LIMITS: Final = range(1, 500_000_001)
"""What a queue may say: all stores can keep that much."""

DEPTH_LIMIT: Final = 64
"""Deepest nesting of lists and objects: every reader of JSON can follow that far."""

_SHORT: Final = 4_000
_SHOWN: Final = 60
_SUSPICIOUS: Final = re.compile("null|NaN|Infinity|u0000")

_UNNAMED: Final[Mapping[Any, str]] = {
    inspect.Parameter.POSITIONAL_ONLY: "is positional-only",
    inspect.Parameter.VAR_POSITIONAL: "takes any number of values",
    inspect.Parameter.VAR_KEYWORD: "takes any name",
}


class Arguments:
    """The arguments of one kind of job: bound to its handler's parameters, stored by name, read back.

    Raises:
        ConfigError: a parameter of `fn` has no name of its own to be stored by.
    """

    def __init__(self, kind: str, fn: Callable[..., Any]) -> None:
        self._kind = kind
        self._fn = fn
        self._signature, self._context = _stored(inspect.signature(fn))
        parameters = self._signature.parameters
        self._required = {name for name, p in parameters.items() if p.default is p.empty}
        for parameter in parameters.values():
            if why := _UNNAMED.get(parameter.kind):
                raise ConfigError(
                    f"{kind}: the parameter {str(parameter)!r} {why}, but arguments are stored by name; "
                    "name each one"
                )

    @property
    def names(self) -> list[str]:
        """The names of the parameters."""
        return list(self._signature.parameters)

    def context(self, context: JobContext) -> dict[str, JobContext]:
        """Return the argument that tells of the attempt, where the handler has a parameter for it."""
        return {} if self._context is None else {self._context: context}

    def bind(
        self, args: Sequence[Any], named: Mapping[str, Any], options: Collection[str] = ()
    ) -> dict[str, Any]:
        """Return the arguments of a call by name, without those left to their defaults.

        What is no argument may be one of the `options` that could stand beside them, misspelt.

        Raises:
            PayloadError: the handler cannot be called like that.
        """
        parameters = self._signature.parameters
        if not args and self._required <= named.keys() <= parameters.keys():
            return {name: named[name] for name in parameters if name in named}  # a third of what `bind` costs
        try:
            return dict(self._signature.bind(*args, **named).arguments)
        except TypeError as error:
            strange = next((name for name in named if name not in self.names), None)
            known = [*self.names, *options]
            wrong = error if strange is None else f"no argument {strange!r}{did_you_mean(strange, known)}"
            takes = self._signature.replace(return_annotation=inspect.Signature.empty)
            raise PayloadError(f"{self._kind}: {wrong}; it takes {takes}") from None

    def complete(self, text: str) -> dict[str, Any]:
        """Return the arguments that `text` spells, and the defaults of the others.

        Raises:
            PayloadError: it does not spell arguments of this handler.
        """
        parameters = self._signature.parameters.items()
        defaults = {name: p.default for name, p in parameters if p.default is not p.empty}
        return defaults | self.decode(text)

    def encode(self, arguments: Mapping[str, Any], limit: int = SIZE_LIMIT) -> str:
        """Return `arguments` as JSON text of at most `limit` bytes that `decode` is known to accept.

        Raises:
            PayloadError: they do not fit the annotations, or cannot be stored as JSON.
        """
        try:
            checked = self._adapter.validator.validate_python(arguments)
        except ValueError as error:
            raise self._wrong(error) from None
        text = encode(checked, self._kind, limit, self._adapter)
        self.decode(text)
        return text

    def decode(self, text: str) -> dict[str, Any]:
        """Return the arguments that `text` spells, as the annotations want them.

        Raises:
            PayloadError: it does not spell arguments of this handler.
        """
        try:
            arguments: dict[str, Any] = self._adapter.validator.validate_json(text)
        except ValueError as error:
            raise self._wrong(error) from None
        return arguments

    def _wrong(self, error: ValueError) -> Exception:
        """Return what to raise for what pydantic raised; it is imported here, as that costs every call."""
        from pydantic import ValidationError

        if isinstance(error, ValidationError):
            return PayloadError(f"{self._kind}: {_problems(error)}")
        return error

    def check(self) -> None:
        """Resolve the annotations, which may name what is defined later than the handler.

        Raises:
            ConfigError: an annotation names nothing, or a type that JSON cannot give.
        """
        _ = self._adapter

    @cached_property
    def _adapter(self) -> "TypeAdapter[Any]":
        from pydantic import ConfigDict, PydanticUserError, TypeAdapter
        from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

        try:
            parameters = inspect.signature(self._fn, eval_str=True).parameters
            fields = {
                name: annotation if parameter.default is parameter.empty else NotRequired[annotation]
                for name, parameter in parameters.items()
                if name != self._context
                for annotation in [Any if parameter.annotation is parameter.empty else parameter.annotation]
            }
            make: Any = TypedDict  # a checker takes it for a declaration, not for the function it is
            shape = make("shape", fields)
            shape.__pydantic_config__ = ConfigDict(extra="forbid")
            return TypeAdapter(shape)
        except NameError as error:
            raise ConfigError(f"{self._kind}: an annotation cannot be resolved: {error}") from None
        except PydanticUserError as error:
            why = error.message.partition(". ")[0]
            raise ConfigError(f"{self._kind}: an argument cannot be read from JSON: {why}") from None


def _stored(signature: inspect.Signature) -> tuple[inspect.Signature, str | None]:
    """Return the signature of what is stored, and the name of the parameter that a `JobContext` is for."""
    names = [name for name, p in signature.parameters.items() if _is_context(p.annotation)]
    kept = [p for name, p in signature.parameters.items() if name not in names[:1]]
    return signature.replace(parameters=kept), names[0] if names else None


def _is_context(annotation: object) -> bool:
    return annotation is JobContext or (
        isinstance(annotation, str) and annotation.rpartition(".")[2] == JobContext.__name__
    )


def encode(value: Any, what: str, limit: int = SIZE_LIMIT, adapter: "TypeAdapter[Any] | None" = None) -> str:
    """Return `value` as JSON text of at most `limit` bytes; `what` names it in errors.

    Its type is what `adapter` says, or its own.

    Raises:
        PayloadError: it has no JSON form, or one that is too long or too deep.
    """
    adapter = adapter or _untyped()
    try:
        data = adapter.dump_json(value)
        text = data.decode()
        if _is_suspicious(text):
            plain = adapter.dump_python(value, mode="json")
            _check(plain, DEPTH_LIMIT)
            _check_numbers(adapter.dump_python(value))
            json.dumps(plain)  # finds numbers too long to be read
    except (ValueError, RecursionError) as error:
        raise PayloadError(f"{what}: this cannot be stored as JSON: {error}") from None
    if len(data) > limit:
        raise PayloadError(
            f"{what}: as JSON this is {len(data):,} bytes long; the limit is {limit:,}; store it elsewhere "
            "and pass its name, or raise the limit: Queue(..., payload_limit=...)"
        )
    return text


def _is_suspicious(text: str) -> bool:
    """Return whether JSON might hold what has to be refused, which costs more to find out for sure.

    Under Any, null stands also for what was no number; u0000 is a NUL character; a number of more than 4,000
    digits cannot be read back.
    """
    if len(text) > DEPTH_LIMIT and (len(text) > _SHORT or text.count("[") + text.count("{") > DEPTH_LIMIT):
        return True
    return _SUSPICIOUS.search(text) is not None


def check_size_limit(limit: object) -> None:
    """Refuse a limit of the size of payloads that cannot be kept.

    Raises:
        ConfigError: it is no whole number of bytes, or more than a store can keep.
    """
    if not isinstance(limit, int) or isinstance(limit, bool) or limit not in SIZE_LIMITS:
        raise ConfigError(
            f"payload_limit: must be a whole number of bytes, at least 1, at most {SIZE_LIMITS[-1]:,}; "
            f"not {limit!r}"
        )


@cache
def _untyped() -> "TypeAdapter[Any]":
    from pydantic import TypeAdapter

    return TypeAdapter(Any)


def _check_numbers(value: Any) -> None:
    """Refuse NaN and infinities.

    Raises:
        ValueError: there is one.
    """
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} is no JSON number")
    elif isinstance(value, Mapping):
        for inner in value.values():
            _check_numbers(inner)
    elif isinstance(value, (list, tuple, AbstractSet)):
        for inner in value:
            _check_numbers(inner)


def _check(value: Any, room: int) -> None:
    """Refuse what some reader or store of JSON cannot take.

    Raises:
        ValueError: it is nested too deeply, or holds a NUL character.
    """
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError("a text holds a NUL character")
    elif isinstance(value, (dict, list)):
        if not room:
            raise ValueError(f"it is nested more than {DEPTH_LIMIT} levels deep")
        if isinstance(value, dict):
            for name in value:
                _check(name, room)
            value = value.values()
        for inner in value:
            _check(inner, room - 1)


def _problems(error: "ValidationError") -> str:
    """Return what is wrong with which arguments, without their values, which may be secrets."""
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    told = [f"{_place(problem['loc'])}{problem['msg']}" for problem in problems[:5]]
    if len(problems) > len(told):
        told.append(f"and {len(problems) - len(told)} more")
    return "; ".join(told)


def _place(location: tuple[int | str, ...]) -> str:
    place = ".".join(
        str(part)[:_SHOWN] for part in location
    )  # a name of somebody else's may be of any length
    return f"argument {place}: " if location else ""
