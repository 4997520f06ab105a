"""Retry policies in a scenario file: tables to policies and back.

The classes of the core know what is right; here every problem of a table is found and given its key.
"""

from collections.abc import Iterable, Mapping
from dataclasses import MISSING as NO_DEFAULT
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any, Final

from jobsim.core.backoff import (
    Backoff,
    Decorrelated,
    Exponential,
    Fixed,
    Linear,
    NoBackoff,
    Polynomial,
)
from jobsim.core.breaker import Breaker
from jobsim.core.budget import Budget
from jobsim.core.errors import ConfigError, did_you_mean
from jobsim.core.jitter import Added, Equal, Full, JitterLike, NoJitter, Proportional, Stretched
from jobsim.core.policy import ErrorsLike, RetryPolicy
from jobsim.core.time import Duration, DurationLike
from jobsim.models.fields import checked_duration
from jobsim.models.problems import MISSING, Path, Problem, not_one_of, shown, unknown_key
from jobsim.policies import PRESETS
from jobsim.sim.limit_tables import PRESETS as GUARDS
from jobsim.sim.limit_tables import guard_table

BACKOFFS: Final[dict[str, type]] = {
    "none": NoBackoff,
    "fixed": Fixed,
    "linear": Linear,
    "exponential": Exponential,
    "polynomial": Polynomial,
    "decorrelated": Decorrelated,
}
JITTERS: Final[dict[str, type]] = {
    "none": NoJitter,
    "full": Full,
    "equal": Equal,
    "stretched": Stretched,
    "proportional": Proportional,
    "added": Added,
}
DEFAULT_COMPARE: Final = ("none", "tutorial", "exponential", "full_jitter", "oban", "sidekiq")

NO_LIMIT: Final = "none"
"""Stands in a file for a limit that is not there, as TOML has no null."""

_KEYS: Final = {f.name: f for f in fields(RetryPolicy) if f.name != "name"}


def read_policies(compare: object, tables: object) -> tuple[dict[str, RetryPolicy], list[Problem]]:
    """Return the policies that the list `compare` chooses, by name and in order, and what is wrong.

    A name is that of one of the file's own `tables`, else of a preset. `None` for `compare`: the
    default presets, then the file's own.
    """
    reader = _Reader()
    own = reader.tables(tables)
    if compare is None:
        names: Iterable[str] = dict.fromkeys([*DEFAULT_COMPARE, *own])
    else:
        names = reader.names(compare, own)
    chosen = {name: own.get(name) or PRESETS[name] for name in names}
    return labelled(chosen), reader.problems


def labelled(policies: Mapping[str, RetryPolicy]) -> dict[str, RetryPolicy]:
    """Return `policies`, each named by its key."""
    return {name: replace(policy, name=name) for name, policy in policies.items()}


