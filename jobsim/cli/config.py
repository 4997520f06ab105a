"""The configuration file: values for options that neither the command line nor the environment gives.

It is ``jobsim.toml``, or the table ``tool.jobsim`` of ``pyproject.toml``, in the current directory, or what
``--config`` names. An option goes by its long name: at the top for every command that has it, in a
table such as ``[worker]`` or ``[jobs.list]`` for that command.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn, Self

import typer

from jobsim.core.errors import ConfigError

FILES: Final = ("jobsim.toml", "pyproject.toml")
"""Where settings are looked for, the first that has some."""

_PYPROJECT: Final = ("tool", "jobsim")
_PREFIX: Final = "JOBSIM_"
_OURS: Final = "JOBSIM_CONFIG"
_HERE: Final = "jobsim.config"
_PROBLEM: Final = "jobsim.config.problem"

_ALSO: Final = {"JOBSIM_URL": "app"}
"""What a database that commands look at is called beside its URL, be it an option or an argument."""

Table = Mapping[str, Any]
Key = tuple[str, ...]


@dataclass(slots=True)
class Config:
    """What a file sets: `defaults` as the command line's library takes them, `keys` by where each is used."""

    file: Path
    defaults: dict[str, Any] = field(default_factory=dict)
    keys: dict[Key, Key] = field(default_factory=dict)
    """The key in the file of each command's parameter: by the names of the commands and of the parameter."""

    @classmethod
    def of(cls, file: Path, root: Any) -> Self | None:
        """Return what `file` sets for the commands of `root`; `None` where it has no table for us.

        Raises:
            ConfigError: it is not TOML, sets what does not exist, or to what cannot be.
        """
        top = _PYPROJECT if file.name == "pyproject.toml" else ()
        table: Any = _read(file)
        for name in top:
            table = table.get(name) if isinstance(table, dict) else None
        if table is None:
            return None
        config = cls(file)
        problems = _Problems()
        _check(root, table, top, problems)
        if problems.found:
            _refuse(file, problems.found)
        config.defaults = config.settings(root, table, {}, top, ())
        return config

    def settings(
        self, command: Any, table: Table, above: Mapping[str, tuple[Key, Any]], place: Key, path: Key
    ) -> dict[str, Any]:
        """Return the defaults of `command` and those below it, from `above` and its own `table`."""
        below: Mapping[str, Any] = getattr(command, "commands", {})
        own = {_setting(key): ((*place, key), value) for key, value in table.items() if not _is_table(value)}
        known = {**above, **own}
        defaults: dict[str, Any] = {}
        for parameter in command.params:
            given = [known[setting] for setting in settings_of(parameter) if setting in known]
            if given:
                key, value = max(given, key=lambda found: len(found[0]))  # the nearest table's
                defaults[parameter.name] = _value(parameter, value)
                self.keys[*path, parameter.name] = key
        for name, each in below.items():
            deeper = table.get(name)
            inner = deeper if isinstance(deeper, dict) else {}
            defaults[name] = self.settings(each, inner, known, (*place, name), (*path, name))
        return defaults

    def line(self, key: Key) -> int:
        """Return the line of a key, from 1; 0 where it is not known."""
        return _lines(self.file).get(key, 0)

    def where(self, key: Key) -> str:
        """Return the file and line of a key, for people."""
        line = self.line(key)
        return f"{self.file}:{line}" if line else str(self.file)


def settings_of(parameter: Any) -> tuple[str, ...]:
    """Return what a parameter is called in a file; nothing where it can only be given on the command line."""
    variable: str | None = parameter.envvar
    if variable is None or variable == _OURS:
        return ()
    options = (name.removeprefix("--") for name in parameter.opts if name.startswith("--"))
    names = (variable.removeprefix(_PREFIX), *options, *filter(None, (_ALSO.get(variable),)))
    return tuple(dict.fromkeys(map(_setting, names)))


def variables(root: Any) -> Iterator[str]:
    """Yield the environment variables that commands read."""
    for command in getattr(root, "commands", {}).values():
        yield from variables(command)
    yield from (parameter.envvar for parameter in root.params if parameter.envvar is not None)


def configure(context: typer.Context, given: Path | None) -> Path | None:
    """Read the file that is `given`, or the one that is here, for all that follows on the command line.

    One that cannot be used is kept as a `problem`: what the command line asks for may do without.
    """
    if context.resilient_parsing:
        return given
    try:
        config = _found(context.command, given)
    except ConfigError as error:
        context.meta[_PROBLEM] = error
        return given
    if config is not None:
        context.default_map = config.defaults
        context.meta[_HERE] = config
    return given


def config_of(context: typer.Context) -> Config | None:
    """Return the configuration in force."""
    found: Config | None = context.meta.get(_HERE)
    return found


