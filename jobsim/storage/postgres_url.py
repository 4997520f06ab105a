"""What the URL of a PostgreSQL store says of the store, beside where its database is."""

from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode

from jobsim.core.errors import ConfigError
from jobsim.core.masking import masked

_SWITCHES: Final = {"on": True, "off": False}
_OPTIONS: Final = ("schema", "connections", "patience", "prepared", "listen")


def conninfo_and_options(url: str) -> tuple[str, dict[str, Any]]:
    """Return `url` as libpq takes it, and the options of the store that it has beside those of libpq.

    Raises:
        ConfigError: an option cannot be read, or nobody can tell where the host begins.
    """
    place, _, query = url.partition("?")
    authority, _, rest = place.partition("://")[2].partition("/")
    if authority.count("@") > 1 or "@" in rest:
        raise ConfigError(
            f"{masked(url)!r}: within a name or a password write %40 for @, %2F for /, %3A for :, %3F for ?"
        )
    given = parse_qsl(query, keep_blank_values=True)
    ours = {name: _value(name, text) for name, text in given if name in _OPTIONS}
    others = [(name, text) for name, text in given if name not in _OPTIONS]
    return f"{place}?{urlencode(others, quote_via=quote)}" if others else place, ours


def _value(name: str, text: str) -> Any:
    match name:
        case "connections" if text.isdecimal() and int(text) > 0:
            return int(text)
        case "connections":
            raise ConfigError(f"connections: {text!r} is not a whole number, at least 1")
        case "prepared" | "listen" if text in _SWITCHES:
            return _SWITCHES[text]
        case "prepared" | "listen":
            raise ConfigError(f"{name}: {text!r} is neither on nor off")
        case _:
            return text
