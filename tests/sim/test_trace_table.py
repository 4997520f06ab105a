"""Traces in a scenario: jobs come and take as long as they did, under any policy."""

from pathlib import Path

import pytest

from jobsim.core.errors import ConfigError
from jobsim.core.events import Event
from jobsim.core.time import SECOND
from jobsim.core.transitions import Kind
from jobsim.models import (
    Deterministic,
    Independent,
    InOrder,
    Listed,
    Replayed,
    ReplayedService,
    TraceFile,
    Workers,
)
from jobsim.sim.scenario import JobClass, Scenario
from jobsim.sim.simulation import simulate

CSV = """\
submit,duration,kind
0,3,mail
1,,mail
1,5,sms
2.5,0.25,mail
4,1,sms
90,2,late
"""

HEAD = """\
name = "traced"
[workers]
count = 1
slots = 9
"""


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Return a small trace's file."""
    path = tmp_path / "jobs.csv"
    path.write_text(CSV, encoding="utf-8")
    return path


def scenario(trace: Path, table: str = "", more: str = "") -> Scenario:
    """Return the scenario of a file beside `trace`, with a ``[trace]`` table of these lines."""
    path = trace.with_name("traced.toml")
    path.write_text(f'{HEAD}\n[trace]\nformat = "csv"\npath = "jobs.csv"\n{table}\n{more}', encoding="utf-8")
    return Scenario.from_toml(path)


def attempts(world: Scenario, policy: str, kind: str) -> list[list[tuple[float, float]]]:
    """Return when each job of a kind came, and how long each of its attempts took; in seconds, by arrival."""
    table = simulate(world, policy).attempts
    table = table[table["kind"] == kind]
    own = [
        [(float(s), float(d)) for s, d in zip(job["started_s"], job["duration_s"], strict=True)]
        for _, job in table.groupby("job", sort=False)
    ]
    return sorted(own)


def test_trace_table_brings_every_kind_of_the_trace(trace: Path) -> None:
    """Kinds, arrivals and horizon are the trace's, without a word on the kinds themselves."""
    world = scenario(trace)
    assert [job.kind for job in world.jobs] == ["mail", "sms", "late"]
    assert world.horizon == 90 * SECOND + 1
    assert [rows[0] for rows in attempts(world, "none", "sms")] == [(1, 5), (4, 1)]


def test_trace_part_can_be_chosen(trace: Path) -> None:
    """A window, a speed and some kinds make another trace of it."""
    world = scenario(trace, 'begin = "1s"\nlength = "10s"\nspeed = 2.0\nkinds = ["sms"]')
    assert [job.kind for job in world.jobs] == ["sms"]
    assert [rows[0] for rows in attempts(world, "none", "sms")] == [(0, 5), (1.5, 1)]


def test_trace_kind_may_have_failures_and_a_service_time_of_its_own(trace: Path) -> None:
    """What ``[[jobs]]`` says goes before the trace; the rest is the trace's."""
    more = (
        '[[jobs]]\nkind = "mail"\nservice = { dist = "constant", value = "7s" }\n'
        'failures = [{ model = "permanent", takes = "1s" }]\n'
        '[[jobs]]\nkind = "own"\narrivals = { process = "list", times = ["1s"] }\n'
        'service = { dist = "constant", value = "1s" }'
    )
    world = scenario(trace, more=more)
    assert [job.kind for job in world.jobs] == ["mail", "own", "sms", "late"]
    assert isinstance(world.jobs[0].arrivals, Replayed)
    assert [rows[0] for rows in attempts(world, "none", "mail")] == [(0, 1), (1, 1), (2.5, 1)]


def test_replayed_job_takes_its_own_time_in_every_attempt(trace: Path) -> None:
    """Under any policy, job i has the duration of line i each time; where none is told, another line's."""
    more = '[[jobs]]\nkind = "mail"\nfailures = [{ model = "independent", probability = 0.9 }]'
    world = scenario(trace, more=more)
    retried = 0
    for policy in ("none", "full_jitter", "sidekiq"):
        first, unknown, last = attempts(world, policy, "mail")
        retried += len(first) + len(unknown) + len(last) - 3
        assert {takes for _, takes in first} == {3}
        assert {takes for _, takes in last} == {0.25}
        assert {takes for _, takes in unknown} <= {3, 0.25}
        assert len({takes for _, takes in unknown}) == 1
    assert retried > 3


def test_jobs_beyond_the_recorded_ones_take_one_of_them() -> None:
    """Where more jobs come than times were written, the others are drawn from those."""
    job = JobClass(kind="a", arrivals=Deterministic(every="1s"), service=InOrder(values=["2s", "3s"]))
    world = Scenario(name="a", horizon="40s", workers=Workers(count=1, slots=99), jobs=(job,))
    taken = [rows[0][1] for rows in attempts(world, "none", "a")]
    assert taken[:2] == [2, 3]
    assert set(taken[2:]) == {2, 3}


