"""Field types of the models: what people may write on one side, what code reads on the other.

Where both differ, type checkers see a descriptor (its setter is what the constructor takes) and
pydantic sees the validator.
"""

import builtins
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeGuard

from pydantic import Field, PlainSerializer, PlainValidator, ValidationInfo, WithJsonSchema

from jobsim.core.errors import ConfigError
from jobsim.core.outcome import Error, error_name
from jobsim.core.time import Duration, DurationLike, duration
from jobsim.models.problems import shown
from jobsim.models.rates import Rate


def file_context(name: str) -> dict[str, Path]:
    """Return the validation context of values read from the file called `name`.

    Every number that has a unit must say it there, and other files are named as seen from there.
    """
    return {"folder": Path(name).parent}


def from_file(info: ValidationInfo) -> bool:
    """Return whether the value under validation was read from a file."""
    return info.context is not None


_LONGEST: Final = 100
_ABSURD: Final = 1e15  # a number beyond it has another fault than a missing unit

Probability = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]
SlowdownFactor = Annotated[float, Field(strict=True, ge=1, le=1e6, allow_inf_nan=False)]
Flag = Annotated[bool, Field(strict=True)]
Count = Annotated[int, Field(strict=True, ge=1)]
Text = Annotated[str, Field(min_length=1)]


def default(written: object) -> Any:
    """Return `written` as the default of a field that reads back as another type than it is written."""
    return written


def checked_duration(value: DurationLike, *, from_file: bool) -> Duration:
    """Return `value` as a `Duration`; a file's numbers are refused, as they name no unit.

    Raises:
        ConfigError: not a duration; the text does not name the key.
    """
    if from_file and _bare(value):
        raise ConfigError(f"{shown(value)} has no unit; write for example '{value:.15g}s'")
    if isinstance(value, str) and len(value) > _LONGEST:
        raise ConfigError(f"{shown(value)} is too long for a duration; write for example '1h30m'")
    try:
        return duration(value)
    except ConfigError as error:
        raise ConfigError(str(error).removeprefix("duration: ")) from None
    except OverflowError:  # a whole number of hundreds of digits
        raise ConfigError(f"{shown(value)} is too large a number") from None


