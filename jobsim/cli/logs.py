"""What a worker logs, on stderr: lines for people, or an object of JSON each, for programs."""

import json
import logging
from enum import StrEnum
from typing import Final

from jobsim.cli.output import iso, note, printable
from jobsim.core.time import SECOND, Instant

_KNOWN: Final = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "utc"})
"""What every record has; the rest is what a caller has given it as ``extra``."""

_log: Final = logging.getLogger("jobsim.worker")


class Level(StrEnum):
    """How much a worker tells."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Format(StrEnum):
    """How it tells it."""

    TEXT = "text"
    JSON = "json"


def log_to_stderr(level: Level, form: Format = Format.TEXT) -> None:
    """Write what is logged from `level` on to stderr, with its time."""
    handler = logging.StreamHandler()
    handler.addFilter(_stamp)
    match form:
        case Format.TEXT:
            handler.setFormatter(_Printable("%(utc)s %(levelname)-7s %(name)s: %(message)s"))
        case Format.JSON:
            handler.setFormatter(_JsonLines())
    logging.basicConfig(level=level.value.upper(), handlers=[handler])


def announce(text: str, form: Format) -> None:
    """Say `text` to people, or where programs read, as a record among the others."""
    match form:
        case Format.TEXT:
            note(text)
        case Format.JSON:
            _log.info("%s", text)


class _Printable(logging.Formatter):
    """Escapes what would steer a terminal: tracebacks hold what handlers were given."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


class _JsonLines(logging.Formatter):
    """Writes ``time``, ``level``, ``logger``, ``message``, all that is ``extra``, and ``exception``."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": vars(record).get("utc"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        extra = {name: value for name, value in vars(record).items() if name not in _KNOWN}
        if record.exc_info:
            extra["exception"] = self.formatException(record.exc_info)
        # What a caller calls as we do is his own affair: ours stand.
        return json.dumps(extra | fields, default=str)


def _stamp(record: logging.LogRecord) -> bool:
    """Give a record its time as every other time is written."""
    record.utc = iso(Instant(round(record.created * SECOND)), "milliseconds")
    return True