def test_places_follow_the_arrivals_through_blocks_of_ids() -> None:
    """The thousandth job, and the one after the block in which its id was minted, takes its own time."""
    size = 2_500
    values = [f"{n + 1}ms" for n in range(size)]
    job = JobClass(kind="a", arrivals=Deterministic(every="10ms", jobs=size), service=InOrder(values=values))
    world = Scenario(name="a", horizon="1h", workers=Workers(count=1, slots=size), jobs=(job,))
    assert [round(rows[0][1] * 1_000) for rows in attempts(world, "none", "a")] == list(range(1, size + 1))


def test_written_service_times_survive_writing() -> None:
    """A scenario with its times written in order reads back as an equal one."""
    job = JobClass(kind="a", arrivals=Listed(times=["1s", "2s"]), service=InOrder(values=["250ms", "1m"]))
    world = Scenario(name="a", horizon="1m", workers=Workers(count=1, slots=1), jobs=(job,))
    assert Scenario.from_text(world.to_toml()) == world


def test_traced_scenario_survives_writing(trace: Path) -> None:
    """It is written as kinds that name the trace's file, and reads back as an equal one."""
    world = scenario(trace, 'columns = { submit = "submit", kind = "kind", duration = "duration" }')
    assert Scenario.from_text(world.to_toml()) == world


def test_trace_file_that_is_written_anew_is_read_anew(trace: Path) -> None:
    """A file is kept in memory only as long as it stays as it is."""
    file = TraceFile(format="csv", path=trace)
    assert file.load() is file.load()
    trace.write_text("submit\n1\n", encoding="utf-8")
    assert len(file.load()) == 1


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('kinds = ["sma"]', ":6: trace: the trace has no kind 'sma' (did you mean 'sms'?)"),
        ("speed = 0", ":9: trace.speed: "),
        ("sped = 2.0", ":9: trace.sped: unknown key (did you mean 'speed'?)"),
        ('unit = "weeks"', ":9: trace.unit: "),
        ('kind = "queue"', ":6: trace: the format csv has no kind"),
        ('durations = "x.csv"', ":6: trace: the format csv has no durations"),
        ('begin = "2h"', ":6: trace: has no job in that part"),
        ('columns = { submit = "at" }', ":6: trace: "),
    ],
)
def test_trace_table_errors_name_their_line(trace: Path, table: str, said: str) -> None:
    """What is wrong with the table, or with the file it names, is told at its line."""
    with pytest.raises(ConfigError) as caught:
        scenario(trace, table)
    assert str(caught.value).removeprefix(str(trace.with_name("traced.toml"))).startswith(said)


def test_error_in_the_trace_names_both_places(trace: Path) -> None:
    """The scenario's line leads to the table, and the trace's to the cell."""
    trace.write_text("submit,duration\n1,long\n", encoding="utf-8")
    with pytest.raises(
        ConfigError, match=r"traced\.toml:6: trace: .*jobs\.csv:2: column 'duration': 'long' is"
    ):
        scenario(trace)


def test_replayed_service_needs_a_duration(trace: Path) -> None:
    """A kind of which the trace tells no duration cannot be replayed, and is named."""
    trace.write_text("submit,kind\n1,mail\n", encoding="utf-8")
    with pytest.raises(
        ConfigError, match=r"the trace tells no duration of 'mail'; describe its service time"
    ):
        scenario(trace)


def test_replayed_mean_and_quantiles_are_those_of_the_trace(trace: Path) -> None:
    """As a distribution, recorded times are what any of them is, with equal chances."""
    file = TraceFile(format="csv", path=trace)
    service = ReplayedService(trace=file, kind="mail")
    assert service.mean == 1_625_000
    assert [service.draw(u).seconds for u in (0, 0.49, 0.5, 0.99)] == [0.25, 0.25, 3, 3]
    assert service.draw(1.3).seconds == 3  # the first job's


def test_failures_meet_replayed_jobs_as_any_others(trace: Path) -> None:
    """What befalls a replayed job is decided by its own numbers, as before."""
    file = TraceFile(format="csv", path=trace)
    job = JobClass(
        kind="mail",
        arrivals=Replayed(trace=file, kind="mail"),
        service=ReplayedService(trace=file, kind="mail"),
        failures=(Independent(probability=1.0),),
    )
    world = Scenario(name="a", horizon="1m", workers=Workers(count=1, slots=9), jobs=(job,))
    events: list[Event] = list(simulate(world, "none").log)
    assert not any(event.kind is Kind.SUCCEED for event in events)
    assert sum(event.kind is Kind.ENQUEUE for event in events) == 3
