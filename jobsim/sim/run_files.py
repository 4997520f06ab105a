"""Finished runs as files, each called by a hash of all that its numbers depend on.

So an interrupted sweep goes on where it was, and a run is made again once anything that it depends on
has changed: the scenario, the policy, the seed, the store, or the engine's own code.
"""

import json
import os
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from hashlib import file_digest, sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from jobsim.core.errors import ConfigError
from jobsim.core.policy import RetryPolicy
from jobsim.models.recorded import file_stamp
from jobsim.sim.scenario import Scenario

FORMAT: Final = 1
_ENGINE: Final = ("analysis", "core", "models", "runtime", "sim", "storage", "worker")
_LIBRARIES: Final = ("numpy", "scipy", "simpy")
_NOT_MEASURED: Final = {"schema_", "name", "description", "seed", "policies", "expect", "sweep", "tune"}


@dataclass(frozen=True, slots=True)
class RunFiles:
    """The finished runs in one directory; each file is there whole or not at all."""

    directory: Path

    def prepare(self) -> None:
        """Make the directory.

        Raises:
            ConfigError: that is not possible.
        """
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._unwritable(error) from None

    def find(self, key: str) -> dict[str, float] | None:
        """Return the measures of the run called `key`; `None` if it is not there or not readable."""
        try:
            record = json.loads(self._path(key).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if not isinstance(record, dict) or record.get("key") != key or record.get("format") != FORMAT:
            return None
        measures = record.get("measures")
        return (
            {name: float(value) for name, value in measures.items()} if isinstance(measures, dict) else None
        )

    def keep(self, key: str, measures: dict[str, float], about: dict[str, object]) -> None:
        """Write the measures of a run; `about` is for people who look into the file.

        Raises:
            ConfigError: it cannot be written.
        """
        path = self._path(key)
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        record = {"format": FORMAT, "key": key, "jobsim": jobsim_version(), **about, "measures": measures}
        try:
            partial.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
            partial.replace(path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise self._unwritable(error) from None

    def _path(self, key: str) -> Path:
        return self.directory / f"{key}.json"

    def _unwritable(self, error: OSError) -> ConfigError:
        why = error.strerror or error
        return ConfigError(
            f"finished runs cannot be kept in {str(self.directory)!r}: {why}; name another directory"
        )


def run_key(world: str, policy: RetryPolicy, seed: int, storage: str) -> str:
    """Return the name of a run's file: a hash of `world_key` and all else that its numbers depend on.

    Raises:
        ConfigError: the policy has a part whose repr does not say what it is.
    """
    text = repr(replace(policy, name=""))
    if " at 0x" in text:
        raise ConfigError(
            f"policy {policy.label!r}: {text} does not say what it does, so its runs cannot be kept and "
            "found again; give its class a __repr__ (a dataclass has one)"
        )
    return _hash(world, text, str(seed), storage)


def world_key(scenario: Scenario) -> str:
    """Return a hash of the world of `scenario`, its files included, and of the engine: what runs depend on.

    Raises:
        ConfigError: one of the files cannot be read any more.
    """
    tree = scenario.model_dump(mode="json", by_alias=True, exclude=_NOT_MEASURED)
    files = [_content(path, *file_stamp(path)) for path in scenario.files()]
    return _hash(engine_fingerprint(), json.dumps(tree, sort_keys=True), *files)


@lru_cache(maxsize=64)
def _content(path: str, *_: int) -> str:
    """Return a hash of what is in a file; it is read again once its stamp is another."""
    try:
        with Path(path).open("rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from None


@cache
def engine_fingerprint() -> str:
    """Return a hash of the code that makes a run's numbers: the engine's own, and its libraries' versions."""
    package = Path(__file__).parents[1]
    files = sorted(
        path for part in _ENGINE for path in (package / part).rglob("*") if path.suffix in {".py", ".sql"}
    )
    code = [
        f"{path.relative_to(package).as_posix()} {sha256(path.read_bytes()).hexdigest()}" for path in files
    ]
    return _hash(jobsim_version(), *(f"{name} {version(name)}" for name in _LIBRARIES), *code)


def jobsim_version() -> str:
    """Return the version of jobsim; ``unknown`` in a source tree that is not installed."""
    try:
        return version("jobsim")
    except PackageNotFoundError:
        return "unknown"


def _hash(*parts: str) -> str:
    return sha256("\0".join(parts).encode()).hexdigest()[:32]
