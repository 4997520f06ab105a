"""``jobsim compare``: several policies in one simulated world, told as a table, a verdict and a report."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobsim.cli.closing import next_steps
from jobsim.cli.expected import conclude, records
from jobsim.cli.options import Json, flag, option
from jobsim.cli.output import counted, note, write_json, write_text, write_wide_table
from jobsim.cli.simulation import (
    ScenarioFile,
    Seed,
    Storage,
    Store,
    check_directory,
    check_policies,
    policy_names,
)

if TYPE_CHECKING:
    from jobsim.sim import Comparison


def _not_zero(processes: int) -> int:
    if processes == 0:
        raise typer.BadParameter("give a number of processes, or -1 for one a core; not 0")
    return processes


Policies = Annotated[
    list[str] | None,
    option(
        "--policy",
        "-p",
        metavar="NAME",
        autocompletion=policy_names,
        help="A preset or one of the scenario's own policies; repeat it for more.",
        show_default="those the scenario compares",
    ),
]
Replications = Annotated[int, option("--replications", "-n", min=1, metavar="N", help="Runs of each policy.")]
NJobs = Annotated[
    int,
    option("--n-jobs", "-j", metavar="N", callback=_not_zero, help="Processes to use; -1 for one a core."),
]
Precision = Annotated[
    float | None,
    option(
        "--precision",
        min=0.001,
        max=0.99,
        metavar="SHARE",
        help="Add runs, up to 200 of each policy, until the intervals of success, p95 latency and attempts "
        "are within so much of the mean: 0.05 for 5 %. --replications is then the first look.",
    ),
]
NoProgress = Annotated[bool, flag("--no-progress", help="Show no progress bar.")]


def compare(  # noqa: PLR0913  # a command has as many options as there is to choose
    scenario: ScenarioFile,
    *,
    policy: Policies = None,
    replications: Replications = 20,
    precision: Precision = None,
    seed: Seed = None,
    n_jobs: NJobs = -1,
    storage: Storage = Store.MEMORY,
    out: Annotated[
        Path | None, option("--out", metavar="DIR", help="Write an HTML report and its figure there.")
    ] = None,
    as_json: Json = False,
    no_progress: NoProgress = False,
) -> None:
    """Compare retry policies in a scenario, with intervals.

    All policies meet the same arrivals, service times and failures. Exit code 99: the runs break an
    expectation of the scenario's table of expectations.
    """
    from jobsim.sim import Scenario
    from jobsim.sim import compare as run_comparison

    world = Scenario.from_toml(scenario)
    check_policies(world, policy or [])
    if out is not None:
        check_directory(out)
    comparison = run_comparison(
        world,
        policy or None,
        replications,
        seed,
        n_jobs,
        storage.value,
        progress=False if no_progress else None,
        precision=precision,
    )
    report = None if out is None else comparison.report(out)
    if as_json:
        write_json(_record(comparison, report))
    else:
        _tell(comparison, scenario, report)
    conclude(comparison.expectations())


def _tell(comparison: "Comparison", scenario: Path, report: Path | None) -> None:
    """Write what people read: the table, where the report is, and what to try next."""
    _show(comparison)
    if report is not None:
        note(f"\nReport  {report}\nFigure  {report.with_name('overview.png')}")
    note(next_steps(comparison, scenario, report))


def _shown(comparison: "Comparison") -> list[str]:
    """Return the measures of the table: what was lost, how long it took, what it cost."""
    runs = comparison.runs
    left = ["unfinished_rate"] if runs["unfinished"].any() else []
    back = ["recovery_s"] if runs["recovery_s"].notna().any() else []
    return ["dead_letter_rate", *left, "latency_p95_s", "attempts_per_job", *back]


def _show(comparison: "Comparison") -> None:
    """Write the table, what its numbers rest on, and what it allows to say."""
    from jobsim.analysis.measures_levels import LEFT
    from jobsim.analysis.patience import patience

    measures = _shown(comparison)
    table = comparison.table(measures=measures)
    rows = [
        [label, patience(policy), *map(str, table.loc[label])]
        for label, policy in comparison.policies.items()
    ]
    facts = comparison.facts
    write_text(" ".join(filter(None, (f"{facts['scenario']}:", comparison.description))))
    write_text(
        f"{counted(comparison.replications, 'run', 'runs')} of each policy, seed {facts['seed']}, on the "
        f"{facts['storage']} store; mean and its 95 % confidence interval\n"
    )
    write_wide_table(["policy", "gives up after", *map(str, table.columns)], rows)
    back = (
        f" Recovery: the end of the outage until {100 - 100 * LEFT:g} % of the backlog it caused is gone, "
        "done or given up."
    )
    write_text(
        "Gives up after: a job's first attempt until its last, if all fail. p95 latency: within this time "
        f"95 % of all jobs had succeeded.{back if 'recovery_s' in measures else ''}\n"
    )
    write_text(comparison.verdict())
    if judgements := comparison.expectations():
        write_text("\nExpected:")
        for judgement in judgements:
            write_text(str(judgement))


def _record(comparison: "Comparison", report: Path | None) -> dict[str, Any]:
    from jobsim.analysis.measures import MEASURES
    from jobsim.analysis.summary import interval

    policies = comparison.policies
    return {
        **comparison.facts,
        "policies": {label: repr(policy) for label, policy in policies.items()},
        "summary": {
            label: {name: interval(comparison.runs, label, name)._asdict() for name in MEASURES}
            for label in policies
        },
        "verdict": comparison.verdict(),
        "expectations": records(comparison.expectations()),
        "report": None if report is None else str(report),
    }
