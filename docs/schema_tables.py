"""Writes the reference of the scenario file's format, as Markdown, from its JSON Schema."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from jobsim.sim.schema import scenario_schema

Schema = Mapping[str, Any]

MODELS: Final = {
    "Poisson": "[arrivals](models.md#arrivals)",
    "Constant": "[service time](models.md#service-times)",
    "Outage": "[failures](models.md#failures)",
    "Server": "[a dependency](models.md#dependencies)",
}
"""What unions of models are called, by one of each, and where the page is that has them all."""

TABLES: Final = (
    ("Workers", "[workers]", ("Group", "Crashes", "Pauses", "Clocks", "ClockSteps", "Autoscale")),
    ("StorageModel", "[storage]", ("CallFailures", "Partition")),
    ("Server", '[[dependencies]], model = "server"', ("Overload",)),
    ("Row", '[[dependencies]], model = "row"', ()),
    ("JobClass", "[[jobs]]", ("Resubmit",)),
    ("LimitTable", "[[limits]]", ()),
    ("Policy", "[policies.NAME]", ("Backoff", "Jitter", "Budget", "Breaker")),
    ("Expectation", "[expect]", ()),
    ("Goal", "[tune]", ()),
)
"""The parts of a file, in its order: the definition, how it is written, and the definitions it needs."""

PLACES: Final = {name: f"`{written}`" for name, written, _ in TABLES}
"""How the parts are written, by their definitions."""


def scenario_format() -> str:
    """Return a table of the keys of a file, and one for each table in it."""
    schema = scenario_schema()
    return "\n".join(_page(schema, schema["$defs"]))


def _page(schema: Schema, defs: Schema) -> Iterator[str]:
    yield "## The file\n"
    yield from _table(schema)
    for name, written, parts in TABLES:
        yield f"\n## `{written}`\n"
        yield from _definition(defs[name])
        for part in parts:
            yield f"\n### {part}\n"
            yield from _definition(defs[part])


def _definition(schema: Schema) -> Iterator[str]:
    """Yield what a definition says of itself, and its keys."""
    for paragraph in schema.get("description", "").split("\n\n"):
        yield f"{_prose(paragraph)}\n"
    yield from _choices(schema) if "properties" not in schema else _table(schema)


def _choices(schema: Schema) -> Iterator[str]:
    for one in schema.get("anyOf", schema.get("oneOf", [])):
        if "properties" in one:
            fixed = [f"`{k} = {_json(v['const'])}`" for k, v in one["properties"].items() if "const" in v]
            yield f"\n{', '.join(fixed) or 'A table'}:\n"
            yield from _table(one)
        else:
            yield f"\n{_type(one)}\n"


def _table(schema: Schema) -> Iterator[str]:
    yield "| key | takes | default |\n| --- | --- | --- |"
    needed = schema.get("required", ())
    for key, value in schema["properties"].items():
        if "const" not in value:
            yield f"| `{key}` | {_type(value)} | {_default(key, value, needed)} |"
    yield ""


def _default(key: str, value: Schema, needed: Sequence[str]) -> str:
    if key in needed:
        return "required"
    return f"`{_json(value['default'])}`" if "default" in value else ""


def _type(value: Schema) -> str:
    """Return what a key takes, in words."""
    if "discriminator" in value:
        names = {ref.rpartition("/")[2] for ref in value["discriminator"]["mapping"].values()}
        return next(f"a table: {link}" for name, link in MODELS.items() if name in names)
    choices = value.get("anyOf", value.get("oneOf"))
    if choices:
        return " or ".join(dict.fromkeys(_type(one) for one in choices))
    return _plain(value)


def _plain(value: Schema) -> str:
    match value:
        case {"$ref": ref}:
            name = ref.rpartition("/")[2]
            return f"a table: {PLACES.get(name, name)}"
        case {"enum": names}:
            return ", ".join(f"`{_json(name)}`" for name in names)
        case {"const": name}:
            return f"`{_json(name)}`"
        case {"type": "array", "items": items}:
            return f"a list: {_type(items)}".replace("a list: a table:", "tables:")
        case {"type": "object", "additionalProperties": dict(each)}:
            return f"a table, by name: {_type(each)}".replace("name: a table:", "name:")
        case {"type": "object", "properties": dict()}:
            return "a table, by measure"
        case {"type": kind}:
            return f"{kind}{_bounds(value)}"
        case _:
            return "anything"


def _bounds(value: Schema) -> str:
    words = {"minimum": "≥", "exclusiveMinimum": "\\>", "maximum": "≤", "exclusiveMaximum": "\\<"}
    found = [f"{sign} {value[key]:g}" for key, sign in words.items() if key in value]
    return f" {' and '.join(found)}" if found else ""


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _prose(text: str) -> str:
    return " ".join(text.split()).replace("``", "`")
