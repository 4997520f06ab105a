"""Scenarios: reading, writing, changing."""

import os
import pickle
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobsim.core.errors import ConfigError
from jobsim.core.policy import RetryPolicy
from jobsim.core.time import SECOND, Duration, duration
from jobsim.models import (
    Alternating,
    Autoscale,
    Batches,
    BoundedPareto,
    Brownout,
    CallFailures,
    Clocks,
    ClockSteps,
    Constant,
    Crashes,
    Deterministic,
    Diurnal,
    Empirical,
    Erlang,
    ExponentialService,
    Gamma,
    GilbertElliott,
    Independent,
    Listed,
    Lognormal,
    Mmpp,
    OnOff,
    Outage,
    Partition,
    Pauses,
    Permanent,
    Piecewise,
    Poisson,
    Quantiles,
    Ramp,
    Recorded,
    Resubmit,
    Spike,
    StorageModel,
    Weibull,
    Workers,
)
from jobsim.policies import PRESETS
from jobsim.sim.scenario import JobClass, Scenario

SCENARIOS = Path(__file__).parents[2] / "scenarios"

MINIMAL = """\
name = "minimal"
horizon = "1h"

[workers]
count = 4
slots = 8

[[jobs]]
kind = "charge"
arrivals = { process = "poisson", rate = "12/s" }
service = { dist = "constant", value = "1s" }
"""

