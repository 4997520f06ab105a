"""``jobsim equal-risk``: policies compared at attempts with which they lose the same share of jobs."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobsim.cli.compare import NJobs, NoProgress, Policies, Replications
from jobsim.cli.options import Json, option, usage
from jobsim.cli.output import counted, write_json, write_text, write_wide_table
from jobsim.cli.simulation import ScenarioFile, Seed, check_policies

if TYPE_CHECKING:
    from jobsim.sim import EqualRisk


def _risk(text: str) -> float:
    """Return the share that ``0.01`` or ``1%`` spells."""
    from jobsim.sim.expectations import bound

    try:
        written: float | str = float(text)
    except ValueError:
        written = text
    with usage("--risk"):
        return bound(written, "%")


def equal_risk(
    scenario: ScenarioFile,
    *,
    risk: Annotated[
        str,
        option("--risk", metavar="SHARE", help="The share of jobs that may be lost, such as 1% or 0.001."),
    ] = "1%",
    most: Annotated[int, option("--most", min=1, metavar="N", help="The most attempts to try.")] = 100,
    policy: Policies = None,
    replications: Replications = 20,
    seed: Seed = None,
    n_jobs: NJobs = -1,
    as_json: Json = False,
    no_progress: NoProgress = False,
) -> None:
    """Find each policy's least attempts at a risk, and compare the policies there.

    Policies of equal base, cap and attempts are not comparable; at equal risk they are.
    """
    from jobsim.sim import Scenario
    from jobsim.sim import equal_risk as calibrate

    target = _risk(risk)
    if not 0 < target < 1:
        raise typer.BadParameter(f"give a share between 0 and 1; not {risk!r}", param_hint="--risk")
    world = Scenario.from_toml(scenario)
    check_policies(world, policy or [])
    found = calibrate(
        world,
        policy or None,
        target,
        replications,
        seed,
        n_jobs,
        most=most,
        progress=False if no_progress else None,
    )
    if as_json:
        write_json(_record(found))
    else:
        _show(found)


def _show(found: "EqualRisk") -> None:
    from jobsim.analysis.wording import in_text

    comparison, table = found.comparison, found.table()
    write_text(
        f"{comparison.scenario.name}: attempts at which at most {100 * found.risk:g} % of all jobs are lost; "
        f"{counted(comparison.replications, 'fresh run', 'fresh runs')} of each, seed {comparison.seed}\n"
    )
    costs = comparison.table(measures=["attempts_per_job", "latency_p95_s"])
    rows = [
        [
            str(label),
            str(row["max_attempts"]) if row["reached"] else f"never by {row['max_attempts']}",
            in_text("dead_letter_rate", found.achieved(label)),
            *map(str, costs.loc[label]),
        ]
        for label, row in zip(found.policies, table.to_dict("records"), strict=True)
    ]
    write_wide_table(["policy", "attempts", "lost, %", *map(str, costs.columns)], rows)
    write_text(found.verdict())


def _record(found: "EqualRisk") -> dict[str, Any]:
    table = found.table()
    return {
        **found.comparison.facts,
        "risk": found.risk,
        "policies": {
            label: {**table.loc[label].to_dict(), "definition": repr(policy)}
            for label, policy in found.policies.items()
        },
        "trials": found.trials.to_dict("records"),
        "verdict": found.verdict(),
    }
