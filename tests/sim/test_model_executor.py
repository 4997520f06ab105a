"""What befalls an attempt in a simulation, and how long it takes."""

import pytest

from jobsim.core.job import JobId, Lease, WorkerId
from jobsim.core.outcome import SUCCEEDED, Failed, Outcome
from jobsim.core.streams import Purpose, Streams
from jobsim.core.time import SECOND, Duration, Instant
from jobsim.models import (
    Brownout,
    Constant,
    ExponentialService,
    FailureModel,
    GilbertElliott,
    Independent,
    Listed,
    Outage,
    Permanent,
    Service,
)
from jobsim.runtime.sim import World
from jobsim.sim.draws import Draws
from jobsim.sim.model_executor import ModelExecutor, fates
from jobsim.sim.scenario import JobClass

BEGAN = Instant(1_767_225_600 * SECOND)
STREAMS = Streams(5)
SURE = Independent(probability=1, error="LookupError: always")
OUTAGE = Outage(start="10s", duration="10s", takes="2s")


def attempt(
    failures: tuple[FailureModel, ...], service: Service, *, key: int = 1, number: int = 1, after_s: int = 0
) -> tuple[Outcome, Duration]:
    """Return how an attempt ends that starts `after_s`, and how long it takes."""
    job = JobClass(kind="a", arrivals=Listed(times=["0s"]), service=service, failures=failures)
    world = World(BEGAN)
    machine = world.machine()
    executor = ModelExecutor(machine, fates([job], STREAMS, Draws(STREAMS), {}), BEGAN, machine.kill)
    lease = Lease(
        1, JobId(key), "a", "q", number, 5, 5, number, BEGAN, Duration(0), BEGAN, WorkerId("w"), "{}"
    )

    async def play() -> tuple[Outcome, Duration]:
        await machine.sleep(Duration(after_s * SECOND))
        begin = machine.now()
        return await executor.execute(lease), Duration(machine.now() - begin)

    return world.run(play())


def test_attempt_takes_its_service_time_and_succeeds() -> None:
    """Without failures an attempt succeeds after what its own stream of service times says."""
    service = ExponentialService(mean="3s")
    for key, number in [(1, 1), (1, 2), (2, 1)]:
        takes = service.draw(STREAMS.random(Purpose.SERVICE, key, number))
        assert attempt((), service, key=key, number=number) == (SUCCEEDED, takes)


@pytest.mark.parametrize(
    ("failures", "after_s", "error", "takes_s"),
    [
        ((SURE,), 0, SURE.error, 1),
        ((OUTAGE, SURE), 0, SURE.error, 1),
        ((OUTAGE, SURE), 10, OUTAGE.error, 2),
        ((SURE, OUTAGE), 10, SURE.error, 1),
        ((Permanent(),), 0, Permanent().error, 1),
    ],
)
def test_attempt_ends_in_the_first_fault_that_strikes(
    failures: tuple[FailureModel, ...], after_s: int, error: object, takes_s: int
) -> None:
    """Models are asked in order, when the attempt starts; a fault without a time takes the service time."""
    ended = attempt(failures, Constant(value="1s"), after_s=after_s)
    assert isinstance(ended[0], Failed)
    assert (ended[0].error, ended[1]) == (error, takes_s * SECOND)


def test_each_failure_model_has_a_stream_of_its_own() -> None:
    """Two models of the same probability strike different attempts: together they strike more."""
    half = Independent(probability=0.5)

    def struck(failures: tuple[FailureModel, ...]) -> int:
        ends = [attempt(failures, Constant(value="1s"), key=key)[0] for key in range(200)]
        return sum(isinstance(end, Failed) for end in ends)

    assert 70 <= struck((half,)) <= 130
    assert 130 <= struck((half, half)) <= 170


def test_brownouts_multiply_the_service_time() -> None:
    """Every brownout that an attempt starts in slows it down, unless it fails in a time of its own."""
    slow = Brownout(start="10s", duration="10s", factor=3)
    late = Brownout(start="15s", duration="10s", factor=2)
    seconds = Constant(value="1s")
    assert attempt((slow, late), seconds, after_s=5) == (SUCCEEDED, SECOND)
    assert attempt((slow, late), seconds, after_s=12) == (SUCCEEDED, 3 * SECOND)
    assert attempt((slow, late), seconds, after_s=16) == (SUCCEEDED, 6 * SECOND)
    assert attempt((slow, SURE), seconds, after_s=12)[1] == 3 * SECOND
    assert attempt((slow, OUTAGE), seconds, after_s=12)[1] == 2 * SECOND


def test_permanent_share_strikes_a_job_in_all_attempts_or_in_none() -> None:
    """Whether a job can succeed is decided once: all its attempts end alike."""
    poison = (Permanent(share=0.5),)
    ends = [
        {isinstance(attempt(poison, Constant(value="1s"), key=key, number=n)[0], Failed) for n in (1, 2, 3)}
        for key in range(200)
    ]
    assert all(len(end) == 1 for end in ends)
    assert 70 <= sum(end == {True} for end in ends) <= 130


def test_fault_carries_the_wait_that_its_error_demands() -> None:
    """An error with a retry-after reaches the policy with it."""
    limited = Independent(probability=1, error="ConnectionError: 429", retry_after="90s")
    ended, _ = attempt((limited,), Constant(value="1s"))
    assert isinstance(ended, Failed)
    assert (str(ended.error), str(ended.retry_after)) == ("ConnectionError: 429", "1m30s")


def test_kinds_share_the_course_of_failures_of_one_name() -> None:
    """Unnamed failures have a course of their own, kind by kind; those of one name go down together."""

    def courses(name: str | None) -> list[list[bool]]:
        model = GilbertElliott(name=name, good="10s", bad="10s")
        jobs = [
            JobClass(
                kind=kind, arrivals=Listed(times=["0s"]), service=Constant(value="1s"), failures=(model,)
            )
            for kind in ("a", "b")
        ]
        begun = fates(jobs, STREAMS, Draws(STREAMS), {})
        moments = [Duration(second * SECOND) for second in range(300)]
        return [[fate.verdicts[0][1](at, 0.5) is not None for at in moments] for fate in begun.values()]

    shared, apart = courses("channel"), courses(None)
    assert shared[0] == shared[1]
    assert apart[0] != apart[1]
