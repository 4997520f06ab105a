"""Dependencies in scenarios: reading, writing, changing, and what is told about wrong ones."""

# ruff: noqa: E501 - a mistake and what is told about it read best as one row of a table

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobsim.core.errors import ConfigError
from jobsim.core.time import Duration
from jobsim.models import (
    Brownout,
    Constant,
    Dependency,
    ExponentialService,
    Independent,
    Normal,
    Outage,
    Overload,
    Poisson,
    Row,
    Server,
    Workers,
)
from jobsim.sim.scenario import JobClass, Scenario

VALID = """\
name = "shop"
horizon = "1h"
workers = { count = 4, slots = 8 }

[[dependencies]]
model = "server"
name = "api"
capacity = 10
service = { dist = "exponential", mean = "200ms" }
slope = "2ms"
queue_limit = 100
network = { dist = "constant", value = "1ms" }
timeout = "3s"
overload = { above = 50, full = 100 }
failures = [{ model = "outage", start = "20m", duration = "10m", takes = "0s" }]

[[dependencies]]
model = "row"
name = "account"
network = { dist = "normal", mean = "10ms", sd = "2ms" }

[[jobs]]
kind = "charge"
arrivals = { process = "poisson", rate = "12/s" }
service = { dist = "constant", value = "1s" }
dependency = "api"
before_call = 0.5
"""

durations = st.integers(0, 10**13).map(Duration)
positive = st.integers(1, 10**13).map(Duration)
services = st.builds(Constant, value=durations) | st.builds(Normal, mean=positive, sd=st.just(Duration(0)))
servers = st.builds(
    Server,
    name=st.text(min_size=1, max_size=8),
    capacity=st.none() | st.integers(1, 99),
    service=services,
    slope=durations,
    queue_limit=st.none() | st.integers(0, 99),
    network=st.none() | services,
    timeout=st.none() | positive,
    overload=st.none()
    | st.builds(Overload, above=st.integers(0, 9), full=st.integers(10, 99), takes=st.none() | durations),
    failures=st.lists(st.builds(Independent, probability=st.floats(0, 1)), max_size=2),
)
rows = st.builds(Row, name=st.text(min_size=1, max_size=8), network=services)
dependencies = st.lists(servers | rows, min_size=1, max_size=3, unique_by=lambda one: one.name)


def scenario(called: list[Dependency], before_call: float | None = None) -> Scenario:
    """Return a world in which a kind of job calls each of the dependencies."""
    jobs = tuple(
        JobClass(
            kind=str(index),
            arrivals=Poisson(rate="1/s"),
            service=Constant(value="1s"),
            dependency=dependency.name,
            before_call=before_call,
        )
        for index, dependency in enumerate(called)
    )
    return Scenario(
        name="x", horizon="1h", workers=Workers(count=1, slots=1), dependencies=tuple(called), jobs=jobs
    )


def test_scenario_reads_dependencies() -> None:
    """A file's tables give these values, and defaults for all else."""
    read = Scenario.from_text(VALID)
    assert read.dependencies == (
        Server(
            name="api",
            capacity=10,
            service=ExponentialService(mean="200ms"),
            slope="2ms",
            queue_limit=100,
            network=Constant(value="1ms"),
            timeout="3s",
            overload=Overload(above=50, full=100, probability=1.0, error="ConnectionError: overloaded"),
            failures=(Outage(start="20m", duration="10m", takes="0s"),),
            timeout_error="TimeoutError: no reply in time",
            full_error="ConnectionError: too many calls wait",
        ),
        Row(name="account", network=Normal(mean="10ms", sd="2ms"), error="RuntimeError: version conflict"),
    )
    assert (read.jobs[0].dependency, read.jobs[0].before_call) == ("api", 0.5)


@settings(max_examples=50, deadline=None)
@given(dependencies, st.none() | st.floats(0, 1))
def test_dependencies_survive_writing_and_reading(called: list[Dependency], before: float | None) -> None:
    """What to_toml writes, from_text reads back as equal."""
    written = scenario(called, before)
    assert Scenario.from_text(written.to_toml()) == written


def test_capacity_of_a_brownout_survives_writing_and_may_be_swept() -> None:
    """A share of the capacity is a key as any other."""
    narrow = 'model = "brownout", start = "20m", duration = "10m", capacity = 0.3'
    read = Scenario.from_text(
        VALID.replace('model = "outage", start = "20m", duration = "10m", takes = "0s"', narrow)
    )
    assert Scenario.from_text(read.to_toml()) == read
    [api, _] = read.with_(**{"dependencies.api.failures.brownout.capacity": 0.0}).dependencies
    assert isinstance(api, Server)
    assert api.failures == (Brownout(start="20m", duration="10m", capacity=0.0),)


