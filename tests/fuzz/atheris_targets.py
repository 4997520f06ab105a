"""What atheris feeds, as programs of their own: it ends the process that it runs in.

    python tests/fuzz/atheris_targets.py scenario -runs=10000

Its inputs are led by coverage, where those of Hypothesis are led by grammar. An error that is not one of
jobsim's own ends it with a report.
"""

import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import atheris

with atheris.instrument_imports(include=["jobsim", "tomlkit"]):
    from jobsim.core.errors import ConfigError, PayloadError
    from jobsim.core.time import duration
    from jobsim.live.payload import Arguments, encode
    from jobsim.live.stores import Address
    from jobsim.sim.event_file import read_events
    from jobsim.sim.scenario import Scenario

_PLACE: Final = Path(tempfile.mkdtemp(prefix="jobsim-fuzz-"))


def _order(order: int, to: list[str], more: Any = None) -> None:
    """Take an order."""


_ARGUMENTS: Final = Arguments("order", _order)


def scenario(data: bytes) -> None:
    """Read a scenario."""
    with suppress(ConfigError):
        Scenario.from_text(data.decode("utf-8", "replace"))


def payload(data: bytes) -> None:
    """Read the payload of a job, and write what was read."""
    with suppress(PayloadError):
        encode(_ARGUMENTS.decode(data.decode("utf-8", "surrogateescape")), "again")


def url(data: bytes) -> None:
    """Read the URL of a store."""
    with suppress(ConfigError):
        repr(Address.of(data.decode("utf-8", "replace")))


def length(data: bytes) -> None:
    """Read a duration."""
    with suppress(ConfigError):
        duration(data.decode("utf-8", "replace"))


def log(data: bytes) -> None:
    """Read a file of events."""
    path = _PLACE / "run.events"
    path.write_bytes(b"jobsim events 1\n" + data)
    with suppress(ConfigError):
        list(read_events(path))


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    target.__name__: target for target in (scenario, payload, url, length, log)
}

if __name__ == "__main__":
    atheris.Setup([sys.argv[0], *sys.argv[2:]], TARGETS[sys.argv[1]])
    atheris.Fuzz()
