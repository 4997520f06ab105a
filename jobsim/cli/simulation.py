"""``jobsim run`` and ``jobsim validate``: one simulated run, and whether a file describes a world."""

import math
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobsim.cli.expected import conclude, records
from jobsim.cli.options import Json, option, usage
from jobsim.cli.output import complain, counted, note, write_json, write_table
from jobsim.cli.program import ExitCode
from jobsim.core.errors import ConfigError
from jobsim.policies import PRESETS

if TYPE_CHECKING:
    from jobsim.sim import Scenario, SimResult
    from jobsim.sim.expectations import Judgement


class Store(StrEnum):
    """The stores a simulation can run on."""

    MEMORY = "memory"
    SQLITE = "sqlite"


def policy_names() -> list[str]:
    """Return the presets, for shell completion."""
    return list(PRESETS)


ScenarioFile = Annotated[Path, typer.Argument(metavar="SCENARIO", help="A scenario file, in TOML.")]
Seed = Annotated[int | None, option("--seed", metavar="N", help="Instead of the scenario's own seed.")]
Storage = Annotated[
    Store, option("--storage", metavar="STORE", help="memory or sqlite: what the simulated engine runs on.")
]


def run(
    scenario: ScenarioFile,
    *,
    policy: Annotated[
        str,
        option(
            "--policy",
            "-p",
            metavar="NAME",
            autocompletion=policy_names,
            help="A preset, or one of the scenario's own policies.",
        ),
    ] = "full_jitter",
    seed: Seed = None,
    storage: Storage = Store.MEMORY,
    as_json: Json = False,
    out: Annotated[
        Path | None, option("--out", metavar="DIR", help="Write all jobs, attempts and events there, as CSV.")
    ] = None,
) -> None:
    """Simulate a scenario once, under one policy.

    What one run shows may be chance; 'compare' gives intervals.
    """
    from jobsim.sim import Scenario, simulate

    world = Scenario.from_toml(scenario)
    check_policies(world, [policy])
    if out is not None:
        check_directory(out)
    result = simulate(world, policy, seed, storage.value)
    files = [] if out is None else _write_tables(result, out)
    if as_json:
        write_json(_record(result) | {"files": [str(file) for file in files]})
    else:
        _show(result)
    for file in files:
        note(f"Wrote {file}")


def validate(
    scenarios: Annotated[list[Path], typer.Argument(metavar="SCENARIO", help="Scenario files, in TOML.")],
    *,
    runs: Annotated[
        int | None,
        option(
            "--run",
            min=2,
            metavar="N",
            help="Run each policy N times, too, and judge what \\[expect] says.",
            show_default="only the file is checked",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check scenario files, and show everything that is wrong, with its line.

    Exit code 99: runs break an expectation.
    """
    failed = False
    judgements: list[Judgement] = []
    for path in scenarios:
        world, error = _read(path)
        found = _judged(world, runs) if world is not None and runs is not None else []
        judgements += found
        if error is not None:
            failed = True
            complain(error)
        if as_json:
            judged = {} if runs is None else {"expectations": records(found)}
            write_json({"path": str(path), "valid": error is None, "error": error, **judged})
        elif world is not None:
            typer.echo("\n  ".join((f"{path}: valid; {_counted(world)}", *map(str, found))))
    if failed:
        raise typer.Exit(ExitCode.ERROR)
    conclude(judgements)


def _read(path: Path) -> tuple["Scenario | None", str | None]:
    """Return the scenario of a file, or all that is wrong with it."""
    from jobsim.sim import Scenario

    try:
        return Scenario.from_toml(path), None
    except ConfigError as problem:
        return None, str(problem)


def _judged(world: "Scenario", runs: int) -> list["Judgement"]:
    """Return what so many runs of each policy say of the scenario's expectations."""
    from jobsim.sim import compare

    return compare(world, replications=runs, n_jobs=-1).expectations() if world.expect else []


def check_policies(scenario: "Scenario", names: Iterable[str]) -> None:
    """Refuse the name of a policy that is neither a preset nor the scenario's own.

    Raises:
        typer.BadParameter: there is none of that name.
    """
    from jobsim.sim.simulation import policy_of

    with usage("--policy"):
        for name in names:
            policy_of(scenario, name)


def check_directory(directory: Path) -> None:
    """Make `directory` if it is not there; refuse it before a long run, not after.

    Raises:
        ConfigError: nothing can be written there.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=directory):
            pass
    except OSError as error:
        why = error.strerror or error
        raise ConfigError(
            f"nothing can be written to {str(directory)!r}: {why}; name another directory"
        ) from None


def _counted(scenario: "Scenario") -> str:
    kinds = counted(len(scenario.jobs), "kind of job", "kinds of job")
    return f"{kinds}, {counted(len(scenario.policies), 'policy', 'policies')}"


def _record(result: "SimResult") -> dict[str, Any]:
    run = result.run
    row = result.runs.iloc[0].to_dict()
    return {
        "scenario": run.scenario.name,
        "policy": row.pop("policy"),
        "definition": repr(run.policy),
        "seed": run.seed,
        "storage": run.storage,
        "measures": {name: value for name, value in row.items() if name not in {"replication", "seed"}},
        "digest": result.log.digest(),
    }


def _show(result: "SimResult") -> None:
    run = result.run
    typer.echo(f"{run.scenario.name} under {run.policy.label}, seed {run.seed}, on {run.storage}\n")
    table = result.summary()
    values = map(_quantity, table["value"].astype(float), table["unit"].astype(str))
    rows = zip(table.index, values, table["meaning"], strict=True)
    write_table(("measure", "value", "meaning"), list(rows), wrap=True)


def _quantity(value: float, unit: str) -> str:
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "never"
    shown = 100 * value if unit == "%" else value
    text = f"{shown:,.0f}" if float(shown).is_integer() else f"{shown:,.4g}"
    return f"{text} {unit}".strip()


def _write_tables(result: "SimResult", directory: Path) -> list[Path]:
    """Write each table so that its file is never there in part."""
    files = []
    for name in ("jobs", "attempts", "events"):
        path = directory / f"{name}.csv"
        partial = path.with_name(f".{path.name}.partial")
        try:
            getattr(result, name).to_csv(partial, index=False)
            partial.replace(path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise ConfigError(f"{path} cannot be written: {error.strerror or error}") from None
        files.append(path)
    return files