def _bare(value: object) -> TypeGuard[float]:
    """Return whether `value` would be fine but for its unit."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < _ABSURD


def _duration(value: Any, info: ValidationInfo) -> Duration:
    return checked_duration(value, from_file=from_file(info))


def _positive(value: Any, info: ValidationInfo) -> Duration:
    checked = _duration(value, info)
    if checked == 0:
        raise ConfigError(f"must be longer than zero, at least a microsecond: {shown(value)}")
    return checked


def _rate(value: Any, info: ValidationInfo) -> Rate:
    return _checked_rate(value, from_file=from_file(info), zero=False)


def _level(value: Any, info: ValidationInfo) -> Rate:
    return _checked_rate(value, from_file=from_file(info), zero=True)


def _checked_rate(value: Any, *, from_file: bool, zero: bool) -> Rate:
    if isinstance(value, Rate) and (zero or value):
        return value
    if isinstance(value, str):
        return Rate.parse(value, zero=zero)
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise ConfigError(f"{shown(value)} is not a rate; write for example '12/s'")
    if from_file and _bare(value):
        raise ConfigError(f"{shown(value)} has no unit; write for example '{value:.15g}/s'")
    return Rate.per_second(value, value, zero=zero)


def _file(value: Any, info: ValidationInfo) -> str:
    if not isinstance(value, (str, Path)) or not str(value):
        raise ConfigError(f"must be the path of a file, not {shown(value)}")
    return str(info.context["folder"] / value if info.context else value)


def _files(value: Any, info: ValidationInfo) -> tuple[str, ...]:
    several = value if isinstance(value, (list, tuple)) and value else [value]
    return tuple(_file(one, info) for one in several)


def _as_written(files: tuple[str, ...]) -> str | list[str]:
    return files[0] if len(files) == 1 else list(files)


ErrorLike = Error | type[BaseException] | str
"""What people may write for an error: a class, or ``"ConnectionError: refused"``; a class that is not
built in may name its bases, as in ``"stripe.CardError < stripe.StripeError: declined"``."""


def as_error(value: object) -> Error:
    """Return `value` as an `Error` that knows the base classes, those of built-in ones included.

    Raises:
        ConfigError: neither an exception class nor the name of one.
    """
    if isinstance(value, Error):
        return _error((value.kind, *value.lineage), value.message)
    if isinstance(value, type) and issubclass(value, BaseException):
        return _error([error_name(c) for c in value.__mro__[:-1]], "")
    head, _, message = value.partition(": ") if isinstance(value, str) else ("", "", "")
    names = [name.strip() for name in head.split(" < ")]
    if not all(map(_NAME.fullmatch, names)):
        raise ConfigError(
            f"{shown(value)} is not an error; write the name of an exception class, with a message "
            "if you like: 'ConnectionError: connection refused'"
        )
    return _error(names, message)


def error_text(error: Error) -> str:
    """Return the shortest text that `as_error` reads back as `error`."""
    message = f": {error.message}" if error.message else ""
    names = error.lineage or (error.kind,)
    texts = [" < ".join(names[:count]) + message for count in range(1, len(names) + 1)]
    return next((text for text in texts if as_error(text) == error), texts[-1])


def _error(names: Sequence[str], message: str) -> Error:
    built_in = getattr(builtins, names[-1], None)
    if isinstance(built_in, type) and issubclass(built_in, BaseException):
        names = [*names, *(error_name(c) for c in built_in.__mro__[:-1])]
    return Error(names[0], message, tuple(dict.fromkeys(names)))


_NAME: Final = re.compile(r"[^\W\d][\w.<>]*")

if TYPE_CHECKING:

    class DurationField:
        """Written as a `DurationLike`, read as a `Duration`."""

        def __get__(self, model: object, owner: type | None = None) -> Duration: ...
        def __set__(self, model: object, value: DurationLike) -> None: ...

    class OptionalDurationField:
        """Written as a `DurationLike` or `None`, read as a `Duration` or `None`."""

        def __get__(self, model: object, owner: type | None = None) -> Duration | None: ...
        def __set__(self, model: object, value: DurationLike | None) -> None: ...

    class DurationsField:
        """Written as a sequence of `DurationLike`s, read as a tuple of `Duration`s."""

        def __get__(self, model: object, owner: type | None = None) -> tuple[Duration, ...]: ...
        def __set__(self, model: object, value: Sequence[DurationLike]) -> None: ...

    class QuantilesField:
        """Written as pairs of probability and `DurationLike`, read as a tuple of pairs."""

        def __get__(self, model: object, owner: type | None = None) -> tuple[tuple[float, Duration], ...]: ...
        def __set__(self, model: object, value: Sequence[tuple[float, DurationLike]]) -> None: ...

    class RateField:
        """Written as text or as a number a second, read as a `Rate`."""

        def __get__(self, model: object, owner: type | None = None) -> Rate: ...
        def __set__(self, model: object, value: float | str) -> None: ...

    class LevelsField:
        """Written as pairs of offset and rate, which may be 0, read as a tuple of pairs."""

        def __get__(self, model: object, owner: type | None = None) -> tuple[tuple[Duration, Rate], ...]: ...
        def __set__(self, model: object, value: Sequence[tuple[DurationLike, float | str]]) -> None: ...

    class LevelPairField:
        """Written as two rates, which may be 0, read as a pair of them."""

        def __get__(self, model: object, owner: type | None = None) -> tuple[Rate, Rate]: ...
        def __set__(self, model: object, value: Sequence[float | str]) -> None: ...

    class PositivePairField:
        """Written as two `DurationLike`s, read as a pair of `Duration`s."""

        def __get__(self, model: object, owner: type | None = None) -> tuple[Duration, Duration]: ...
        def __set__(self, model: object, value: Sequence[DurationLike]) -> None: ...

    class FileField:
        """Written as a path, as seen from the file it is written in, read as a path that can be opened."""

        def __get__(self, model: object, owner: type | None = None) -> str: ...
        def __set__(self, model: object, value: str | Path) -> None: ...

    class FilesField:
        """Written as a path or a list of paths, read as a tuple of them; see `FileField`."""

        def __get__(self, model: object, owner: type | None = None) -> tuple[str, ...]: ...
        def __set__(self, model: object, value: str | Path | Sequence[str | Path]) -> None: ...

    class OptionalFilesField:
        """As `FilesField`; or `None`."""

        def __get__(self, model: object, owner: type | None = None) -> tuple[str, ...] | None: ...
        def __set__(self, model: object, value: str | Path | Sequence[str | Path] | None) -> None: ...

    class ErrorField:
        """Written as an `ErrorLike`, read as an `Error`."""

        def __get__(self, model: object, owner: type | None = None) -> Error: ...
        def __set__(self, model: object, value: ErrorLike) -> None: ...

    PositiveField = DurationField
    OptionalPositiveField = OptionalDurationField
    LevelField = RateField
else:
    _TEXT = WithJsonSchema({"type": "string"})
    DurationField = Annotated[Duration, PlainValidator(_duration), PlainSerializer(str), _TEXT]
    PositiveField = Annotated[Duration, PlainValidator(_positive), PlainSerializer(str), _TEXT]
    OptionalDurationField = DurationField | None
    OptionalPositiveField = PositiveField | None
    DurationsField = Annotated[tuple[DurationField, ...], Field(min_length=1)]
    QuantilesField = Annotated[tuple[tuple[Probability, DurationField], ...], Field(min_length=2)]
    RateField = Annotated[Rate, PlainValidator(_rate), PlainSerializer(str), _TEXT]
    LevelField = Annotated[Rate, PlainValidator(_level), PlainSerializer(str), _TEXT]
    LevelsField = Annotated[tuple[tuple[DurationField, LevelField], ...], Field(min_length=1)]
    LevelPairField = tuple[LevelField, LevelField]
    PositivePairField = tuple[PositiveField, PositiveField]
    FileField = Annotated[str, PlainValidator(_file), _TEXT]
    FilesField = Annotated[
        tuple[str, ...],
        PlainValidator(_files),
        PlainSerializer(_as_written),
        WithJsonSchema({"type": ["string", "array"], "items": {"type": "string"}}),
    ]
    OptionalFilesField = FilesField | None
    ErrorField = Annotated[Error, PlainValidator(as_error), PlainSerializer(error_text), _TEXT]
