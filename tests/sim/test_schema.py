"""The JSON Schema of scenario files: fresh, valid of every scenario, and of one mind with the models."""

import copy
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobsim.core.errors import ConfigError
from jobsim.sim import Scenario, schema
from jobsim.sim.schema import scenario_schema, schema_text
from jobsim.sim.toml_source import TomlSource

ROOT = Path(__file__).parents[2]
SHIPPED = Path(schema.__file__).with_name(schema.SCHEMA_FILE)
SCENARIOS = sorted((ROOT / "scenarios").glob("*.toml"))
SCHEMA = scenario_schema()

FULL = """
schema = 1
name = "full"
description = "every kind of table"
horizon = "1h"
drain = "2h"
seed = 3
compare = ["none", "mine"]

[workers]
count = 2
slots = 3
lease = "30s"
crash = { every = "1h" }

[[jobs]]
kind = "a"
priority = 2
max_attempts = 4
arrivals = { process = "poisson", rate = "1/s" }
service = { dist = "lognormal", mean = "1s", cv = 0.5 }
failures = [
    { model = "outage", start = "1m", duration = "2m" },
    { model = "independent", probability = 0.5, error = "ValueError: no" },
]

[[jobs]]
kind = "b"
arrivals = { process = "list", times = ["1s", "2s"] }
service = { dist = "constant", value = "1s" }

[policies.mine]
max_attempts = 6
max_age = "1d"
dead_letter_on = ["LookupError"]
backoff = { kind = "exponential", base = "2s", cap = "1m", jitter = { kind = "proportional", up = 0.1 } }

[expect]
dead_letter_rate = { policy = "none", below = "1 %" }
latency_p95_s = [{ below = "5m" }, { above = 1 }]

[sweep]
combine = "zip"
workers.count = [1, 2]
"policies.mine.max_attempts" = [3, 4]

[tune]
policy = "mine"
objective = "attempts_per_job"
constraint = { dead_letter_rate = { below = 0.01 } }
space.max_attempts = { from = 2, to = 9 }
space.backoff.jitter = ["none", "full"]
"""

_KNOWN = {
    *("$ref", "$schema", "$defs", "title", "description", "default", "examples", "discriminator"),
    *("type", "const", "enum", "properties", "required", "additionalProperties", "minProperties"),
    *("items", "prefixItems", "minItems", "maxItems", "anyOf", "oneOf", "minLength", "pattern"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
}
_TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "number": (int, float),
    "integer": int,
}


def fits(value: Any, rule: Any) -> bool:
    """Return whether `value` is valid by `rule`; a keyword that is not understood here is an error."""
    if isinstance(rule, bool):
        return rule
    assert rule.keys() <= _KNOWN, rule.keys() - _KNOWN
    if "$ref" in rule:
        return fits(value, SCHEMA["$defs"][rule["$ref"].rpartition("/")[2]])
    return all(check(value, rule) for check in (_is_one_of, _has_type, _in_range, _list_fits, _table_fits))


def _is_one_of(value: Any, rule: dict[str, Any]) -> bool:
    if "const" in rule and value != rule["const"]:
        return False
    if "enum" in rule and value not in rule["enum"]:
        return False
    if "anyOf" in rule and not any(fits(value, one) for one in rule["anyOf"]):
        return False
    return "oneOf" not in rule or sum(fits(value, one) for one in rule["oneOf"]) == 1


def _has_type(value: Any, rule: dict[str, Any]) -> bool:
    kind = rule.get("type")
    if kind is None:
        return True
    if kind == "boolean" or isinstance(value, bool):
        return kind == "boolean" and isinstance(value, bool)
    return isinstance(value, _TYPES[kind])


def _in_range(value: Any, rule: dict[str, Any]) -> bool:
    if isinstance(value, str):
        return bool(len(value) >= rule.get("minLength", 0))
    if not isinstance(value, (int, float)):
        return True
    closed = rule.get("minimum", value) <= value <= rule.get("maximum", value)
    above, below = rule.get("exclusiveMinimum", value - 1), rule.get("exclusiveMaximum", value + 1)
    return bool(closed and above < value < below)


def _list_fits(value: Any, rule: dict[str, Any]) -> bool:
    if not isinstance(value, list):
        return True
    long_enough = rule.get("minItems", 0) <= len(value) <= rule.get("maxItems", len(value))
    first = rule.get("prefixItems", [])
    rest = all(fits(one, rule.get("items", True)) for one in value[len(first) :])
    return long_enough and rest and all(map(fits, value, first))