def test_with_finds_dependencies_by_name() -> None:
    """A dotted key names a dependency as the file does, and its failures by their model."""
    changed = Scenario.from_text(VALID).with_(
        **{
            "dependencies.api.capacity": 5,
            "dependencies.api.failures.outage.duration": "1m",
            "dependencies.account.network.mean": "20ms",
        }
    )
    api, account = changed.dependencies
    assert isinstance(api, Server)
    assert (api.capacity, api.failures[0]) == (5, Outage(start="20m", duration="1m", takes="0s"))
    assert account.network == Normal(mean="20ms", sd="2ms")


@pytest.mark.parametrize(
    ("right", "wrong", "messages"),
    [
        ('model = "server"\n', "", ["5: dependencies.0.model is missing: one of server, row"]),
        ('"server"', '"sever"', ["6: dependencies.0.model: 'sever' is not one of server, row (did you mean 'server'?)"]),
        ("capacity = 10", "capacity = 0", ["8: dependencies.0.capacity: must be at least 1, not 0"]),
        ('"200ms"', "0.2", ["9: dependencies.0.service.mean: 0.2 has no unit; write for example '0.2s'"]),
        ("slope", "slop", ["10: dependencies.0.slop: unknown key (did you mean 'slope'?)"]),
        ('"3s"', '"0s"', ["13: dependencies.0.timeout: must be longer than zero, or every call fails"]),
        ("full = 100", "full = 50", ["14: dependencies.0.overload.full: must be more than above, which is 50; not 50"]),
        ('takes = "0s" }', "kills = true }", ["15: dependencies.0.failures: a dependency cannot kill the worker that calls it; write that with the job"]),
        ('"outage", start = "20m", duration = "10m", takes = "0s"', '"brownout", start = "20m", duration = "10m"', ["15: dependencies.0.failures.0: needs factor, by which it slows attempts, or capacity, the share that it leaves"]),
        ("before_call = 0.5", 'failures = [{ model = "brownout", start = "20m", duration = "10m", capacity = 0.5 }]', ["27: jobs.0.failures: only a dependency has a capacity to lose; write that there, or a factor here"]),
        ('"account"', '"api"', ["19: dependencies.1.name: 'api' is there twice"]),
        ('dependency = "api"', 'dependency = "appi"', ["26: jobs.0.dependency: no dependency is called 'appi' (did you mean 'api'?)"]),
        ('dependency = "api"', "dependency = 5", ["26: jobs.0.dependency: must be text in quotes, not 5"]),
        ("0.5", "1.5", ["27: jobs.0.before_call: must be at most 1, not 1.5"]),
        (VALID[VALID.index("[[dep") : VALID.index("[[jobs")], "", ["9: jobs.0.dependency: no dependency is called 'api'; there are: none"]),
    ],
)  # fmt: skip
def test_wrong_dependencies_are_told_with_their_place(right: str, wrong: str, messages: list[str]) -> None:
    """Line, key, what is wrong, and no follow-up problems."""
    assert VALID.count(right) == 1
    with pytest.raises(ConfigError) as caught:
        Scenario.from_text(VALID.replace(right, wrong), "shop.toml")
    told = [line for line in str(caught.value).split("\n") if not re.match(r" +\d+ \| ", line)]
    assert told == [f"shop.toml:{message}" for message in messages]


def test_failures_of_one_name_agree_wherever_they_strike() -> None:
    """A dependency and a job that name the same course must agree on it."""
    course = 'failures = [{ model = "gilbert_elliott", name = "net", good = "10s", bad = "%s" }]'
    text = VALID.replace(
        'failures = [{ model = "outage", start = "20m", duration = "10m", takes = "0s" }]', course % "1s"
    )
    assert len(Scenario.from_text(text + course % "1s").jobs[0].failures) == 1
    with pytest.raises(
        ConfigError, match=r"<scenario>:28: jobs\.0\.failures\.0\.name: 'net' is there with another"
    ):
        Scenario.from_text(text + course % "2s")


def test_dependencies_in_python_are_checked_alike() -> None:
    """Objects and tables are refused in the same words."""
    one, two = (Row(name="a", network=Constant(value="1s")) for _ in range(2))
    with pytest.raises(ConfigError, match=r"Scenario\.dependencies\.1\.name: 'a' is there twice"):
        scenario([one, two])
    kind = JobClass(kind="a", arrivals=Poisson(rate="1/s"), service=Constant(value="1s"), dependency="b")
    with pytest.raises(ConfigError, match=r"Scenario\.jobs\.0\.dependency: no dependency is called 'b'"):
        Scenario(name="x", horizon="1h", workers=Workers(count=1, slots=1), dependencies=(one,), jobs=(kind,))
