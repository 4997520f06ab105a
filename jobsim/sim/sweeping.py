"""Policies in many worlds: a matrix of values for a scenario's keys, in which every cell is compared."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path

from joblib import Parallel, delayed

from jobsim.core.errors import ConfigError
from jobsim.sim.experiment import PoliciesLike, check_count, check_jobs, comparing, watched
from jobsim.sim.matrix import Cell, Matrix
from jobsim.sim.replication import replication_seed
from jobsim.sim.run_files import RunFiles, run_key, world_key
from jobsim.sim.scenario import Scenario
from jobsim.sim.simulation import check_scenario, seed_of
from jobsim.sim.sweep_result import Sweep
from jobsim.sim.sweep_task import Task, measured

MatrixLike = Matrix | Mapping[str, Sequence[object]]


def sweep(
    scenario: Scenario,
    matrix: MatrixLike | None = None,
    policies: PoliciesLike | None = None,
    replications: int = 20,
    seed: int | None = None,
    n_jobs: int | None = None,
    storage: str = "memory",
    *,
    directory: str | PathLike[str] | None = None,
    progress: bool | None = None,
) -> Sweep:
    """Compare `policies` in every cell of `matrix`, as `compare` does in one world.

    `matrix` maps dotted keys of the scenario to lists of values, each combined with each; a `Matrix` may
    say ``combine="zip"``; none given: the scenario's own table [sweep]. Replication r meets the same random
    numbers in every cell and under every policy. With `directory`, finished runs are kept there: called
    again after an interruption, only what is missing is run, and what has changed.
    `n_jobs` is joblib's, whose ``parallel_config("dask")`` spreads the runs over a cluster.

    Raises:
        ConfigError: a key or value that makes no scenario, before anything runs; see `compare` for others.
    """
    check_scenario(scenario)
    check_count(replications)
    check_jobs(n_jobs)
    if policies is not None:
        scenario = comparing(scenario, policies)
    chosen = _matrix(scenario, matrix)
    cells = chosen.cells(scenario)
    seed = seed_of(scenario, seed)
    files = None if directory is None else RunFiles(Path(directory) / "runs")
    tasks = list(_tasks(cells, replications, seed, storage, keyed=files is not None))
    measures = _run(tasks, files, n_jobs, scenario.name, progress=progress)
    rows = [
        {**cells[t.cell].values, "policy": t.label, "replication": t.number, "seed": t.seed, **found}
        for t, found in zip(tasks, measures, strict=True)
    ]
    return Sweep(scenario, chosen, seed, storage, rows)


def _matrix(scenario: Scenario, matrix: MatrixLike | None) -> Matrix:
    if matrix is None:
        if scenario.sweep is None:
            raise ConfigError(
                "matrix: nothing is to be swept; give for example {'workers.count': [2, 4, 8]}, or a table "
                "[sweep] in the scenario"
            )
        return scenario.sweep
    if isinstance(matrix, Matrix):
        return matrix
    if not isinstance(matrix, Mapping):
        raise ConfigError(f"matrix: must map dotted keys to lists of values, not {matrix!r}")
    return Matrix.of(matrix)


def _tasks(
    cells: Sequence[Cell], replications: int, seed: int, storage: str, *, keyed: bool
) -> Iterator[Task]:
    for index, cell in enumerate(cells):
        world = world_key(cell.scenario) if keyed else ""
        for label, policy in cell.scenario.policies.items():
            for number in range(replications):
                own = replication_seed(seed, number)
                key = run_key(world, policy, own, storage) if keyed else ""
                yield Task(index, cell.scenario, label, policy, number, own, storage, key)


def _run(
    tasks: Sequence[Task], files: RunFiles | None, n_jobs: int | None, name: str, *, progress: bool | None
) -> Iterable[dict[str, float]]:
    """Return the measures of all tasks, in their order; those that are kept already are not run."""
    found: dict[int, dict[str, float]] = {}
    if files is not None:
        files.prepare()
        kept = ((index, files.find(task.key)) for index, task in enumerate(tasks))
        found = {index: measures for index, measures in kept if measures is not None}
    missing = [(index, task) for index, task in enumerate(tasks) if index not in found]
    calls = [delayed(measured)(index, task) for index, task in missing]
    done = Parallel(n_jobs=n_jobs, return_as="generator_unordered")(calls)
    for index, measures in watched(done, len(calls), name, progress=progress):
        found[index] = measures
        if files is not None:
            files.keep(tasks[index].key, measures, _about(tasks[index]))
    return [found[index] for index in range(len(tasks))]


def _about(task: Task) -> dict[str, object]:
    return {
        "scenario": task.scenario.name,
        "policy": repr(task.policy),
        "seed": task.seed,
        "storage": task.storage,
    }