def _table_fits(value: Any, rule: dict[str, Any]) -> bool:
    if not isinstance(value, dict):
        return True
    properties, others = rule.get("properties", {}), rule.get("additionalProperties", True)
    return (
        len(value) >= rule.get("minProperties", 0)
        and value.keys() >= set(rule.get("required", ()))
        and all(fits(one, properties.get(key, others)) for key, one in value.items())
    )


def read(data: dict[str, Any]) -> bool:
    """Return whether the models take `data` as a file's."""
    try:
        Scenario._from_source(TomlSource("changed.toml", "", data, {}))
    except ConfigError:
        return False
    return True


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where every value of a tree stands."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        yield (*path, key)
        if isinstance(value, (dict, list)):
            yield from places(value, (*path, key))


def table_at(data: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        data = data[key]
    return data


DATA = tomllib.loads(FULL)
# What lies in these tables is free: keys of other tables, and values of any of their types.
FREE = {("sweep",), ("tune", "space")}
PLACES = [path for path in places(DATA) if not any(path[: len(free)] == free != path for free in FREE)]


def test_shipped_schema_is_fresh() -> None:
    """The file in the package is what `make docs` would write; run that if this fails."""
    assert SHIPPED.read_text(encoding="utf-8") == schema_text()


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_scenario_is_valid_and_names_the_schema(path: Path) -> None:
    """Every scenario's first line leads an editor to the schema, by which it is valid."""
    first, _, text = path.read_text(encoding="utf-8").partition("\n")
    assert first.startswith("#:schema ")
    assert (path.parent / first.removeprefix("#:schema ")).resolve() == SHIPPED
    assert fits(tomllib.loads(text), SCHEMA)


def test_scenario_with_every_table_is_valid() -> None:
    """The schema takes what the models take."""
    assert read(copy.deepcopy(DATA))
    assert fits(DATA, SCHEMA)


@pytest.mark.parametrize("path", PLACES, ids=lambda path: ".".join(map(str, path)))
def test_schema_and_models_agree_on_what_may_be_left_out(path: tuple[Any, ...]) -> None:
    """A file without any one value is valid by both or by neither."""
    data = copy.deepcopy(DATA)
    del table_at(data, path[:-1])[path[-1]]
    assert fits(data, SCHEMA) == read(copy.deepcopy(data)) or path in DEPENDENT


# What refers to something that is gone is wrong for a reason that no schema can tell.
DEPENDENT: set[tuple[Any, ...]] = {
    ("compare", 0),  # an expectation names it
    ("compare", 1),  # the sweep varies it
    ("policies",),
    ("policies", "mine"),
    ("expect", "dead_letter_rate", "below"),
}


@pytest.mark.parametrize("path", PLACES, ids=lambda path: ".".join(map(str, path)))
@pytest.mark.parametrize("wrong", [True, [[]], {"nothing": {}}], ids=["flag", "list", "table"])
def test_schema_and_models_refuse_values_of_another_kind(path: tuple[Any, ...], wrong: Any) -> None:
    """No value may be a truth value, a list of lists or a table of unknown keys."""
    data = copy.deepcopy(DATA)
    table_at(data, path[:-1])[path[-1]] = wrong
    assert not read(copy.deepcopy(data))
    assert not fits(data, SCHEMA) or path in {("policies",), *FREE}


@pytest.mark.parametrize("path", [(), *PLACES], ids=lambda path: ".".join(map(str, path)) or "top")
def test_schema_and_models_refuse_unknown_keys(path: tuple[Any, ...]) -> None:
    """A misspelt key is an error in every table."""
    data = copy.deepcopy(DATA)
    table = table_at(data, path)
    if not isinstance(table, dict) or path in {("policies",), *FREE}:
        return
    table["unheard_of"] = 1
    assert not read(copy.deepcopy(data))
    assert not fits(data, SCHEMA)


def test_schema_is_one_by_a_validator_of_its_own() -> None:
    """Where jsonschema is installed, it takes the schema, and the scenarios by it."""
    jsonschema = pytest.importorskip("jsonschema", reason="it is no dependency")
    jsonschema.Draft202012Validator.check_schema(json.loads(SHIPPED.read_text(encoding="utf-8")))
    validator = jsonschema.Draft202012Validator(SCHEMA)
    for data in (DATA, *(tomllib.loads(path.read_text(encoding="utf-8")) for path in SCENARIOS)):
        validator.validate(data)
