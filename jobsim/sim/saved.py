"""Results on disk: a directory with the runs as Parquet and what must be known about them as JSON.

``about.json`` is written last and holds the hashes of the other files, so that a directory is whole or
refused.
"""

import json
from collections.abc import Iterable
from dataclasses import fields
from hashlib import sha256
from importlib import import_module
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from jobsim.analysis.curves import Curves, Profiles
from jobsim.analysis.measures import MEASURES
from jobsim.analysis.report import write_files
from jobsim.core.errors import ConfigError
from jobsim.sim.replication import grid_of, outages_of
from jobsim.sim.run_files import engine_fingerprint, jobsim_version
from jobsim.sim.scenario import Scenario

FORMAT: Final = 1
"""The version of the format that this version of jobsim writes; older ones are read, newer ones refused."""

_ABOUT: Final = "about.json"
_RUNS: Final = "runs.parquet"
_CURVES: Final = "curves.parquet"
_CURVE_NAMES: Final = tuple(field.name for field in fields(Curves))


def save(
    directory: str | PathLike[str],
    kind: str,
    scenario: Scenario,
    runs: pd.DataFrame,
    facts: dict[str, object],
    profiles: Profiles | None = None,
) -> Path:
    """Write a result of the given `kind` into `directory` and return that.

    Raises:
        ConfigError: pyarrow is not installed, a policy cannot be written to a file, or the disk refuses.
    """
    _pyarrow()
    text = _text(scenario)
    files = {_RUNS: _parquet(runs)}
    if profiles is not None:
        files[_CURVES] = _parquet(_curves_table(profiles))
    about = {
        "format": FORMAT,
        "kind": kind,
        "jobsim": jobsim_version(),
        "engine": engine_fingerprint(),
        **facts,
        "warm_up_s": 0.0,  # runs are terminating: they begin empty and are measured from their beginning
        "scenario_sha256": sha256(text.encode()).hexdigest(),
        "files": {name: sha256(content).hexdigest() for name, content in files.items()},
        "scenario_toml": text,
    }
    files[_ABOUT] = (json.dumps(about, indent=1) + "\n").encode()
    return write_files(directory, files, "the result").parent


def load(
    directory: str | PathLike[str], kind: str
) -> tuple[dict[str, Any], Scenario, pd.DataFrame, Profiles | None]:
    """Return what `save` wrote: the facts, the scenario, the runs and the curves, if it has any.

    Raises:
        ConfigError: there is no such result, it is damaged, or a newer version of jobsim wrote it.
    """
    _pyarrow()
    home = Path(directory)
    about = _about(home, kind)
    text = str(about["scenario_toml"])
    if sha256(text.encode()).hexdigest() != about["scenario_sha256"]:
        raise _damaged(home / _ABOUT, "its scenario is not the one that was run")
    tables = {name: _read(home / name, digest) for name, digest in about["files"].items()}
    scenario = Scenario.from_text(text, str(home / _ABOUT))
    curves = tables.get(_CURVES)
    runs = _with_all_measures(tables[_RUNS])
    return about, scenario, runs, None if curves is None else _profiles(scenario, curves)


def _pyarrow() -> None:
    try:
        import_module("pyarrow")
    except ImportError as error:
        raise ConfigError(
            f"results are saved as Parquet, which needs pyarrow ({error}); run: pip install pyarrow"
        ) from None


def _text(scenario: Scenario) -> str:
    try:
        return scenario.to_toml()
    except ConfigError as error:
        raise ConfigError(f"the result cannot be saved, for its scenario cannot: {error}") from None


def _parquet(table: pd.DataFrame) -> bytes:
    buffer = BytesIO()
    table.to_parquet(buffer, engine="pyarrow", index=False)
    return buffer.getvalue()


def _about(home: Path, kind: str) -> dict[str, Any]:
    path = home / _ABOUT
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file; {kind}.save(directory) writes it") from None
    except (OSError, ValueError) as error:
        raise _damaged(path, str(error)) from None
    if not isinstance(about, dict) or not isinstance(about.get("format"), int):
        raise _damaged(path, "it names no format")
    if about["format"] > FORMAT:
        raise ConfigError(
            f"{path}: was written by jobsim {about.get('jobsim')} in format {about['format']}; this version "
            f"reads {FORMAT} at most; upgrade jobsim to read it"
        )
    if about.get("kind") != kind:
        raise ConfigError(f"{path}: is a {about.get('kind')}, no {kind}")
    return about


def _read(path: Path, digest: str) -> pd.DataFrame:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _damaged(path, error.strerror or str(error)) from None
    if sha256(content).hexdigest() != digest:
        raise _damaged(path, f"it is not the file that {_ABOUT} was written with")
    return pd.read_parquet(BytesIO(content), engine="pyarrow")


def _damaged(path: Path, why: str) -> ConfigError:
    return ConfigError(f"{path}: cannot be read as a result: {why}; save it again")


def _with_all_measures(runs: pd.DataFrame) -> pd.DataFrame:
    """Return `runs` with a column, unknown, for every measure that the version which wrote them had not."""
    missing = [name for name in MEASURES if name not in runs.columns]
    return runs.assign(**dict.fromkeys(missing, np.nan))


def _curves_table(profiles: Profiles) -> pd.DataFrame:
    """Return a row a run: `policy`, and each curve as a list."""
    labels = list(profiles.load)
    rows = [
        {"policy": label, **{name: list(getattr(profiles, name)[label][run]) for name in _CURVE_NAMES}}
        for label in labels
        for run in range(len(profiles.load[label]))
    ]
    return pd.DataFrame(rows)


def _profiles(scenario: Scenario, table: pd.DataFrame) -> Profiles:
    curves = {
        str(label): [Curves(**one) for one in _arrays(part)]
        for label, part in table.groupby("policy", sort=False)
    }
    return Profiles.of(grid_of(scenario), scenario.horizon.seconds, outages_of(scenario), curves)


def _arrays(part: pd.DataFrame) -> Iterable[dict[str, Any]]:
    for row in part.to_dict("records"):
        yield {name: np.asarray(row[name], np.float64) for name in _CURVE_NAMES}
