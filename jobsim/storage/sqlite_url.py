"""What the URL of a SQLite store says: the file, and how it is to be written."""

from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

from jobsim.core.errors import ConfigError, did_you_mean
from jobsim.core.masking import masked
from jobsim.core.time import SECOND, duration

_OPTIONS: Final = ("durability", "busy_timeout", "shared")
_KNOWN: Final = "durability (full or normal), busy_timeout (such as 5s) and shared (true or false)"
_SWITCHES: Final = {"true": True, "false": False}
_LONGEST: Final = 60 * SECOND


def file_and_options(url: str) -> tuple[Path | None, dict[str, Any]]:
    """Return the file that `url` names, `None` for memory, and the options of `SqliteStorage` it has.

    A relative path is taken from the current directory.

    Raises:
        ConfigError: it cannot be read, or asks for what there is not.
    """
    place, _, query = url.partition("?")
    path = _path(url, place.partition("://")[2])
    options: dict[str, Any] = {}
    for name, text in parse_qsl(query, keep_blank_values=True):
        if name in options:
            raise ConfigError(f"{masked(url)!r} says {name} twice; say it once")
        options[name] = _value(url, name, text, in_memory=path is None)
    return path, options


def _path(url: str, rest: str) -> Path | None:
    if rest in {"", "/:memory:"}:
        return None
    if not rest.startswith("/"):
        raise ConfigError(
            f"{masked(url)!r} has two slashes, after which a host would come; write sqlite:///{masked(rest)}"
        )
    path = rest.removeprefix("/")
    if not path or path.endswith("/"):
        raise ConfigError(f"{masked(url)!r} names no file; write for example sqlite:///jobs.db")
    if strange := next((c for c in path if c == "#" or not c.isprintable()), None):
        raise ConfigError(f"{masked(url)!r}: the path may not contain {strange!r}")
    return Path(path).absolute()


def _value(url: str, name: str, text: str, *, in_memory: bool) -> Any:
    from jobsim.storage.sqlite_connection import Durability  # with the driver, which only some processes need

    match name:
        case "durability":
            choices = (Durability.NONE,) if in_memory else (Durability.FULL, Durability.NORMAL)
            if text not in choices:
                kept = "memory has durability" if in_memory else "a file is written with durability"
                hint = did_you_mean(text, choices)
                raise ConfigError(f"{masked(url)!r}: {kept} {' or '.join(choices)}, not {text!r}{hint}")
            return Durability(text)
        case "busy_timeout":
            patience = duration(text, name)
            if patience > _LONGEST:
                raise ConfigError(f"busy_timeout: {text!r} is too long; a minute is the most")
            return patience
        case "shared" if text in _SWITCHES:
            return _SWITCHES[text]
        case "shared":
            raise ConfigError(f"{masked(url)!r}: shared is true or false, not {text!r}")
        case _:
            hint = did_you_mean(name, _OPTIONS)
            raise ConfigError(
                f"{masked(url)!r}: there is no option {name!r}{hint}; a SQLite store has {_KNOWN}"
            )
