"""A dependency as a queueing system: its queue against closed forms, whoever calls it."""

import math

import numpy as np
import pytest

from jobsim.analysis.calls import REFUSED, Calls
from jobsim.analysis.statistics import mean_interval
from jobsim.core.backoff import NoBackoff
from jobsim.core.policy import RetryPolicy
from jobsim.core.time import SECOND
from jobsim.models import Constant, ExponentialService, Poisson, Server, Workers
from jobsim.sim.replication import replication_seed
from jobsim.sim.scenario import JobClass, Scenario
from jobsim.sim.world import run_world
from tests.validation.lab import CONFIDENCE, agrees
from tests.validation.queueing import mean_wait

ONCE = RetryPolicy(NoBackoff(), max_attempts=1)
REPLICATIONS = 12
CALLS = 2_000
SLOTS = 200
"""More than ever call at once, so that callers come as they arrive: an open system."""


def seen(server: Server, rate: float) -> list[Calls]:
    """Return the calls of each run, `rate` a second."""
    job = JobClass(
        kind="job",
        arrivals=Poisson(rate=rate),
        service=Constant(value="0s"),
        dependency=server.name,
    )
    scenario = Scenario(
        name="open",
        horizon=f"{CALLS / rate:.6f}s",
        workers=Workers(count=1, slots=SLOTS, lease="1d", poll="1h"),
        dependencies=(server,),
        jobs=(job,),
    )
    runs = (run_world(scenario, ONCE, replication_seed(1, number)) for number in range(REPLICATIONS))
    return [run.calls[server.name].calls() for run in runs]


@pytest.mark.parametrize(("rate", "servers", "within"), [(0.5, 1, 0.25), (1.5, 2, 0.5)])
def test_wait_at_a_dependency_is_that_of_erlang(rate: float, servers: int, within: float) -> None:
    """M/M/c: calls wait for as long as Erlang says, C / (c mu - lambda)."""
    server = Server(name="api", capacity=servers, service=ExponentialService(mean="1s"))
    waits = [
        (calls.started - calls.arrived)[len(calls.started) // 10 :].mean() / SECOND
        for calls in seen(server, rate)
    ]
    agrees(mean_interval(waits, CONFIDENCE), mean_wait(rate, 1.0, servers), within)


def test_network_does_not_change_the_queue() -> None:
    """Poisson arrivals, each delayed at random by itself, are Poisson arrivals."""
    way = ExponentialService(mean="5s")
    server = Server(name="api", capacity=2, service=ExponentialService(mean="1s"), network=way)
    runs = seen(server, 1.5)
    waits = [(c.started - c.arrived)[len(c.started) // 10 :].mean() / SECOND for c in runs]
    agrees(mean_interval(waits, CONFIDENCE), mean_wait(1.5, 1.0, 2), 0.5)
    assert all((np.diff(c.sent) < 0).any() for c in runs)


def test_calls_lost_for_want_of_room_are_erlangs() -> None:
    """M/M/c/c: where nobody may wait, the share refused is Erlang's loss formula."""
    load, servers = 3.0, 4
    server = Server(name="api", capacity=servers, service=ExponentialService(mean="1s"), queue_limit=0)
    lost = [(calls.fate == REFUSED).mean() for calls in seen(server, load)]
    terms = [load**k / math.factorial(k) for k in range(servers + 1)]
    agrees(mean_interval(lost, CONFIDENCE), terms[-1] / sum(terms), 0.1)


def test_latency_that_grows_with_load_settles_at_its_fixed_point() -> None:
    """Where calls take a + b n, for n calls present, the mean is a / (1 - b lambda), by Little."""
    server = Server(name="api", service=Constant(value="1s"), slope="10ms")
    taken = [
        (calls.ended - calls.started)[len(calls.started) // 10 :].mean() / SECOND
        for calls in seen(server, 40.0)
    ]
    agrees(mean_interval(taken, CONFIDENCE), 1 / (1 - 0.01 * 40), 0.05)
