"""Writing a scenario as TOML text."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import tomlkit
from tomlkit.items import AoT, Array, Item, Table, Trivia, Whitespace

from jobsim.core.errors import ConfigError
from jobsim.core.policy import RetryPolicy
from jobsim.models.failures import OwnFailure
from jobsim.policies import PRESETS
from jobsim.sim.policy_tables import policy_table

_LISTS: Final = ("dependencies", "jobs", "limits")
"""What is written as an array of tables."""

_LAST: Final = ("expect", "sweep", "tune")
"""The tables that stand at the end, where they are not empty."""


def toml_text(data: Mapping[str, Any]) -> str:
    """Return a scenario's tree of values as TOML; a policy that equals its namesake preset is only named."""
    document = tomlkit.document()
    policies: Mapping[str, RetryPolicy] = data["policies"]
    for key, value in data.items():
        if key not in ("workers", "storage", *_LISTS, "policies", *_LAST):
            document.add(key, _value(value))
    document.add("compare", _value(list(policies)))
    document.add("workers", _table(data["workers"]))
    if data["storage"]:
        document.add("storage", _table(data["storage"]))
    for key in _LISTS:
        if data[key]:
            document.add(key, _tables(data[key]))
    own = {name: policy_table(p) for name, p in policies.items() if PRESETS.get(name) != p}
    if own:
        tables = tomlkit.table(is_super_table=True)
        for name, table in own.items():
            tables.add(name, _table(table))
        document.add("policies", tables)
    for key in _LAST:
        if data[key]:
            document.add(key, _table(data[key]))
    return tomlkit.dumps(document)


def _tables(entries: Iterable[Mapping[str, Any]]) -> AoT:
    tables = tomlkit.aot()
    for entry in entries:
        tables.append(_table(entry))
    return tables


def policy_text(policy: RetryPolicy) -> str:
    """Return the table [policies.NAME] of `policy`.

    Raises:
        ConfigError: it has a backoff or jitter that is not one of jobsim's own.
    """
    tables = tomlkit.table(is_super_table=True)
    tables.add(policy.name or "mine", _table(policy_table(policy)))
    return tomlkit.dumps(tomlkit.document().add("policies", tables))


def _table(values: Mapping[str, Any]) -> Table:
    table = tomlkit.table()
    for key, value in values.items():
        if value is not None and value != ():
            table.add(key, _value(value))
    return table


def _value(value: Any) -> Item:
    match value:
        case dict():
            inline = tomlkit.inline_table()
            for key, entry in value.items():
                if entry is not None:
                    inline.add(key, _value(entry))
            return inline
        case list() | tuple() if any(isinstance(entry, dict) for entry in value):
            array = tomlkit.array()
            for entry in value:
                array.append(_value(entry))
            return array.multiline(multiline=True)
        case list() | tuple():  # at once: tomlkit appends to an array by going through it
            items = [piece for entry in value for piece in (_value(entry), Whitespace(", "))]
            return Array(items[:-1], Trivia())
        case OwnFailure():
            raise ConfigError(f"{value.model!r} is a failure model of your own, which no file can say")
        case _:
            item: Item = tomlkit.item(value)
            return item
