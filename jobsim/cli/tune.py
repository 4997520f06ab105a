"""``jobsim tune``: the best policy of a space under a constraint, as Python and as TOML."""

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobsim.cli.compare import NJobs, NoProgress
from jobsim.cli.options import Json, option, usage
from jobsim.cli.output import complain, write_json, write_text
from jobsim.cli.program import ExitCode
from jobsim.cli.simulation import ScenarioFile, Seed, check_policies, policy_names
from jobsim.cli.sweep import axis

if TYPE_CHECKING:
    from jobsim.sim import Scenario, Tuned
    from jobsim.sim.space import Goal


Vary = Annotated[
    list[str] | None,
    option(
        "--vary",
        metavar="KEY=LOW..HIGH",
        help="A key of the policy and its range, such as backoff.base=1s..1m, or values A,B; repeatable.",
        show_default="[tune] of the scenario, or attempts, base, cap and jitter",
    ),
]

Objective = Annotated[
    str | None,
    option("--objective", metavar="NAME", help="The measure to improve.", show_default="attempts_per_job"),
]

Keep = Annotated[
    list[str] | None,
    option(
        "--keep",
        metavar="NAME<BOUND",
        help="What it must keep to, such as 'dead_letter_rate<0.1%' or 'recovery_s<5m'; repeatable.",
        show_default="dead_letter_rate<0.1%",
    ),
]

Varied = Annotated[
    str | None,
    option(
        "--policy",
        "-p",
        metavar="NAME",
        autocompletion=policy_names,
        help="The policy to vary.",
        show_default="full_jitter",
    ),
]

Trials = Annotated[int, option("--trials", min=1, metavar="N", help="Policies to try.")]

Replications = Annotated[
    int, option("--replications", "-n", min=2, metavar="N", help="Runs of each; twice as many at last.")
]


def tune(  # noqa: PLR0913  # a command has as many options as there is to choose
    scenario: ScenarioFile,
    *,
    vary: Vary = None,
    objective: Objective = None,
    constraint: Keep = None,
    policy: Varied = None,
    trials: Trials = 40,
    replications: Replications = 10,
    seed: Seed = None,
    n_jobs: NJobs = -1,
    as_json: Json = False,
    no_progress: NoProgress = False,
) -> None:
    """Search for the policy that is best by a measure and keeps a constraint.

    What is shown comes from runs that the search has not seen. Exit code 1: no policy was found.
    """
    from jobsim.sim import Scenario
    from jobsim.sim import tune as search

    world = Scenario.from_toml(scenario)
    check_policies(world, [policy] if policy else [])
    goal = _goal(world, policy, vary or [], objective, constraint or [])
    found = search(
        world,
        goal.space,
        goal.objective,
        goal.constraint,
        policy=goal.policy,
        trials=trials,
        replications=replications,
        seed=seed,
        n_jobs=n_jobs,
        progress=False if no_progress else None,
    )
    if as_json:
        write_json(_record(found))
    else:
        _show(found)
    if not found.confirmed:
        complain("no policy was found")
        raise typer.Exit(ExitCode.ERROR)


def _goal(
    world: "Scenario", policy: str | None, vary: list[str], objective: str | None, constraint: list[str]
) -> "Goal":
    """Return what is searched for, checked before anything runs."""
    from jobsim.policies import PRESETS
    from jobsim.sim.space import space
    from jobsim.sim.tuning import goal_of

    with usage("--vary"):
        dimensions = space(dict(map(_range, vary))) if vary else None
    with usage("--objective"):
        goal_of(world, None, objective, None)
    with usage("--keep"):
        goal = goal_of(world, dimensions, objective, _table(constraint) if constraint else None)
    chosen = goal if policy is None else goal.model_copy(update={"policy": policy})
    with usage("--vary"):
        chosen.check({**PRESETS, **world.policies})
    return chosen


def _range(text: str) -> tuple[str, object]:
    """Return the key and the range or list that ``KEY=LOW..HIGH`` or ``KEY=A,B,C`` spells."""
    key, _, values = text.partition("=")
    low, dots, high = values.partition("..")
    if not dots:
        return axis(text, "backoff.base=1s..1m or backoff.jitter=none,full")
    ends = [axis(f"{key}={end}", "backoff.base=1s..1m")[1][0] for end in (low, high)]
    return key.strip(), {"from": ends[0], "to": ends[1]}


_RULE = re.compile(r"\s*(\w+)\s*([<>])\s*(.+?)\s*")


def _table(rules: list[str]) -> dict[str, dict[str, object]]:
    """Return the constraint as a scenario's table has it."""
    table: dict[str, dict[str, object]] = {}
    for rule in rules:
        read = _RULE.fullmatch(rule)
        if read is None:
            raise typer.BadParameter(
                f"write NAME<BOUND or NAME>BOUND, such as 'dead_letter_rate<0.1%'; not {rule!r}",
                param_hint="--keep",
            )
        name, sign, text = read.groups()
        try:
            value: object = float(text)
        except ValueError:
            value = text
        table.setdefault(name, {})["below" if sign == "<" else "above"] = value
    return table


def _show(found: "Tuned") -> None:
    write_text(found.verdict())
    if not found.confirmed:
        return
    from jobsim.sim.toml_text import policy_text

    typer.echo(f"\nIn Python:\n{found.policy!r}\n\nIn a scenario:\n{policy_text(found.policy)}", nl=False)


def _record(found: "Tuned") -> dict[str, Any]:
    from jobsim.analysis.summary import interval

    comparison, goal = found.comparison, found.goal
    names = dict.fromkeys([goal.objective, *(one.measure for one in goal.constraint)])
    labels = [] if comparison is None else list(comparison.policies)
    return {
        "found": found.confirmed,
        "policy": repr(found.policy) if found.confirmed else None,
        "objective": goal.objective,
        "constraint": [str(one) for one in goal.constraint],
        "fresh_runs": {
            label: {name: interval(comparison.runs, label, name)._asdict() for name in names}
            for label in labels
            if comparison is not None
        },
        "verdict": found.verdict(),
        "trials": found.trials.to_dict("records"),
    }
