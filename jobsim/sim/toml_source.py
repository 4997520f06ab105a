"""A TOML text and where its keys stand, so that an error can name file, line and key.

The keys' lines are found here and not by tomlkit: it regroups an array of tables that other tables
interrupt, which loses the order a scenario's ``[[jobs]]`` and ``[workers]`` were written in.
"""

import os
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, Final, Self

from jobsim.core.errors import ConfigError, did_you_mean
from jobsim.models.problems import Path, Problem

_SHOWN: Final = 100
_PLACE: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


@dataclass(frozen=True, slots=True)
class TomlSource:
    """A parsed TOML text: its `data`, and the line (from 1) of every key and list entry."""

    name: str
    text: str
    data: dict[str, Any]
    lines: dict[Path, int]

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """Return the parsed file.

        Raises:
            ConfigError: it cannot be read, or is not TOML.
        """
        name = os.fspath(path)
        try:
            text = FilePath(name).read_bytes().decode("utf-8-sig")
        except FileNotFoundError:
            raise ConfigError(f"{name}: there is no such file{_similar(FilePath(name))}") from None
        except IsADirectoryError:
            raise ConfigError(f"{name}: is a directory, not a file") from None
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            raise ConfigError(
                f"{name}:{line}: is not UTF-8 text (byte 0x{error.object[error.start]:02x}); save it as UTF-8"
            ) from None
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise ConfigError(f"{name}: cannot be read: {reason}") from None
        return cls.parse(text, name)

    @classmethod
    def parse(cls, text: str, name: str) -> Self:
        """Return the parsed `text`; `name` is what errors call it.

        Raises:
            ConfigError: it is not TOML.
        """
        try:
            return cls(name, text, tomllib.loads(text), _Scan(text).document())
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(_not_toml(text, name, str(error))) from None
        except RecursionError:
            raise ConfigError(f"{name}: lists or tables are nested too deeply") from None
        except ValueError as error:  # such as a number of five thousand digits
            raise ConfigError(f"{name}: not TOML: {str(error).partition(':')[0]}") from None

    def error(self, problems: Iterable[Problem]) -> ConfigError:
        """Return one error that tells all `problems`, in the order of the text."""
        placed = sorted(((self._line(p.path), p) for p in problems), key=lambda pair: pair[0] or 0)
        return ConfigError("\n".join(self._report(line, problem) for line, problem in placed))

    def _line(self, path: Path) -> int | None:
        """Return the line of `path`, else of the nearest table around it that has one."""
        places = (self.lines.get(path[:size]) for size in range(len(path), 0, -1))
        return next((line for line in places if line is not None), None)

    def _report(self, line: int | None, problem: Problem) -> str:
        if line is None:
            return f"{self.name}:1: {problem}"
        return f"{self.name}:{line}: {problem}\n{_quoted(self.text, line)}"


def _quoted(text: str, line: int) -> str:
    source = "".join(c if c.isprintable() else " " for c in text.split("\n")[line - 1]).strip()
    return f"{line:>7} | {source if len(source) <= _SHOWN else source[:_SHOWN] + '...'}"


def _not_toml(text: str, name: str, message: str) -> str:
    place = _PLACE.search(message)
    what = message[: place.start()] if place else message
    lines = text.split("\n")
    line, column = (len(lines), len(lines[-1]) + 1)
    if place and place[1]:
        line, column = int(place[1]), int(place[2])
    if "{" in lines[line - 1] and column > len(lines[line - 1]):
        what += " (a table in braces ends on the line it began on)"
    return f"{name}:{line}:{column}: not TOML: {what}\n{_quoted(text, line)}"


def _similar(path: FilePath) -> str:
    try:
        return did_you_mean(path.name, (file.name for file in path.parent.glob("*.toml")))
    except (OSError, ValueError):
        return ""


_TOKEN: Final = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\])*"'
    r"|'[^']*'"
    r"|\#[^\n]*"
    r"|[\n\[\]{},=.]"
    r"|[^\s\[\]{},=.\#\"']+",
    re.DOTALL,
)


@dataclass(slots=True)
class _Scan:
    """Walks a text that is known to be TOML, and notes the line of every key and list entry."""

    text: str
    lines: dict[Path, int] = field(default_factory=dict)
    _tokens: list[tuple[str, int]] = field(default_factory=list)
    _at: int = 0
    _last: dict[Path, int] = field(default_factory=dict)  # of each array of tables

    def document(self) -> dict[Path, int]:
        """Return the line, from 1, of every key and list entry."""
        line, end = 1, 0
        for match in _TOKEN.finditer(self.text):
            line += self.text.count("\n", end, match.start())
            if not match[0].startswith("#"):
                self._tokens.append((match[0], line))
            line += match[0].count("\n")
            end = match.end()
        table: Path = ()
        while self._at < len(self._tokens):
            match self._token:
                case "\n":
                    self._at += 1
                case "[":
                    table = self._header()
                case _:
                    self._pair(table)
        return self.lines

    @property
    def _token(self) -> str:
        return self._tokens[self._at][0] if self._at < len(self._tokens) else "\n"

    def _header(self) -> Path:
        """Read ``[a.b]`` or ``[[a.b]]`` and return the path of the table it opens."""
        line = self._tokens[self._at][1]
        brackets = 2 if self._tokens[self._at + 1][0] == "[" else 1
        self._at += brackets
        path: Path = ()
        keys = self._keys("]")
        self._at += brackets
        for depth, key in enumerate(keys, 1):
            path = (*path, key)
            self.lines.setdefault(path, line)
            if brackets == 2 and depth == len(keys):
                self._last[path] = self._last.get(path, -1) + 1
            if path in self._last:
                path = (*path, self._last[path])
                self.lines.setdefault(path, line)
        return path

    def _keys(self, end: str) -> list[str]:
        keys = []
        while self._token != end:
            if self._token != ".":
                keys.append(_key(self._token))
            self._at += 1
        return keys

    def _pair(self, table: Path) -> None:
        line, path = self._tokens[self._at][1], table
        for key in self._keys("="):
            path = (*path, key)
            self.lines.setdefault(path, line)
        self._at += 1
        self._value(path)

    def _value(self, path: Path) -> None:
        opened = self._token
        if opened not in ("[", "{"):
            while self._token not in ("\n", ",", "]", "}"):
                self._at += 1
            return
        self._at += 1
        index = 0
        while self._token not in ("]", "}"):
            if self._token in ("\n", ","):
                self._at += 1
            elif opened == "{":
                self._pair(path)
            else:
                self.lines[(*path, index)] = self._tokens[self._at][1]
                self._value((*path, index))
                index += 1
        self._at += 1


def _key(token: str) -> str:
    """Return the key that `token` spells: bare, or quoted as TOML quotes text."""
    return tomllib.loads(f"key = {token}")["key"] if token[0] in "\"'" else token
