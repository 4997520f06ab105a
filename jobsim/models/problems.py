"""What is wrong with written values: pydantic's errors as keys and plain sentences."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from jobsim.core.errors import did_you_mean

Path = tuple[str | int, ...]
"""Keys and list indices (from 0) from the top of a file or model down to a value."""

MISSING: Final = "is missing"

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_SHOWN: Final = 60
_LONGEST: Final = 400

_WHOLE: Final = "must be a whole number, not {value}"
_FINITE: Final = "must be a finite number, not {value}"
_LIST: Final = "must be a list, not {value}"
_TABLE: Final = "must be a table, not {value}"
_SENTENCES: Final = {
    "missing": MISSING,
    "value_error": "{error}",
    "literal_error": "must be {expected}, not {value}",
    "int_type": _WHOLE,
    "int_from_float": _WHOLE,
    "int_parsing_size": _WHOLE,
    "float_type": _FINITE,
    "bool_type": "must be true or false, not {value}",
    "finite_number": _FINITE,
    "greater_than_equal": "must be at least {ge:.15g}, not {value}",
    "less_than_equal": "must be at most {le:.15g}, not {value}",
    "string_type": "must be text in quotes, not {value}",
    "string_too_short": "must not be empty",
    "too_short": "must have at least {fewest}",
    "too_long": "must have at most {max_length} entries",
    "tuple_type": _LIST,
    "list_type": _LIST,
    "model_type": _TABLE,
    "model_attributes_type": _TABLE,
    "dict_type": _TABLE,
    "frozen_instance": "cannot be changed; make a new value",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where, and a sentence that goes on from the key."""

    path: Path
    text: str

    def __str__(self) -> str:
        joint = " " if self.text.startswith(MISSING) else ": "
        text = self.text if len(self.text) <= _LONGEST else f"{self.text[:_LONGEST]}..."
        return f"{dotted(self.path)}{joint}{text}" if self.path else text


def dotted(path: Path) -> str:
    """Return `path` as TOML writes a key; parts that are no bare key are quoted."""
    return ".".join(p if _BARE.fullmatch(p) else json.dumps(p) for p in map(str, path))


def shown(value: object) -> str:
    """Return `value` as a message shows it: its repr, cut where it is long."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def unknown_key(key: str, known: Iterable[str]) -> str:
    """Return the sentence about a `key` that is none of the `known` ones."""
    known = list(known)
    return f"unknown key{did_you_mean(key, known) or '; known here: ' + ', '.join(known)}"


def not_one_of(value: object, known: Iterable[str]) -> str:
    """Return the sentence about a word that is none of the `known` ones."""
    known = list(known)
    return f"{shown(value)} is not one of {', '.join(known)}{did_you_mean(str(value), known)}"


def problems(error: ValidationError, model: type[BaseModel], also: Iterable[str] = ()) -> list[Problem]:
    """Return what `error` found in the input of `model`; `also` are further keys of its top table."""
    top = [*_fields(model), *also]
    return [
        _problem(details, model, top)
        for details in error.errors(include_url=False)
        if not _of_its_entries(details)
    ]


def _of_its_entries(details: ErrorDetails) -> bool:
    """Return whether a list is called too short only because its entries are wrong, which is told of them."""
    return details["type"] == "too_short" and len(details["input"]) >= details["ctx"]["min_length"]


def _problem(details: ErrorDetails, model: type[BaseModel], top: list[str]) -> Problem:
    path, known = _resolve(model, details["loc"])
    context = details.get("ctx", {})
    match details["type"]:
        case "extra_forbidden":
            key = str(path[-1])
            if len(path) > 1 and key in top:
                return Problem(path, "unknown key here; it belongs at the top, above the first table")
            return Problem(path, unknown_key(key, known if len(path) > 1 else top))
        case "union_tag_invalid":
            return Problem(_tag_path(path, context), not_one_of(context["tag"], known))
        case "union_tag_not_found":
            return Problem(_tag_path(path, context), f"{MISSING}: one of {', '.join(known)}")
        case _:
            return Problem(path, _sentence(details))


def _tag_path(path: Path, context: dict[str, Any]) -> Path:
    return (*path, context["discriminator"].strip("'"))


def _sentence(details: ErrorDetails) -> str:
    value = shown(details["input"])
    sentence = _SENTENCES.get(details["type"])
    if sentence is None:
        return f"{details['msg']} ({value})"
    context = details.get("ctx", {})
    count = context.get("min_length")
    fewest = "one entry" if count == 1 else f"{count} entries"
    return sentence.format(value=value, fewest=fewest, **context)


def _resolve(model: type[BaseModel], loc: tuple[int | str, ...]) -> tuple[Path, list[str]]:
    """Return `loc` without the union tags pydantic puts into it, and the words known where it ends.

    Those are the keys of the table around the last part; of a tagged union, its tags.
    """
    annotation: object = model
    path: list[str | int] = []
    known: list[str] = []
    for part in loc:
        members = list(_members(annotation))
        models = [m for m in members if isinstance(m, type) and issubclass(m, BaseModel)]
        if len(models) > 1:  # a tagged union: this part is the tag
            annotation = next((m for m in models if _tag(m) == part), None)
            continue
        if models:
            fields = _fields(models[0])
            known, annotation = list(fields), fields.get(str(part))
        else:  # a list: this part is the index
            annotation = next((get_args(m)[0] for m in members if get_args(m)), None)
        path.append(part)
    tags = [tag for member in _members(annotation) if (tag := _tag(member))]
    return tuple(path), tags or known


def _fields(model: type[BaseModel]) -> dict[str, object]:
    """Return the annotation of every field of `model`, by the key it is written with."""
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _members(annotation: object) -> Iterator[object]:
    """Yield what an annotation allows, unwrapped from `Annotated` and unions."""
    if get_origin(annotation) is Annotated:
        yield from _members(get_args(annotation)[0])
    elif get_origin(annotation) in (None, tuple, list, dict, Literal):
        yield annotation
    else:
        for member in get_args(annotation):
            yield from _members(member)


def _tag(member: object) -> str:
    """Return the word that stands for `member` in a tagged union; empty for all else."""
    if not (isinstance(member, type) and issubclass(member, BaseModel)):
        return ""
    defaults = (f.default for f in member.model_fields.values() if get_origin(f.annotation) is Literal)
    return next((str(default) for default in defaults), "")
