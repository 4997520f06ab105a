"""Setting one value deep inside a tree of tables, lists and policies."""

from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

from jobsim.core.errors import ConfigError, did_you_mean


def put(tree: Any, key: str, value: object) -> Any:
    """Return `tree` with `value` at the dotted `key`; `tree` itself is left as it is.

    Raises:
        ConfigError: nothing can be set there.
    """
    return _put(tree, key.split("."), value, key)


def check_path(key: str, policies: Iterable[str]) -> None:
    """Refuse a `key` inside one of the `policies` that is not there.

    Raises:
        ConfigError: it is one.
    """
    first, *rest = key.split(".")
    if first == "policies" and len(rest) > 1 and rest[0] not in policies:
        known = list(policies)
        raise ConfigError(
            f"{key}: no policy is called {rest[0]!r}{did_you_mean(rest[0], known)}; there are: "
            f"{', '.join(known)}"
        )


def _put(node: Any, keys: Sequence[str], value: object, key: str) -> Any:
    if not keys:
        return value
    first, rest = keys[0], keys[1:]
    match node:
        case dict():
            return node | {first: _put(node.get(first), rest, value, key)}
        case None:  # an optional table that was not there
            return {first: _put(None, rest, value, key)}
        case list() | tuple():
            index = _index(node, first, key)
            return [*node[:index], _put(node[index], rest, value, key), *node[index + 1 :]]
        case _ if is_dataclass(node) and not isinstance(node, type):
            return _replaced(node, first, rest, value, key)
        case _:
            raise ConfigError(f"{key}: {first!r} is looked for in {node!r}, which is no table")


def _index(entries: Sequence[Any], name: str, key: str) -> int:
    names = [{str(i), *_names(entry)} for i, entry in enumerate(entries)]
    for index, own in enumerate(names):
        if name in own:
            return index
    hint = did_you_mean(name, [n for entry in entries for n in _names(entry)])
    raise ConfigError(f"{key}: no entry is called {name!r}{hint}; there are {len(entries)}, from 0")


def _names(entry: object) -> list[str]:
    """Return what an entry may be called: its kind, its model or its name."""
    words = (entry.get(key) for key in ("kind", "model", "name")) if isinstance(entry, dict) else ()
    return [word for word in words if isinstance(word, str)]


def _replaced(node: Any, first: str, rest: Sequence[str], value: object, key: str) -> Any:
    """Return a policy, backoff or jitter with one field changed; its own constructor checks it."""
    known = [f.name for f in fields(node)]
    if first not in known:
        raise ConfigError(f"{key}: {type(node).__name__} has no {first!r}{did_you_mean(first, known)}")
    changed = _put(getattr(node, first), rest, value, key)
    try:
        return replace(node, **{first: changed})
    except (ConfigError, TypeError) as error:
        own = (f"{type(node).__name__}.{first}: ", f"{first}: ")
        text = next((str(error).removeprefix(name) for name in own if str(error).startswith(name)), error)
        raise ConfigError(f"{key}: {text}") from None
