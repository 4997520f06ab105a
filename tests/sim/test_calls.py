"""Calls to dependencies, in runs of the engine."""

from collections.abc import Sequence
from typing import Any

import pytest

from jobsim.analysis.calls import FAILED, FATES, GOOD, NEVER, REFUSED, Calls
from jobsim.core.backoff import NoBackoff
from jobsim.core.policy import RetryPolicy
from jobsim.core.time import SECOND
from jobsim.core.transitions import Kind
from jobsim.models import (
    Brownout,
    Constant,
    Crashes,
    Dependency,
    ExponentialService,
    FailureModel,
    Independent,
    Listed,
    Outage,
    Overload,
    Pauses,
    Poisson,
    Row,
    Server,
    Workers,
)
from jobsim.sim import compare, simulate
from jobsim.sim.scenario import JobClass, Scenario
from jobsim.sim.stage import BEGAN
from jobsim.sim.world import Run, run_world

ONCE = RetryPolicy(NoBackoff(), max_attempts=1)
NOTHING = Constant(value="0s")
SECOND_EACH = Server(name="api", capacity=1, service=Constant(value="1s"))


def job(times: Sequence[str] = ("0s",), kind: str = "a", **fields: Any) -> JobClass:
    """Return a kind of job that calls the dependency and does nothing else, unless `fields` say so."""
    usual: dict[str, Any] = {
        "kind": kind,
        "arrivals": Listed(times=times),
        "service": NOTHING,
        "dependency": "api",
    }
    return JobClass(**(usual | fields))


def run(
    api: Dependency,
    *jobs: JobClass,
    policy: RetryPolicy = ONCE,
    workers: Workers | None = None,
    seed: int = 1,
    horizon: str = "1h",
) -> Run:
    """Run `jobs` against `api` under `policy`."""
    scenario = Scenario(
        name="calls",
        horizon=horizon,
        workers=workers or Workers(count=1, slots=20),
        dependencies=(api,),
        jobs=jobs,
        policies=[policy],
    )
    return run_world(scenario, policy, seed)


def calls(ran: Run) -> Calls:
    """Return the calls of a run."""
    return ran.calls["api"].calls()


def ends(ran: Run) -> list[tuple[float, str]]:
    """Return when attempts ended, in seconds, and in what."""
    return [
        ((event.at - BEGAN) / SECOND, event.why.error.partition(":")[0] or "good")
        for event in ran.log
        if event.kind in (Kind.SUCCEED, Kind.RETRY, Kind.DEAD_LETTER)
    ]


def api(**changes: Any) -> Server:
    """Return a server that serves one call a second, with `changes`."""
    return Server(**SECOND_EACH.model_dump() | changes)


def test_call_waits_its_turn() -> None:
    """Calls are served first come, first served; an attempt ends when its reply is there."""
    ran = run(SECOND_EACH, job(["0s", "100ms", "5s"]))
    assert ends(ran) == [(1, "good"), (2, "good"), (6, "good")]
    seen = calls(ran)
    assert (seen.arrived / SECOND).tolist() == [0, 0.1, 5]
    assert (seen.started / SECOND).tolist() == [0, 1, 5]
    assert (seen.ended / SECOND).tolist() == [1, 2, 6]
    assert seen.present.tolist() == [0, 1, 0]
    assert seen.answered.all()


def test_call_travels_both_ways() -> None:
    """Each way through the network takes its own time, in which the server does not work on the call."""
    ran = run(api(network=Constant(value="250ms")), job())
    assert ends(ran) == [(1.5, "good")]
    assert (calls(ran).arrived[0], calls(ran).ended[0]) == (0.25 * SECOND, 1.25 * SECOND)


def test_calls_are_served_in_the_order_of_their_arrival() -> None:
    """Not of their sending: a call that is on its way for longer is overtaken."""
    seen = calls(run(api(network=ExponentialService(mean="1s")), job([f"{100 * i}ms" for i in range(50)])))
    assert (seen.sent[1:] < seen.sent[:-1]).any()
    assert (seen.arrived[1:] >= seen.arrived[:-1]).all()
    assert (seen.started[1:] >= seen.ended[:-1]).all()


def test_server_goes_on_with_abandoned_calls() -> None:
    """A caller gives up at its timeout; the call is worked on all the same, and others wait for that."""
    ran = run(api(timeout="1500ms"), job(["0s", "0s", "0s"]))
    assert ends(ran) == [(1, "good"), (1.5, "TimeoutError"), (1.5, "TimeoutError")]
    seen = calls(ran)
    assert (seen.ended / SECOND).tolist() == [1, 2, 3]
    assert seen.answered.tolist() == [True, False, False]
    assert seen.useful.tolist() == [True, False, False]
    assert (seen.fate == GOOD).all()