durations = st.integers(0, 10**13).map(Duration)
positive = st.integers(1, 10**13).map(Duration)
probabilities = st.floats(0, 1)
words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
errors = st.sampled_from(["OSError", "a.B < OSError: gone", "TimeoutError: ü\n", KeyError])
rates = st.floats(1e-6, 1e6)
levels = st.floats(0, 1e6)
processes = st.one_of(
    st.builds(Poisson, rate=rates),
    st.builds(Deterministic, every=positive, start=durations, jobs=st.none() | st.integers(1, 99)),
    st.builds(Listed, times=st.lists(durations, min_size=1, max_size=3)),
    st.builds(Diurnal, rate=rates, amplitude=probabilities, period=positive, peak=durations),
    st.builds(Ramp, rate=levels, to=levels, start=durations, duration=positive),
    st.builds(Spike, rate=levels, to=levels, start=durations, duration=positive),
    st.builds(
        Piecewise,
        rates=st.dictionaries(durations, levels, min_size=1, max_size=3).map(lambda d: sorted(d.items())),
        between=st.sampled_from(["steps", "lines"]),
    ),
    st.builds(Mmpp, rates=st.tuples(levels, levels), sojourns=st.tuples(positive, positive)),
    st.builds(OnOff, rate=rates, on=positive, off=positive),
)
arrivals = st.one_of(
    processes,
    st.builds(Batches, of=processes, size=st.integers(1, 99)),
    st.builds(Batches, of=processes, mean_size=st.floats(1, 99)),
)
variations = st.floats(0, 10)
services = st.one_of(
    st.builds(Constant, value=durations),
    st.builds(ExponentialService, mean=positive),
    st.builds(Lognormal, mean=positive, cv=variations),
    st.builds(Erlang, mean=positive, k=st.integers(1, 99)),
    st.builds(Gamma, mean=positive, cv=variations),
    st.builds(Weibull, mean=positive, shape=st.floats(0.1, 9)),
    st.builds(Weibull, mean=positive, cv=variations),
    st.builds(
        BoundedPareto,
        alpha=st.floats(0.1, 9),
        low=st.just("1ms"),
        high=positive.map(lambda d: Duration(d + SECOND)),
    ),
    st.builds(Empirical, values=st.lists(durations, min_size=1, max_size=3)),
    st.builds(
        Quantiles,
        points=st.lists(durations, min_size=3, max_size=3).map(
            lambda d: list(zip([0, 0.5, 1], sorted(d), strict=True))
        ),
    ),
)
faults: dict[str, st.SearchStrategy[object]] = {
    "error": errors,
    "takes": st.none() | durations,
    "retry_after": st.none() | durations,
    "kills": st.booleans(),
}
windows = {"start": durations, "duration": positive, "recovery": durations, "probability": probabilities}
failures = st.one_of(
    st.builds(Independent, probability=probabilities, **faults),
    st.builds(Outage, **windows, **faults),
    st.builds(Brownout, factor=st.floats(1, 1e6), **windows, **faults),
    st.builds(Permanent, share=probabilities, **faults),
    st.builds(
        Alternating,
        up=st.builds(ExponentialService, mean=positive),
        down=services.filter(lambda service: service.mean > 0),
        begins=st.sampled_from(["anywhere", "up", "down"]),
        probability=probabilities,
        factor=st.floats(1, 1e6),
        **faults,
    ),
    st.builds(
        GilbertElliott,
        name=st.none() | st.just("channel"),
        good=st.just("1h"),
        bad=st.just("1m"),
        failure_good=probabilities,
        failure_bad=probabilities,
        slot=st.just("1s"),
        **faults,
    ),
)
jobs = st.lists(
    st.builds(
        JobClass,
        kind=words,
        queue=words,
        priority=st.integers(-9, 9),
        max_attempts=st.none() | st.integers(1, 99),
        arrivals=arrivals,
        service=services,
        failures=st.lists(failures, max_size=2),
        resubmit=st.none() | st.builds(Resubmit, after=positive, times=st.integers(1, 9)),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda job: job.kind,
)
workers = st.builds(
    Workers,
    count=st.integers(1, 99),
    slots=st.integers(1, 99),
    lease=positive,
    poll=positive,
    start_up=durations,
    crash=st.none() | st.builds(Crashes, every=positive, restart_after=durations),
    pause=st.none() | st.builds(Pauses, every=positive, length=services),
    clock=st.none()
    | st.builds(
        Clocks,
        offset=durations,
        drift=st.floats(0, 0.1),
        steps=st.none() | st.builds(ClockSteps, every=positive, size=positive),
    ),
    autoscale=st.none()
    | st.builds(
        Autoscale,
        per_worker=st.integers(1, 99),
        min=st.integers(0, 1),
        max=st.integers(99, 999),
        every=positive,
        patience=durations,
    ),
)
call_failures = st.none() | st.builds(
    CallFailures,
    probability=probabilities,
    takes=durations,
    calls=st.lists(st.sampled_from(["enqueue", "exchange", "extend"]), max_size=2),
)
storages = st.builds(
    StorageModel,
    latency=st.none() | services,
    busy=call_failures,
    errors=call_failures,
    lost_replies=call_failures,
    partitions=st.lists(
        st.builds(
            Partition,
            start=durations,
            duration=positive,
            takes=durations,
            workers=st.just(()) | st.just((1,)),
            enqueuers=st.booleans(),
        ),
        max_size=2,
    ),
    clock=st.sampled_from(["server", "own"]),
)
scenarios = st.builds(
    Scenario,
    name=words,
    description=st.text(max_size=20),
    horizon=positive,
    drain=durations,
    seed=st.integers(-(2**63), 2**63 - 1),
    workers=workers,
    storage=st.none() | storages,
    jobs=jobs,
    policies=st.dictionaries(words, st.sampled_from(list(PRESETS.values())), min_size=1, max_size=3),
)


def minimal() -> Scenario:
    """Return the scenario of the minimal file."""
    return Scenario.from_text(MINIMAL)


def test_scenario_reads_the_file_format() -> None:
    """A minimal file gives these values, and defaults for all else."""
    assert minimal() == Scenario(
        name="minimal",
        description="",
        horizon="1h",
        drain="1d",
        seed=1,
        workers=Workers(count=4, slots=8),
        jobs=(
            JobClass(
                kind="charge",
                queue="default",
                priority=0,
                max_attempts=None,
                arrivals=Poisson(rate="12/s"),
                service=Constant(value="1s"),
                failures=(),
            ),
        ),
        policies=["none", "tutorial", "exponential", "full_jitter", "oban", "sidekiq"],
    )


@settings(max_examples=50, deadline=None)
@given(scenarios)
def test_scenario_survives_writing_and_reading(scenario: Scenario) -> None:
    """What to_toml writes, from_text reads back as an equal scenario with its policies in order."""
    again = Scenario.from_text(scenario.to_toml())
    assert again == scenario
    assert list(again.policies) == list(scenario.policies)


def test_recorded_arrivals_are_found_beside_their_scenario(tmp_path: Path) -> None:
    """A file is named as seen from the scenario's, and found again after a change, written and read."""
    (tmp_path / "arrivals.csv").write_text("1\n2\n")
    path = tmp_path / "minimal.toml"
    path.write_text(
        MINIMAL.replace('process = "poisson", rate = "12/s"', 'process = "trace", file = "arrivals.csv"')
    )
    scenario = Scenario.from_toml(path)
    assert scenario.jobs[0].arrivals == Recorded(file=tmp_path / "arrivals.csv")
    assert scenario.with_(seed=7).with_(seed=1) == scenario == pickle.loads(pickle.dumps(scenario))
    assert Scenario.from_text(scenario.to_toml()) == scenario


def test_scenario_survives_pickling() -> None:
    """A scenario goes to other processes unchanged."""
    assert pickle.loads(pickle.dumps(minimal())) == minimal()


def test_scenario_dumps_as_json() -> None:
    """A scenario and its schema are JSON: durations and rates as text, policies as their repr."""
    dumped = minimal().model_dump(mode="json", by_alias=True)
    assert (dumped["horizon"], dumped["jobs"][0]["arrivals"]["rate"]) == ("1h", "12/s")
    assert dumped["policies"]["none"] == "RetryPolicy(NoBackoff(), max_attempts=8, name='none')"
    assert "jobs" in Scenario.model_json_schema()["properties"]


def test_scenario_policies_are_labelled_in_order() -> None:
    """Policies given as a list are labelled by name; each carries its label."""
    policies = [PRESETS["oban"], "none", RetryPolicy(max_attempts=3, name="mine")]
    scenario = minimal().with_(policies=policies)
    assert list(scenario.policies) == ["oban", "none", "mine"]
    assert [policy.name for policy in scenario.policies.values()] == ["oban", "none", "mine"]


def test_scenario_policies_take_the_name_of_their_key() -> None:
    """In a dict the key is the label, whatever the policy was called."""
    scenario = minimal().with_(policies={"a": PRESETS["oban"], "b": "oban"})
    assert [policy.name for policy in scenario.policies.values()] == ["a", "b"]


@pytest.mark.parametrize(
    ("policies", "message"),
    [
        ([], "none is given"),
        (["obann"], "no policy is called 'obann' (did you mean 'oban'?)"),
        (["oban", "oban"], "two policies are called 'oban'; give each a name"),
        ([3], "3 is neither a RetryPolicy nor the name of a preset"),
        (3, "must be policies or names of presets, not 3"),
    ],
)
def test_scenario_refuses_policies_that_are_none(policies: object, message: str) -> None:
    """Policies are policies or names of presets, and labels differ."""
    with pytest.raises(ConfigError) as caught:
        minimal().with_(policies=policies)
    assert str(caught.value).startswith(f"policies: {message}")


@pytest.mark.parametrize(
    ("key", "value", "read"),
    [
        ("workers.count", 8, lambda s: s.workers.count == 8),
        ("seed", 7, lambda s: s.seed == 7),
        ("horizon", "2h", lambda s: s.horizon == duration("2h")),
        ("drain", 1.5, lambda s: s.drain == duration("1.5s")),
        ("workers.crash.every", "1h", lambda s: str(s.workers.crash) == "every='1h' restart_after='30s'"),
        ("jobs.0.arrivals.rate", "1/s", lambda s: s.jobs[0].arrivals == Poisson(rate="1/s")),
        ("jobs.charge.service.value", "2s", lambda s: s.jobs[0].service == Constant(value="2s")),
        (
            "jobs.charge.service",
            {"dist": "exponential", "mean": "1s"},
            lambda s: s.jobs[0].service == ExponentialService(mean="1s"),
        ),
        ("jobs.charge.failures", [Permanent()], lambda s: s.jobs[0].failures == (Permanent(),)),
        ("policies.oban.max_attempts", 3, lambda s: s.policies["oban"].max_attempts == 3),
        ("policies.oban.backoff.cap", "1m", lambda s: s.policies["oban"].backoff.cap == duration("1m")),
        ("policies.mine", RetryPolicy(), lambda s: list(s.policies)[-1] == "mine"),
    ],
)
def test_with_changes_one_value(key: str, value: object, read: object) -> None:
    """A dotted key changes that value in a copy."""
    scenario = minimal()
    changed = scenario.with_(**{key: value})
    assert callable(read)
    assert read(changed)
    assert scenario == minimal()


def test_with_finds_failures_by_model() -> None:
    """An entry of a list may be named by its index, kind or model."""
    scenario = minimal().with_(
        **{"jobs.charge.failures": [Independent(probability=0.1), Outage(start="1m", duration="5m")]}
    )
    changed = scenario.with_(**{"jobs.charge.failures.outage.duration": "9m"})
    assert changed == scenario.with_(**{"jobs.0.failures.1.duration": "9m"}) != scenario


def test_with_finds_failures_by_name() -> None:
    """A course that kinds share is changed by its name, in each of them."""
    channel = GilbertElliott(name="channel", good="1h", bad="1m")
    scenario = minimal().with_(**{"jobs.charge.failures": [Permanent(), channel]})
    changed = scenario.with_(**{"jobs.charge.failures.channel.bad": "5m"})
    assert changed.jobs[0].failures == (Permanent(), GilbertElliott(name="channel", good="1h", bad="5m"))


def test_with_changes_several_values_at_once() -> None:
    """Changes that only make sense together are checked together."""
    changed = minimal().with_(
        **{"jobs.0.service.dist": "exponential", "jobs.0.service": {"dist": "exponential", "mean": "1s"}}
    )
    assert changed.jobs[0].service == ExponentialService(mean="1s")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("workers.cuont", 3, "workers.cuont: unknown key (did you mean 'count'?)"),
        ("worker.count", 3, "worker: unknown key (did you mean 'workers'?)"),
        ("workers.count", 0, "workers.count: must be at least 1, not 0"),
        ("workers.count", "8", "workers.count: must be a whole number, not '8'"),
        ("workers.lease", "60", "workers.lease: '60' has no unit; write for example '60s'"),
        ("jobs.chrge.kind", "x", "jobs.chrge.kind: no entry is called 'chrge' (did you mean 'charge'?)"),
        ("jobs.7.kind", "x", "jobs.7.kind: no entry is called '7'; there are 1, from 0"),
        ("seed.x", 3, "seed.x: 'x' is looked for in 1, which is no table"),
        (
            "policies.oban.backof",
            3,
            "policies.oban.backof: RetryPolicy has no 'backof' (did you mean 'backoff'?)",
        ),
        ("policies.oban.max_attempts", 0, "policies.oban.max_attempts: must be a whole number, at least 1"),
        (
            "policies.oban.backoff.factor",
            0,
            "policies.oban.backoff.factor: must be a finite number, at least 1",
        ),
        ("policies.oban.backoff.factor", "x", "policies.oban.backoff.factor: must be real number, not str"),
        (
            "policies.oban.backoff.cap",
            "1ms",
            "policies.oban.backoff.cap: Exponential: the cap (1ms) is below",
        ),
        ("schema", 2, "schema: 2 is newer than this version of jobsim, which reads 1"),
    ],
)
def test_with_refuses_with_the_key(key: str, value: object, message: str) -> None:
    """A change that cannot be made names its key and says why."""
    with pytest.raises(ConfigError) as caught:
        minimal().with_(**{key: value})
    assert str(caught.value).startswith(message)


