"""The JSON Schema of scenario files, made from the models that read them.

Editors complete and check a file by it, whose first line says ``#:schema`` and where the schema is.
"""

import json
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from typing import Any, Final

from jobsim.analysis.measures import MEASURES
from jobsim.budgets import BREAKERS, BUDGETS
from jobsim.core.backoff import Backoff
from jobsim.core.breaker import Breaker
from jobsim.core.budget import Budget
from jobsim.core.jitter import JitterLike
from jobsim.core.policy import ErrorsLike, RetryPolicy
from jobsim.core.time import DurationLike
from jobsim.policies import PRESETS
from jobsim.sim.expectations import Expectation
from jobsim.sim.policy_tables import BACKOFFS, JITTERS, NO_LIMIT
from jobsim.sim.scenario import Scenario

SCHEMA_FILE: Final = "scenario.schema.json"
"""The schema as it is shipped, beside this module."""

Schema = dict[str, Any]

_TEXT: Final = {"type": "string"}
_NONE: Final = {"const": NO_LIMIT}
_BUDGET: Final = {"$ref": "#/$defs/Budget"}
_BREAKER: Final = {"$ref": "#/$defs/Breaker"}
_TEXTS: Final = {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]}


def scenario_schema() -> Schema:
    """Return the schema of a scenario file, JSON Schema 2020-12."""
    made: Schema = _without_null(Scenario.model_json_schema(by_alias=True))
    defs: Schema = made["$defs"]
    del defs["Matrix"]  # in a file it is one flat table
    for one in defs.values():
        _require_tags(one)
    defs |= {
        "Backoff": _of_kinds(BACKOFFS),
        "Jitter": _of_kinds(JITTERS),
        "Budget": {"anyOf": [{"enum": list(BUDGETS)}, _of_fields(Budget, {})]},
        "Breaker": {"anyOf": [{"enum": list(BREAKERS)}, _of_fields(Breaker, {})]},
        "Policy": _of_fields(RetryPolicy, {}),
        "Expectation": _expectation(),
    }
    defs["LimitTable"]["properties"] |= {"budget": _BUDGET, "breaker": _BREAKER}
    properties: Schema = made["properties"]
    properties |= {
        "compare": _compare(),
        "policies": {"type": "object", "additionalProperties": {"$ref": "#/$defs/Policy"}},
        "expect": _by_measure(),
        "sweep": _sweep(),
    }
    defs["Goal"]["properties"] |= {"constraint": _by_measure(), "space": _space()}
    named = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "jobsim scenario"}
    return named | {key: value for key, value in made.items() if key not in named}


def schema_text() -> str:
    """Return the schema as it stands in the file that is shipped."""
    return json.dumps(scenario_schema(), indent=1, ensure_ascii=False) + "\n"


def _without_null(node: Any) -> Any:
    """Return a schema without what only Python can say: TOML has no null, and leaves a key out."""
    if isinstance(node, list):
        return [_without_null(one) for one in node if one != {"type": "null"}]
    if not isinstance(node, dict):
        return node
    kept = {k: _without_null(v) for k, v in node.items() if not (k == "default" and v is None)}
    choices = kept.get("anyOf")
    if isinstance(choices, list) and len(choices) == 1:
        return {k: v for k, v in kept.items() if k != "anyOf"} | choices[0]
    return kept


def _require_tags(table: Schema) -> None:
    """Let a table of several kinds name its own: a default serves Python alone."""
    tags = [key for key, one in table.get("properties", {}).items() if "const" in one]
    if tags:
        table["required"] = list(dict.fromkeys([*tags, *table.get("required", [])]))
        for tag in tags:
            table["properties"][tag].pop("default", None)


def _of_kinds(kinds: Mapping[str, type]) -> Schema:
    """Return the schema of ``{ kind = "full", ... }``, or of the word alone where that is enough."""
    words = [kind for kind, cls in kinds.items() if not _needed(cls)]
    tables = [_of_fields(cls, {"kind": {"const": kind}}) for kind, cls in kinds.items()]
    return {"anyOf": [{"enum": words}, *tables]}


def _of_fields(cls: type, first: Schema) -> Schema:
    known = [f for f in fields(cls) if not (cls is RetryPolicy and f.name == "name")]
    return {
        "type": "object",
        "properties": first | {f.name: _of_field(f) for f in known},
        "required": [*first, *_needed(cls)],
        "additionalProperties": False,
    }


def _needed(cls: type) -> list[str]:
    return [f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING]


def _of_field(known: Field[Any]) -> Schema:
    kind: Any = known.type
    table: list[tuple[Any, Schema]] = [
        (Backoff, {"$ref": "#/$defs/Backoff"}),
        (JitterLike, {"$ref": "#/$defs/Jitter"}),
        (Budget | None, _BUDGET),
        (Breaker | None, _BREAKER),
        (ErrorsLike, _TEXTS),
        (DurationLike, _TEXT),
        (DurationLike | None, _TEXT),
        (str, _TEXT),
        (int, {"type": "integer"}),
        (int | None, {"anyOf": [{"type": "integer"}, _NONE]}),
        (float, {"type": "number"}),
        (float | None, {"anyOf": [{"type": "number"}, _NONE]}),
    ]
    return next((schema for one, schema in table if kind == one), {})


def _compare() -> Schema:
    return {
        "type": "array",
        "minItems": 1,
        "items": {"anyOf": [{"enum": list(PRESETS)}, _TEXT]},
        "description": "The policies to compare: presets, and tables [policies.NAME] of this file.",
    }


def _expectation() -> Schema:
    made: Schema = _without_null(Expectation.model_json_schema())
    made["properties"].pop("measure")
    made.pop("required", None)
    return made | {"minProperties": 1}


def _by_measure() -> Schema:
    one = {"$ref": "#/$defs/Expectation"}
    either = {"anyOf": [one, {"type": "array", "items": one}]}
    return {
        "type": "object",
        "properties": dict.fromkeys(MEASURES, either),
        "additionalProperties": False,
    }


def _sweep() -> Schema:
    lists = {"anyOf": [{"type": "array", "minItems": 1}, {"type": "object"}]}
    return {
        "type": "object",
        "properties": {"combine": {"enum": ["product", "zip"]}},
        "additionalProperties": lists,
        "minProperties": 1,
        "description": "Keys of this file and the values they take, such as workers.count = [2, 4, 8].",
    }


def _space() -> Schema:
    return {
        "type": "object",
        "additionalProperties": {"anyOf": [{"type": "array", "minItems": 1}, {"type": "object"}]},
        "minProperties": 1,
        "description": "Keys of the policy, each with a range { from, to } or a list of values.",
    }
