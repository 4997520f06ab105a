"""One run of one policy, reduced to numbers where it ran: what travels back from a worker process."""

from dataclasses import dataclass

import numpy as np

from jobsim.analysis.checks import broken_laws
from jobsim.analysis.curves import Curves, Grid
from jobsim.analysis.measures import measures
from jobsim.analysis.observed import Level, Observed, Outage, Setting
from jobsim.core.errors import SelfCheckFailed
from jobsim.core.policy import RetryPolicy
from jobsim.core.streams import Streams
from jobsim.models.dependency import Server
from jobsim.models.failures import Outage as OutageModel
from jobsim.sim.scenario import Scenario
from jobsim.sim.world import Run, run_world


@dataclass(frozen=True, slots=True)
class Replication:
    """The result of one run: its place in the comparison, its measures and its curves."""

    label: str
    number: int
    seed: int
    measures: dict[str, float]
    curves: Curves


def replicate(
    scenario: Scenario, label: str, policy: RetryPolicy, number: int, seed: int, storage: str
) -> Replication:
    """Run `scenario` once and return its numbers; the event log is dropped."""
    run = run_world(scenario, policy, seed, storage)
    seen = observed(run)
    return Replication(label, number, seed, measures(seen), Curves.of(seen, grid_of(scenario)))


def replication_seed(seed: int, number: int) -> int:
    """Return the seed of replication `number`, the same for every policy; below 2^53.

    So small that it survives a table's float columns and JSON.
    """
    return Streams(seed).child(number).seed & ((1 << 53) - 1)


def observed(run: Run) -> Observed:
    """Return `run` as measures see it, once it has passed the checks that every run must pass.

    Raises:
        SelfCheckFailed: it breaks a law that every run keeps.
    """
    calls = {name: log.calls() for name, log in run.calls.items()}
    seen = Observed.of(run.log, setting_of(run), calls)
    if broken := broken_laws(seen):
        raise SelfCheckFailed(
            f"scenario {run.scenario.name!r} under {run.policy.label!r}, seed {run.seed}, on the "
            f"{run.storage} store: its numbers cannot be trusted, since it breaks what every run keeps: "
            f"{'; '.join(broken)}. That is a fault of jobsim, or of a store or model of your own. "
            f"simulate(scenario, {run.policy.label!r}, seed={run.seed}, storage={run.storage!r}) repeats it; "
            "jobsim.sim.world.run_world, with the same arguments, returns its log unchecked"
        )
    return seen


def setting_of(run: Run) -> Setting:
    """Return what the log of `run` does not say."""
    scenario = run.scenario
    return Setting(
        began=run.began,
        ended=run.ended,
        horizon_s=scenario.horizon.seconds,
        slots=slots_of(run),
        outages=outages_of(scenario),
        resubmits=max(job.resubmit.times if job.resubmit else 0 for job in scenario.jobs),
    )


def slots_of(run: Run) -> float:
    """Return how many slots there were, on average while jobs arrived where that changed by intent.

    0, not known, where each worker goes by its own clock: the times of such a log do not add up.
    """
    scenario = run.scenario
    crews = scenario.workers.crews
    clocks = any(crew.clock is not None for crew in crews)
    if clocks and scenario.storage is not None and scenario.storage.clock == "own":
        return 0
    if all(crew.autoscale is None for crew in crews):
        return sum(crew.count * crew.slots for crew in crews)
    at, _, slots = np.array(run.headcounts, dtype=np.int64).T
    return Level(at, slots).average(run.began, run.began + scenario.horizon)


def outages_of(scenario: Scenario) -> tuple[Outage, ...]:
    """Return the outages of all kinds of job and of dependencies, each window once."""
    struck = [job.failures for job in scenario.jobs]
    struck += [called.failures for called in scenario.dependencies if isinstance(called, Server)]
    windows = {
        Outage(
            model.start.seconds,
            (model.start + model.duration) / 1e6,
            (model.start + model.duration + model.recovery) / 1e6,
        )
        for failures in struck
        for model in failures
        if isinstance(model, OutageModel)
    }
    return tuple(sorted(windows))


def grid_of(scenario: Scenario) -> Grid:
    """Return the bins of time that all runs of `scenario` share."""
    return Grid.over(scenario.horizon.seconds, scenario.horizon.seconds + scenario.drain.seconds)