def test_scenario_in_python_names_every_problem() -> None:
    """The constructor's error has a line for each problem."""
    with pytest.raises(ConfigError) as caught:
        Scenario(name="", horizon="0s", workers={"count": 4}, jobs=[])  # type: ignore[arg-type]
    assert str(caught.value).split("\n") == [
        "Scenario.name: must not be empty",
        "Scenario.horizon: must be longer than zero, at least a microsecond: '0s'",
        "Scenario.workers.slots is missing",
        "Scenario.jobs: must have at least one entry",
    ]


def test_scenario_refuses_to_write_what_a_file_cannot_say() -> None:
    """A backoff of one's own has no form in TOML, and nothing half right is written."""

    class Mine:
        def delay(self, attempt: int, previous: Duration, random: object) -> Duration:
            return previous

        def __repr__(self) -> str:
            return "Mine()"

    scenario = minimal().with_(policies={"mine": RetryPolicy(Mine())})
    with pytest.raises(ConfigError, match=r"^Mine\(\) cannot be written to a file; only none, fixed"):
        scenario.to_toml()


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_scenario_is_named_as_its_file_and_survives_writing(path: Path) -> None:
    """Every scenario that ships is valid, and its name is that of its file."""
    scenario = Scenario.from_toml(path)
    assert scenario.name == path.stem
    assert Scenario.from_text(scenario.to_toml()) == scenario


def test_payment_scenario_is_small_enough_to_compare() -> None:
    """The main demonstration compares at least six policies on at most 15,000 jobs a run."""
    scenario = Scenario.from_toml(os.fspath(SCENARIOS / "payment-api-outage.toml"))
    assert len(scenario.policies) >= 6
    arriving = 0
    for job in scenario.jobs:
        times = islice(job.arrivals.times(lambda n: (n * 0.6180339887498949) % 1), 20_000)
        arriving += sum(time < scenario.horizon for time in times)
    assert 5_000 < arriving < 15_000


def test_payment_scenario_fails_and_recovers() -> None:
    """The payment kinds meet the outage from minute 20 to 30 and are well again at minute 35."""
    scenario = Scenario.from_toml(SCENARIOS / "payment-api-outage.toml")
    outages = [f for job in scenario.jobs for f in job.failures if isinstance(f, Outage)]
    for outage in outages:
        assert [outage.chance(duration(at)) for at in ("19m", "25m", "35m")] == [0.0, 1.0, 0.0]
    assert len(outages) == 2