def test_reply_at_the_last_moment_counts() -> None:
    """A caller waits for its timeout, no less."""
    assert ends(run(api(timeout="1s"), job())) == [(1, "good")]


def test_call_whose_caller_gave_up_before_it_arrived_is_worked_on() -> None:
    """Nobody calls a call back that is under way."""
    ran = run(api(timeout="100ms", network=Constant(value="2s")), job(["0s", "10s"]))
    assert ends(ran) == [(0.1, "TimeoutError"), (10.1, "TimeoutError")]
    assert (calls(ran).started / SECOND).tolist() == [2]  # the other has not arrived when the run ends


def test_server_goes_on_with_calls_of_the_dead() -> None:
    """A worker's death ends its attempts, not the work on their calls; their replies find nobody."""
    crash = Crashes(every="1s", restart_after="1s")
    worker = Workers(count=1, slots=20, lease="30s", crash=crash)
    ran = run(SECOND_EACH, job(["0s"] * 5), workers=worker, policy=RetryPolicy(NoBackoff(), max_attempts=50))
    seen = calls(ran)
    assert not seen.answered.all()
    assert (seen.ended - seen.started == SECOND).all()
    assert seen.useful.sum() >= 5


@pytest.mark.parametrize(
    ("failure", "ended", "fate", "next_start"),
    [
        (Outage(start="0s", duration="1s"), (1, "ConnectionError"), FAILED, 1),
        (Outage(start="0s", duration="1s", takes="0s"), (0, "ConnectionError"), REFUSED, 0.9),
        (Outage(start="0s", duration="1s", takes="500ms"), (0.5, "ConnectionError"), REFUSED, 0.9),
    ],
    ids=["in vain", "refused", "refused late"],
)
def test_fault_says_whether_it_costs_the_server(
    failure: FailureModel, ended: tuple[float, str], fate: int, next_start: float
) -> None:
    """A failing call holds its server for its service time, unless the fault says what it takes."""
    ran = run(api(failures=[failure, Independent(probability=0)]), job(["0s", "900ms"]))
    assert ends(ran)[0] == ended
    assert FATES[calls(ran).fate[0]] == FATES[fate]
    busy = calls(ran).ended[0] / SECOND if fate == FAILED else 0.9
    assert busy == next_start


def test_call_that_waited_into_an_outage_fails_then() -> None:
    """What befalls a call is decided when work on it begins, and a server that is down holds nobody up."""
    outage = Outage(start="500ms", duration="2s", takes="100ms")
    ran = run(api(failures=[outage]), job(["0s", "0s", "0s", "3s"]))
    assert ends(ran) == [(1, "good"), (1.1, "ConnectionError"), (1.1, "ConnectionError"), (4, "good")]
    assert calls(ran).started.tolist() == [0, NEVER, NEVER, 3 * SECOND]


def test_call_that_waits_into_an_outage_takes_room_until_then() -> None:
    """What will fail at its turn is in the line like all others: the next finds it there."""
    outage = Outage(start="500ms", duration="2s", takes="100ms")
    ran = run(api(failures=[outage], queue_limit=1), job(["0s", "0s", "0s", "3s"]))
    assert ends(ran) == [(0, "ConnectionError"), (1, "good"), (1.1, "ConnectionError"), (4, "good")]
    assert calls(ran).present.tolist() == [0, 1, 2, 0]


def test_full_queue_refuses_at_once() -> None:
    """With as many waiting as may wait, the next call fails without waiting."""
    ran = run(api(queue_limit=1), job(["0s", "0s", "0s", "1s"]))
    assert ends(ran) == [(0, "ConnectionError"), (1, "good"), (2, "good"), (3, "good")]
    assert run(api(queue_limit=0), job(["0s", "0s"])).calls["api"].calls().fate.tolist() == [GOOD, REFUSED]


def test_latency_grows_with_the_calls_that_are_there() -> None:
    """Each call already there adds the slope to the time of the next."""
    seen = calls(run(api(capacity=None, slope="10ms"), job(["0s", "0s", "0s", "2s"])))
    assert ((seen.ended - seen.started) / SECOND).tolist() == [1, 1.01, 1.02, 1]


def test_overload_fails_calls_by_how_many_are_there() -> None:
    """Below its threshold nobody fails, at full all do; in between by chance."""
    crowd, many = job(["0s"] * 400), Workers(count=1, slots=400)
    seen = calls(run(api(capacity=None, overload=Overload(above=99, full=299)), crowd, workers=many))
    failed = seen.fate == FAILED
    assert not failed[:100].any()
    assert failed[299:].all()
    assert 70 <= failed[100:299].sum() <= 130


