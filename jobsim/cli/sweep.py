"""``jobsim sweep``: policies compared in every cell of a matrix, told as one table and a report."""

import tomllib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobsim.cli.compare import NJobs, NoProgress, Policies, Replications
from jobsim.cli.options import Json, flag, option, usage
from jobsim.cli.output import complain, counted, note, write_json, write_text, write_wide_table
from jobsim.cli.program import ExitCode
from jobsim.cli.simulation import ScenarioFile, Seed, Storage, Store, check_directory, check_policies

if TYPE_CHECKING:
    from jobsim.sim import Scenario, Sweep


Vary = Annotated[
    list[str] | None,
    option(
        "--vary",
        metavar="KEY=A,B,C",
        help="A key of the scenario and its values, such as workers.count=2,4,8; repeatable.",
        show_default="the scenario's table [sweep]",
    ),
]

Zip = Annotated[
    bool,
    flag("--zip", help="Take the keys' values side by side, not each with each."),
]

Measures = Annotated[
    list[str] | None,
    option(
        "--measure",
        "-m",
        metavar="NAME",
        help="A measure to show; repeat it for more.",
        show_default="dead letters, p95 latency, attempts",
    ),
]

Out = Annotated[
    Path | None,
    option(
        "--out",
        metavar="DIR",
        help="Keep finished runs and a report there; the same command goes on where it was stopped.",
    ),
]


def sweep(  # noqa: PLR0913  # a command has as many options as there is to choose
    scenario: ScenarioFile,
    *,
    vary: Vary = None,
    zipped: Zip = False,
    policy: Policies = None,
    replications: Replications = 20,
    seed: Seed = None,
    n_jobs: NJobs = -1,
    storage: Storage = Store.MEMORY,
    measures: Measures = None,
    out: Out = None,
    as_json: Json = False,
    no_progress: NoProgress = False,
) -> None:
    """Compare retry policies in many variants of a scenario.

    Every cell meets the same random numbers, so that cells and policies are compared run by run.
    """
    from jobsim.analysis.sweeps import PICTURED
    from jobsim.sim import Scenario
    from jobsim.sim import sweep as run_sweep

    world = Scenario.from_toml(scenario)
    check_policies(world, policy or [])
    shown = _measures(measures or PICTURED)
    matrix = _matrix(world, vary or [], zipped=zipped)
    if out is not None:
        check_directory(out)
    with _kept(out):
        result = run_sweep(
            world,
            matrix,
            policy or None,
            replications,
            seed,
            n_jobs,
            storage.value,
            directory=out,
            progress=False if no_progress else None,
        )
    report = None if out is None else result.report(out)
    if as_json:
        write_json(_record(result, shown if measures else None, report))
    else:
        _show(result, shown)
    if report is not None:
        note(f"\nReport  {report}\nFigure  {report.with_name('overview.png')}")


@contextmanager
def _kept(out: Path | None) -> Generator[None]:
    """End as stopped where the user stops the sweep, and say what is kept."""
    try:
        yield
    except KeyboardInterrupt:
        if out is None:
            raise
        complain(f"stopped; finished runs are kept in {out}, and the same command goes on from there")
        raise typer.Exit(ExitCode.INTERRUPTED) from None


def _measures(names: "list[str] | tuple[str, ...]") -> list[str]:
    from jobsim.analysis.summary import chosen

    with usage("--measure"):
        return chosen(names)


def _matrix(world: "Scenario", vary: list[str], *, zipped: bool) -> dict[str, Any] | None:
    """Return the matrix that the options make, checked; `None` where the scenario's own is meant.

    Raises:
        typer.BadParameter: they make none, or neither they nor the scenario have one.
    """
    from jobsim.sim.matrix import Matrix

    if not vary:
        if zipped:
            raise typer.BadParameter("give the keys by --vary; a table [sweep] says combine = 'zip'")
        if world.sweep is None:
            raise typer.BadParameter(
                "nothing is to be swept; write for example --vary workers.count=2,4,8, or a table [sweep] "
                "in the scenario"
            )
        return None
    matrix: dict[str, Any] = dict(map(axis, vary)) | ({"combine": "zip"} if zipped else {})
    with usage("--vary"):
        Matrix.of(matrix).cells(world, from_file=True)
    return matrix


def axis(text: str, example: str = "workers.count=2,4,8") -> tuple[str, list[object]]:
    """Return the key and the values that ``KEY=A,B,C`` spells.

    Raises:
        typer.BadParameter: it spells none.
    """
    key, equals, values = text.partition("=")
    if not key.strip() or not equals or not values.strip():
        raise typer.BadParameter(f"write KEY=A,B,C, such as {example}; not {text!r}")
    read = _toml(values) if values.lstrip().startswith("[") else None
    if isinstance(read, list):
        return key.strip(), read
    return key.strip(), [_value(value.strip()) for value in values.split(",")]


def _value(text: str) -> object:
    """Return a number, a truth value or a table as TOML has them, and all else as text."""
    value = _toml(text)
    return text if value is None else value


def _toml(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return None


def _show(result: "Sweep", measures: list[str]) -> None:
    facts = result.facts
    write_text(" ".join(filter(None, (f"{facts['scenario']}:", result.scenario.description))))
    write_text(
        f"{counted(result.replications, 'run', 'runs')} of each policy in each of {facts['cells']} cells, "
        f"seed {facts['seed']}, on the {facts['storage']} store; mean and its 95 % confidence interval\n"
    )
    table = result.table(measures=measures).reset_index()
    rows = [[str(value) for value in row] for row in table.itertuples(index=False)]
    write_wide_table(
        [key.rpartition(".")[2] for key in result.keys] + list(table.columns[len(result.keys) :]), rows
    )


def _record(result: "Sweep", measures: list[str] | None, report: Path | None) -> dict[str, Any]:
    from jobsim.analysis.measures import MEASURES

    table = result.summary(measures=measures or list(MEASURES))
    names = list(dict.fromkeys(table.columns.get_level_values(0)))
    rows = [
        {
            "values": dict(zip(result.keys, place[:-1], strict=True)),
            "policy": place[-1],
            "measures": {name: table.loc[[place], name].iloc[0].to_dict() for name in names},
        }
        for place in table.index
    ]
    return {
        **result.facts,
        "keys": result.keys,
        "rows": rows,
        "report": None if report is None else str(report),
    }