def problem(context: Any) -> ConfigError | None:
    """Return why the file that should be in force cannot be used."""
    found: ConfigError | None = context.meta.get(_PROBLEM)
    return found


def origin(context: Any, parameter: Any) -> str | None:
    """Return where in the file the value of `parameter` comes from, if it does."""
    config: Config | None = context.meta.get(_HERE)
    source = context.get_parameter_source(parameter.name)
    if config is None or source is None or source.name != "DEFAULT_MAP":
        return None
    path, at = [parameter.name], context
    while at.parent is not None:
        path.append(at.info_name)
        at = at.parent
    return config.where(config.keys[tuple(reversed(path))])


def _found(root: Any, given: Path | None) -> Config | None:
    if given is not None:
        config = Config.of(given, root)
        if config is None:
            raise ConfigError(f"{given}: it has no table [{'.'.join(_PYPROJECT)}]")
        return config
    for name in FILES:
        if Path(name).is_file() and (config := Config.of(Path(name), root)) is not None:
            return config
    return None


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_bytes().decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        from jobsim.sim.toml_source import TomlSource  # late: it loads what checks scenarios

        return TomlSource.read(file).data  # which says what is wrong


def _check(command: Any, table: Any, place: Key, problems: "_Problems") -> None:
    """Find what is wrong with a table, and with those in it."""
    if not _is_table(table):
        problems.add(place, "must be a table")
        return
    below: Mapping[str, Any] = getattr(command, "commands", {})
    known, bare = _settings_below(command), _bare_below(command)
    for key, value in table.items():
        here = (*place, key)
        if key in below and (_is_table(value) or _setting(key) not in known):
            _check(below[key], value, here, problems)
        elif _setting(key) in bare:
            problems.add(here, "is for the command line alone")
        elif _setting(key) not in known:
            problems.unknown(here, (*below, *known))
        elif _is_table(value):
            problems.add(here, "must be a value, not a table")
        else:
            for wrong in dict.fromkeys(filter(None, (_wrong(each, value) for each in known[_setting(key)]))):
                problems.add(here, wrong)


def _settings_below(command: Any) -> dict[str, list[Any]]:
    """Return the parameters of a command and of those below it, by what they are called in a file."""
    found: dict[str, list[Any]] = {}
    for parameter in command.params:
        for setting in settings_of(parameter):
            found.setdefault(setting, []).append(parameter)
    for each in getattr(command, "commands", {}).values():
        for setting, parameters in _settings_below(each).items():
            found.setdefault(setting, []).extend(parameters)
    return found


def _bare_below(command: Any) -> set[str]:
    """Return the options of a command and of those below it that only the command line gives."""
    own = {
        _setting(name.removeprefix("--"))
        for parameter in command.params
        if not settings_of(parameter)
        for name in parameter.opts
        if name.startswith("--")
    }
    return own.union(*map(_bare_below, getattr(command, "commands", {}).values()))


def _setting(name: str) -> str:
    return name.lower().replace("_", "-")


def _is_table(value: object) -> bool:
    return isinstance(value, dict)


def _is_flag(parameter: Any) -> bool:
    return bool(getattr(parameter, "is_flag", False))


def _wrong(parameter: Any, value: Any) -> str | None:
    """Return what is wrong with the form of a value; its text is read as one on the command line is."""
    if _is_flag(parameter) != isinstance(value, bool):
        return "must be true or false" if _is_flag(parameter) else "must not be true or false"
    if not isinstance(value, list):
        return None
    if not (getattr(parameter, "multiple", False) or "," in (parameter.metavar or "")):
        return "must be one value, not a list"
    return None if all(isinstance(each, str | int | float) for each in value) else "must be a list of values"


def _value(parameter: Any, value: Any) -> Any:
    """Return a value as the command line would give it."""
    if _is_flag(parameter):
        return value
    if getattr(parameter, "multiple", False):
        return [str(each) for each in value] if isinstance(value, list) else [str(value)]
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


class _Problems:
    """What is wrong with a file: keys, each with a sentence that goes on from it."""

    def __init__(self) -> None:
        self.found: list[tuple[Key, str]] = []

    def add(self, key: Key, text: str) -> None:
        self.found.append((key, text))

    def unknown(self, key: Key, known: tuple[str, ...]) -> None:
        from jobsim.models.problems import unknown_key  # late: it loads what checks scenarios

        self.add(key, unknown_key(key[-1], known))


def _refuse(file: Path, problems: list[tuple[Key, str]]) -> NoReturn:
    from jobsim.models.problems import Problem
    from jobsim.sim.toml_source import TomlSource

    raise TomlSource.read(file).error(Problem(key, text) for key, text in problems)


def _lines(file: Path) -> Mapping[Any, int]:
    from jobsim.sim.toml_source import TomlSource

    try:
        return TomlSource.read(file).lines
    except ConfigError:  # it was changed meanwhile
        return {}