def test_brownout_slows_what_begins_in_it() -> None:
    """The factor of the moment at which work begins holds, not that of the arrival."""
    slow = Brownout(start="500ms", duration="10s", factor=3)
    seen = calls(run(api(failures=[slow]), job(["0s", "0s", "20s"])))
    assert ((seen.ended - seen.started) / SECOND).tolist() == [1, 3, 1]


def test_brownout_leaves_some_of_the_capacity() -> None:
    """Calls that are worked on go on; new ones wait for the fewer servers, and for all again afterwards."""
    narrow = Brownout(start="500ms", duration="3s", capacity=0.5)
    seen = calls(run(api(capacity=2, failures=[narrow]), job(["0s"] * 8)))
    assert (seen.started / SECOND).tolist() == [0, 0, 1, 2, 3, 3.5, 4, 4.5]
    assert ((seen.ended - seen.started) == SECOND).all()


def test_call_that_is_refused_in_a_brownout_takes_no_place() -> None:
    """Whom the full queue turns away is forgotten: the next waits for those that are worked on."""
    narrow = Brownout(start="1m", duration="1m", capacity=0.0)
    seen = calls(run(api(queue_limit=1, failures=[narrow]), job(["0s", "0s", "500ms", "1500ms"])))
    assert seen.fate.tolist() == [GOOD, GOOD, REFUSED, GOOD]
    assert (seen.started[[0, 1, 3]] / SECOND).tolist() == [0, 1, 2]


def test_brownout_may_leave_nothing() -> None:
    """A service that hangs answers those who wait when it is back, if they still do."""
    hangs = Brownout(start="1s", duration="10s", capacity=0.0)
    assert ends(run(api(failures=[hangs]), job(["2s", "9s"]))) == [(12, "good"), (13, "good")]
    impatient = run(api(failures=[hangs], timeout="5s"), job(["2s", "9s"]))
    assert ends(impatient) == [(7, "TimeoutError"), (13, "good")]


def test_own_time_lies_before_and_after_the_call() -> None:
    """The share says how much of the service time comes before; the rest only follows a good reply."""
    own: dict[str, Any] = {"service": Constant(value="10s"), "before_call": 0.2}
    assert ends(run(SECOND_EACH, job(**own))) == [(11, "good")]
    assert ends(run(SECOND_EACH, job(service=Constant(value="10s")))) == [(11, "good")]
    ran = run(api(timeout="500ms"), job(**own))
    assert ends(ran) == [(2.5, "TimeoutError")]
    assert calls(ran).sent.tolist() == [2 * SECOND]


def test_attempt_that_fails_by_itself_does_not_call() -> None:
    """A job's own faults strike first."""
    ran = run(SECOND_EACH, job(failures=[Independent(probability=1, error="KeyError")]))
    assert ends(ran) == [(0, "KeyError")]
    assert len(ran.calls["api"]) == 0


def test_kinds_of_job_share_a_dependency() -> None:
    """Calls of one kind wait for those of another; kinds that do not call it do not."""
    alone = job(kind="c", dependency=None, service=Constant(value="1s"))
    ran = run(SECOND_EACH, job(), job(kind="b"), alone)
    assert ends(ran) == [(1, "good"), (1, "good"), (2, "good")]
    assert [id_ in ran.calls["api"].jobs for id_ in ran.log.jobs].count(True) == 2


def test_calls_are_keyed_by_job_and_attempt() -> None:
    """Another policy's first calls travel and take as long, whatever was called in between."""
    server = api(capacity=None, service=ExponentialService(mean="1s"), network=ExponentialService(mean="1s"))
    failing = server.model_copy(update={"failures": (Independent(probability=0.5),)})
    kind = job(arrivals=Poisson(rate="1/s"))
    several = RetryPolicy(NoBackoff(), max_attempts=5)
    firsts = []
    for policy in (ONCE, several):
        ran = run(failing, kind, policy=policy, horizon="2m")
        seen, jobs = calls(ran), ran.calls["api"].jobs
        rows = zip(
            jobs, seen.attempt, seen.arrived - seen.sent, seen.ended - seen.started, seen.fate, strict=True
        )
        firsts.append({row[0]: tuple(row[2:]) for row in rows if row[1] == 1})
    assert firsts[0] == firsts[1]
    assert len(set(firsts[0].values())) > 90