@dataclass(frozen=True, slots=True)
class _Reader:
    """Turns tables into policies and collects what is wrong."""

    problems: list[Problem] = field(default_factory=list)

    def tables(self, tables: object) -> dict[str, RetryPolicy]:
        """Return the policy of each table; the default policy for one that is wrong."""
        match tables:
            case None:
                return {}
            case dict():
                return {name: self._policy(table, ("policies", name)) for name, table in tables.items()}
            case list():
                hint = 'compare = ["none", "oban"]'
                text = f"must be tables [policies.NAME]; what is compared is a list of its own: {hint}"
            case _:
                text = f"must be tables [policies.NAME], not {shown(tables)}"
        self._report(("policies",), text)
        return {}

    def names(self, compare: object, own: Mapping[str, RetryPolicy]) -> list[str]:
        """Return those names of the list `compare` that can be used."""
        if not isinstance(compare, list) or not compare:
            text = f'must be a list of policies such as ["none", "oban"], not {shown(compare)}'
            self._report(("compare",), text)
            return []
        known, names = [*own, *PRESETS], []
        for index, name in enumerate(compare):
            if not isinstance(name, str):
                self._report(("compare", index), f"must be the name of a policy, not {shown(name)}")
            elif name not in known:
                hint = did_you_mean(name, known) or f"; there are: {', '.join(known)}"
                self._report(("compare", index), f"no policy is called {shown(name)}{hint}")
            elif name in names:
                self._report(("compare", index), f"{name!r} is there twice")
            else:
                names.append(name)
        return names

    def _policy(self, table: object, path: Path) -> RetryPolicy:
        if not isinstance(table, dict):
            self._report(path, f"must be a table, not {shown(table)}")
            return RetryPolicy()
        made = self._make(RetryPolicy, _KEYS, table, path)
        return made if isinstance(made, RetryPolicy) else RetryPolicy()

    def _kind(self, value: object, kinds: Mapping[str, type], path: Path) -> object:
        """Return what ``{ kind = "full", ... }`` or ``"full"`` describes; `None` if that is wrong."""
        if isinstance(value, str):
            value = {"kind": value}
        if not isinstance(value, dict):
            self._report(path, f'must be a table such as {{ kind = "none" }}, not {shown(value)}')
        elif (kind := value.get("kind")) is None:
            self._report((*path, "kind"), f"{MISSING}: one of {', '.join(kinds)}")
        elif not isinstance(kind, str) or kind not in kinds:
            self._report((*path, "kind"), not_one_of(kind, kinds))
        else:
            rest = {key: v for key, v in value.items() if key != "kind"}
            known = {f.name: f for f in fields(kinds[kind])}
            return self._make(kinds[kind], known, rest, path)
        return None

    def _make(
        self, cls: type, known: Mapping[str, Field[Any]], table: Mapping[str, object], path: Path
    ) -> object:
        """Return ``cls(**table)``; `None`, and every problem reported, if that is not possible."""
        before = len(self.problems)
        for key in table:
            if key not in known:
                self._report((*path, key), unknown_key(key, known))
        needed = {key: f for key, f in known.items() if f.default is NO_DEFAULT}
        for key in needed:
            if key not in table:
                self._report((*path, key), MISSING)
        values = {k: self._value(known[k], v, (*path, k)) for k, v in table.items() if k in known}
        values = {key: v for key, v in values.items() if v is not _WRONG}
        while needed.keys() <= values.keys():
            try:
                return cls(**values)
            except ConfigError as error:
                key, text = _blamed(cls, str(error))
                if key in values:  # the next round finds what else is wrong
                    self._report((*path, key), text)
                    del values[key]
                    continue
                if len(self.problems) == before:  # else it may follow from those
                    self._report(path, text)
                break
        return None

    def _value(self, known: Field[Any], value: object, path: Path) -> object:
        """Return what the constructor takes for a file's `value`; `_WRONG`, reported, if nothing fits."""
        kind, optional = known.type, known.type in _OPTIONAL
        if optional and isinstance(value, str) and value.lower() == NO_LIMIT:
            return None
        if kind in (Backoff, JitterLike):
            return self._kind(value, BACKOFFS if kind == Backoff else JITTERS, path) or _WRONG
        if kind in _GUARDS:
            return self._guard(value, _GUARDS[kind], path)
        if kind in (DurationLike, DurationLike | None):
            return self._duration(value, path)
        if kind == ErrorsLike:
            return self._fits(value, (str, list), "a list of names of errors", path)
        if kind is str:
            return self._fits(value, (str,), "text in quotes", path)
        or_none = f', or "{NO_LIMIT}"' if optional else ""
        if kind in (int, int | None):
            return self._fits(value, (int,), f"a whole number{or_none}", path)
        return self._fits(value, (int, float), f"a number{or_none}", path)

    def _guard(self, value: object, cls: type[Budget] | type[Breaker], path: Path) -> object:
        """Return the budget or breaker that a table describes, or a preset's name."""
        if isinstance(value, dict):
            return self._make(cls, {f.name: f for f in fields(cls)}, value, path) or _WRONG
        presets = GUARDS[cls]
        if isinstance(value, str) and value in presets:
            return presets[value]
        hint = did_you_mean(value, presets) if isinstance(value, str) else ""
        self._report(path, f"must be a table, or one of {', '.join(presets)}; not {shown(value)}{hint}")
        return _WRONG

    def _duration(self, value: Any, path: Path) -> object:
        try:
            return checked_duration(value, from_file=True)
        except ConfigError as error:
            self._report(path, str(error))
            return _WRONG

    def _fits(self, value: object, types: tuple[type, ...], what: str, path: Path) -> object:
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _LARGEST:
            self._report(path, f"is too large a number: {shown(value)}")
        elif isinstance(value, types) and not isinstance(value, bool):
            return value
        else:
            self._report(path, f"must be {what}, not {shown(value)}")
        return _WRONG

    def _report(self, path: Path, text: str) -> None:
        self.problems.append(Problem(path, text))


_WRONG: Final = object()
_LARGEST: Final = 2**63 - 1  # what TOML promises of whole numbers
_GUARDS: Final[dict[object, type[Budget] | type[Breaker]]] = {
    Budget | None: Budget,
    Breaker | None: Breaker,
}
_OPTIONAL: Final = (DurationLike | None, int | None, float | None)


def _blamed(cls: type, message: str) -> tuple[str, str]:
    """Return the key that a constructor's error names, and the rest of its text."""
    head, _, text = message.partition(": ")
    if head == cls.__name__:
        return "", text
    key = head.removeprefix(f"{cls.__name__}.")
    return (key, text) if key.isidentifier() else ("", message)


def policy_table(policy: RetryPolicy) -> dict[str, object]:
    """Return `policy` as a table that `read_policies` reads back.

    Raises:
        ConfigError: its backoff or jitter is not one of jobsim's own.
    """
    return {key: v for key, f in _KEYS.items() if (v := _written(getattr(policy, key), f)) != []}


def _written(value: object, known: Field[Any]) -> object:
    if known.type == Backoff:
        return _kind_table(value, BACKOFFS)
    if known.type == JitterLike:
        return _kind_table(value, JITTERS)
    if isinstance(value, (Budget, Breaker)):
        return guard_table(value)
    if isinstance(value, Duration):
        return str(value)
    if isinstance(value, tuple):
        return list(value)
    if value is None:
        return [] if known.default is None else NO_LIMIT
    return value


def _kind_table(value: object, kinds: Mapping[str, type]) -> object:
    """Return the table of a backoff or jitter; only its name where all else is as by default."""
    kind = next((name for name, cls in kinds.items() if type(value) is cls), None)
    if kind is None:
        raise ConfigError(f"{value!r} cannot be written to a file; only {', '.join(kinds)} can")
    known = fields(value)  # type: ignore[arg-type]  # every one of `kinds` is a dataclass
    written = {f.name: v for f in known if (v := _written(getattr(value, f.name), f)) != []}
    return {"kind": kind, **written} if written else kind
