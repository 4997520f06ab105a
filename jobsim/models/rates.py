"""How often something happens, and how people write it."""

import re
from typing import Final, Self

from jobsim.core.errors import ConfigError
from jobsim.models.problems import shown


class Rate(float):
    """Events a second."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str, *, zero: bool = False) -> Self:
        """Return the rate that `text` spells, such as ``"12/s"``, ``"40/min"`` or ``"900/h"``.

        Raises:
            ConfigError: no unit, not positive (nor `zero`, if that will do), more than one a microsecond, or
                unreadable.
        """
        number, slash, unit = (part.strip() for part in text.partition("/"))
        if not _NUMBER.fullmatch(number) or (slash and unit not in _UNITS):
            raise ConfigError(f"{shown(text)} is not a rate; write for example '12/s', '40/min' or '900/h'")
        if not slash:
            raise ConfigError(f"{shown(text)} has no unit; write for example '{number}/s'")
        return cls.per_second(float(number) / _UNITS[unit], text, zero=zero)

    @classmethod
    def per_second(cls, value: float, written: object, *, zero: bool = False) -> Self:
        """Return `value` as a rate; `written` is what the error shows.

        Raises:
            ConfigError: not positive (nor `zero`, if that will do), or more than one a microsecond.
        """
        if zero and not value >= 0:
            raise ConfigError(f"a rate cannot be negative: {shown(written)}")
        if not zero and not value > 0:  # nor is nan
            raise ConfigError(f"a rate must be a number above zero: {shown(written)}")
        if value > _HIGHEST:
            raise ConfigError(f"a rate cannot pass one a microsecond: {shown(written)}")
        return cls(value)

    def __str__(self) -> str:
        """Return the shortest text that `parse` reads back as exactly this rate."""
        if not self:
            return "0/s"
        texts = [f"{float(self) * seconds:.12g}/{unit}" for unit, seconds in _UNITS.items()]
        exact = [text for text in texts if float(text.partition("/")[0]) and Rate.parse(text) == self]
        return min(exact, key=len, default=f"{float(self)!r}/s")

    def __repr__(self) -> str:
        return repr(str(self))


_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)
_UNITS: Final = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
_HIGHEST: Final = 1e6