def test_run_with_calls_repeats_itself() -> None:
    """Equal seeds give equal logs, of the engine and of the dependency."""
    server = api(
        capacity=2, service=ExponentialService(mean="1s"), network=ExponentialService(mean="1s"), timeout="4s"
    )
    one, two, other = (
        run(server, job(arrivals=Poisson(rate="2/s")), seed=s, horizon="1m") for s in (1, 1, 2)
    )
    assert bytes(one.log.records) == bytes(two.log.records)
    assert calls(one).ended.tolist() == calls(two).ended.tolist() != calls(other).ended.tolist()


def test_row_is_written_by_whoever_read_it_last() -> None:
    """A write fails where another came between it and its read; reading takes two ways and writing two."""
    row = Row(name="api", network=Constant(value="10ms"))
    ran = run(row, job(["0s", "5ms", "25ms", "44ms", "45ms"]))
    assert ends(ran) == [
        (0.04, "good"),
        (0.045, "RuntimeError"),
        (0.065, "good"),  # it read at 35 ms, after the write at 30 ms
        (0.084, "RuntimeError"),  # it read at 54 ms, before the write at 55 ms
        (0.085, "good"),
    ]
    assert (calls(ran).arrived / SECOND).tolist() == [0.03, 0.035, 0.055, 0.074, 0.075]


def test_row_is_held_open_for_the_work_of_the_job() -> None:
    """The service time lies between reading and writing, where longer work meets more conflicts."""
    row = Row(name="api", network=Constant(value="10ms"))
    ran = run(row, job(service=Constant(value="1s")), job(["500ms"], kind="b"))
    assert ends(ran) == [(0.54, "good"), (1.04, "RuntimeError")]


def test_row_that_takes_time_sees_to_one_read_or_write_at_a_time() -> None:
    """Of n clients that never wait, each round lets one through: n (n + 1) reads and writes in all."""
    row = Row(name="api", network=NOTHING, service=Constant(value="10ms"))
    ran = run(row, job(["0s"] * 10), policy=RetryPolicy(NoBackoff(), max_attempts=None))
    assert len(calls(ran).ended) == 10 * 11 / 2
    assert max(at for at, _ in ends(ran)) == pytest.approx(10 * 11 * 0.01)
    assert calls(ran).useful.sum() == 10
    assert (calls(ran).started - calls(ran).arrived).max() == 0.09 * SECOND


def test_row_draws_the_time_of_every_read_and_write_anew() -> None:
    """An attempt alone takes its four ways, one read and one write, whose times are independent."""
    row = Row(name="api", network=Constant(value="1ms"), service=ExponentialService(mean="10ms"))
    ran = run(row, job([f"{n}s" for n in range(400)]))
    takes_ms = [1e3 * (at % 1) - 4 for at, _ in ends(ran)]
    assert sum(takes_ms) / 400 == pytest.approx(20, abs=4 * (200 / 400) ** 0.5)
    written_ms = (calls(ran).ended - calls(ran).started) / 1000
    assert written_ms.mean() == pytest.approx(10, abs=4 * 10 / 20)
    assert min(t - w for t, w in zip(takes_ms, written_ms, strict=True)) >= -1e-6


def test_result_has_a_table_of_calls_and_comparisons_their_measures() -> None:
    """What a dependency saw is a table of a run, and is measured wherever jobs are."""
    server = api(timeout="1500ms", failures=[Outage(start="10m", duration="5m", recovery="1m")])
    scenario = Scenario(
        name="calls",
        horizon="1h",
        workers=Workers(count=1, slots=20),
        dependencies=(server,),
        jobs=(job(["0s", "0s", "0s"]),),
        policies=[ONCE],
    )
    result = simulate(scenario, ONCE)
    assert result.calls["useful"].tolist() == [True, False, False]
    assert result.runs["wasted_work"].item() == pytest.approx(2 / 3)
    runs = compare(scenario, replications=2, n_jobs=1, progress=False).runs
    assert runs["abandoned_calls"].tolist() == [2, 2]
    assert [(o.start_s, o.end_s, o.healed_s) for o in result.profiles.outages] == [(600, 900, 960)]


def test_machine_that_stood_still_finds_its_reply() -> None:
    """A worker that pauses while a reply comes has it when it wakes: a reply in time is not lost."""
    pauses = Pauses(every="2s", length=Constant(value="5s"))
    workers = Workers(count=1, slots=20, lease="1h", pause=pauses)
    seen = calls(run(api(capacity=None, timeout="3s"), job([f"{n}s" for n in range(60)]), workers=workers))
    assert seen.answered.all()
    assert len(seen.sent) == 60
