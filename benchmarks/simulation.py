"""What the real engine costs under SimPy, against the model that a user would have written instead.

Four simulations of one world, in turn: M/M/4 at 80 % offered load, where an attempt fails with probability
0.2 and is tried again after 1, 2, 4, 8 s, five attempts at the most. What counts is the ratio to the
textbook model within one run of this script: machines are shared and drift.

    python benchmarks/simulation.py [--jobs 200000] [--repeats 3] [--json]
"""

import argparse
import gc
import json
import random
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import simpy

from jobsim.analysis.measures import measures
from jobsim.analysis.observed import Observed
from jobsim.sim.scenario import Scenario
from jobsim.sim.world import run_world

SERVERS = 4
FAILURE = 0.2
ATTEMPTS = 5
ATTEMPTS_A_JOB = (1 - FAILURE**ATTEMPTS) / (1 - FAILURE)
RATE = 0.8 * SERVERS / ATTEMPTS_A_JOB  # a second; service takes one second on average


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a model says of the world, so that one can see that all speak of the same."""

    jobs: int
    attempts_a_job: float
    sojourn_s: float


def textbook(jobs: int, seed: int) -> Outcome:
    """A process a job, and a `Resource`: the model in every SimPy tutorial. It keeps one number a job."""
    draw = random.Random(seed)
    world = simpy.Environment()
    servers = simpy.Resource(world, SERVERS)
    sojourns: list[float] = []
    attempts = 0

    def job() -> Any:
        nonlocal attempts
        arrived = world.now
        for attempt in range(ATTEMPTS):
            with servers.request() as request:
                yield request
                yield world.timeout(draw.expovariate(1))
            attempts += 1
            if draw.random() >= FAILURE:
                break
            if attempt + 1 < ATTEMPTS:
                yield world.timeout(2.0**attempt)
        sojourns.append(world.now - arrived)

    def arrivals() -> Any:
        for _ in range(jobs):
            yield world.timeout(draw.expovariate(RATE))
            world.process(job())

    world.process(arrivals())
    world.run()
    return Outcome(jobs, attempts / jobs, statistics.fmean(sojourns))


def ciw_model(jobs: int, seed: int) -> Outcome:
    """Ciw, with a node that serves and a node without limit that waits."""
    import ciw

    class Backoff(ciw.dists.Distribution):  # type: ignore[misc]  # Ciw has no types
        def sample(self, t: float | None = None, ind: Any = None) -> float:
            return float(2.0 ** (ind.tries - 1))

    class TryAgain(ciw.routing.NodeRouting):  # type: ignore[misc]
        def next_node(self, ind: Any) -> Any:
            ind.tries = getattr(ind, "tries", 0) + 1
            if ind.tries < ATTEMPTS and ciw.rng.random() < FAILURE:
                return self.simulation.nodes[2]
            return self.simulation.nodes[-1]

    ciw.seed(seed)
    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Exponential(RATE), None],
        service_distributions=[ciw.dists.Exponential(1), Backoff()],
        number_of_servers=[SERVERS, float("inf")],
        routing=ciw.routing.NetworkRouting(routers=[TryAgain(), ciw.routing.Direct(to=1)]),
    )
    simulation = ciw.Simulation(network)
    simulation.simulate_until_max_customers(jobs, method="Finish")
    first: dict[int, float] = {}
    last: dict[int, float] = {}
    attempts = 0
    for record in simulation.get_all_records():
        first[record.id_number] = min(record.arrival_date, first.get(record.id_number, record.arrival_date))
        last[record.id_number] = max(record.exit_date, last.get(record.id_number, 0.0))
        attempts += record.node == 1
    return Outcome(jobs, attempts / jobs, statistics.fmean(last[i] - first[i] for i in last))


def engine(storage: str) -> Callable[[int, int], Outcome]:
    """Return the real engine with its full event log, on the store called `storage`."""

    def run(jobs: int, seed: int) -> Outcome:
        world = Scenario.from_text(
            f"""
            name = "mm4"
            horizon = "{jobs / RATE:.6f}s"
            compare = ["retry"]
            workers = {{ count = 1, slots = {SERVERS}, lease = "10m" }}
            [[jobs]]
            kind = "job"
            arrivals = {{ process = "poisson", rate = "{RATE!r}/s" }}
            service = {{ dist = "exponential", mean = "1s" }}
            failures = [{{ model = "independent", probability = {FAILURE} }}]
            [policies.retry]
            max_attempts = {ATTEMPTS}
            backoff = {{ kind = "exponential", base = "1s" }}
            """
        )
        log = run_world(world, world.policies["retry"], seed, storage).log
        return _counted(log)

    return run


_logs: list[Any] = []


def _counted(log: Any) -> Outcome:
    """Keep the log for later: to analyse it is no part of the simulation."""
    _logs.append(log)
    return Outcome(len(log.jobs), np.nan, np.nan)


def _analysed(outcome: Outcome) -> Outcome:
    if not _logs:
        return outcome
    run = Observed.of(_logs.pop())
    jobs = run.history.jobs
    sojourn = (jobs.finished - jobs.created)[jobs.finished >= 0]
    return Outcome(outcome.jobs, measures(run)["attempts_per_job"], float(sojourn.mean()) / 1e6)


MODELS: dict[str, Callable[[int, int], Outcome]] = {
    "textbook SimPy Resource": textbook,
    "Ciw": ciw_model,
    "jobsim on memory": engine("memory"),
    "jobsim on SQLite :memory:": engine("sqlite"),
}


def timed(model: Callable[[int, int], Outcome], jobs: int, seed: int) -> tuple[float, Outcome]:
    """Return jobs per CPU second of this process, and what the model said."""
    gc.collect()
    began = time.process_time()
    outcome = model(jobs, seed)
    spent = time.process_time() - began
    return outcome.jobs / spent, _analysed(outcome)


def main() -> None:
    """Run all models in turn, `--repeats` times, and print medians."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="one object a line")
    options = parser.parse_args()
    try:
        import_module("ciw")
    except ImportError:
        print("Ciw is not installed, and left out; python -m pip install ciw", file=sys.stderr)
        del MODELS["Ciw"]
    speeds: dict[str, list[float]] = {name: [] for name in MODELS}
    outcomes: dict[str, Outcome] = {}
    for seed in range(1, options.repeats + 1):
        for name, model in MODELS.items():
            speed, outcomes[name] = timed(model, options.jobs, seed)
            speeds[name].append(speed)
    base = speeds["textbook SimPy Resource"]
    if not options.json:
        print(f"{'model':28}{'jobs/CPU s':>12}{'ratio':>8}{'attempts/job':>14}{'sojourn, s':>12}")
    for name, found in speeds.items():
        speed = statistics.median(found)
        ratio = statistics.median(own / other for own, other in zip(found, base, strict=True))
        said = outcomes[name]
        if options.json:
            row = {"model": name, "jobs": options.jobs, "jobs_per_cpu_s": speed, "ratio": ratio}
            print(json.dumps(row | {"attempts_per_job": said.attempts_a_job, "sojourn_s": said.sojourn_s}))
        else:
            print(f"{name:28}{speed:12,.0f}{ratio:8.2f}{said.attempts_a_job:14.3f}{said.sojourn_s:12.3f}")


if __name__ == "__main__":
    main()
