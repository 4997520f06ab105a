"""Periodic jobs: when their ticks are, and the job for each."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice, pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

import jobsim
from jobsim.core.time import instant, to_datetime
from jobsim.live.periodic import Cron, Every, Ticks

BERLIN = ZoneInfo("Europe/Berlin")


def ticks(of: Ticks, since: datetime) -> Iterator[datetime]:
    """Yield the ticks after `since`, in UTC."""
    at = of.after(instant(since))
    while at is not None:
        yield to_datetime(at)
        at = of.after(at)


def in_berlin(of: Ticks, since: datetime, count: int) -> list[str]:
    """Return the next ticks as a clock in Berlin shows them."""
    return [f"{tick.astimezone(BERLIN):%d %H:%M %Z}" for tick in islice(ticks(of, since), count)]


def test_a_cron_expression_goes_by_the_clock_of_its_zone() -> None:
    """Noon in Berlin is not at the same time of the world in winter and in summer."""
    noon = Cron("0 12 * * *", "Europe/Berlin")
    assert in_berlin(noon, datetime(2026, 3, 27, 20, tzinfo=UTC), 3) == [
        "28 12:00 CET",
        "29 12:00 CEST",
        "30 12:00 CEST",
    ]
    assert next(ticks(Cron("0 12 * * *"), datetime(2026, 3, 28, tzinfo=UTC))) == datetime(
        2026, 3, 28, 12, tzinfo=UTC
    )


def test_what_falls_into_the_missing_hour_happens_once_after_it() -> None:
    """On the night when clocks are set forward, a job at half past two is not left out."""
    nightly = Cron("30 2 * * *", "Europe/Berlin")
    found = in_berlin(nightly, datetime(2026, 3, 28, 12, tzinfo=BERLIN), 2)
    assert found == ["29 03:00 CEST", "30 02:30 CEST"]


def test_what_falls_into_the_double_hour_happens_once() -> None:
    """On the night when clocks are set back, a job at half past two does not run twice."""
    nightly = Cron("30 2 * * *", "Europe/Berlin")
    found = in_berlin(nightly, datetime(2026, 10, 24, 12, tzinfo=BERLIN), 2)
    assert [tick[:8] for tick in found] == ["25 02:30", "26 02:30"]


def test_quarters_of_an_hour_go_on_through_both_nights() -> None:
    """An expression of all hours has four ticks in each hour of the world, whatever clocks show."""
    quarters = Cron("*/15 * * * *", "Europe/Berlin")
    for day in (datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)):
        found = list(islice(ticks(quarters, day), 24))
        assert [(b - a).seconds for a, b in pairwise(found)] == [900] * 23


def test_every_has_the_same_ticks_in_all_processes() -> None:
    """They are the multiples of the period, whenever one begins to look."""
    every = Every("15m")
    for minute in (1, 7, 14):
        since = datetime(2026, 5, 1, 10, minute, tzinfo=UTC)
        assert next(ticks(every, since)) == datetime(2026, 5, 1, 10, 15, tzinfo=UTC)


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[jobsim.Queue]:
    with jobsim.Queue(f"sqlite:///{tmp_path / 'jobs.db'}") as queue:
        yield queue


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "either a cron expression or every="),
        ({"cron": "0 3 * * *", "every": "5m"}, "either a cron expression or every="),
        ({"cron": "61 3 * * *"}, r"cron: '61 3 \* \* \*' cannot be read"),
        ({"cron": "* * */20 * 1L"}, "names a day that never comes"),
        ({"cron": "0 3 * * *", "tz": "Europe/Berln"}, "no time zone 'Europe/Berln'"),
        ({"every": "0s"}, "longer than 0s"),
        ({"every": "5m", "tick_as": "when"}, "has no argument 'when'"),
        ({"every": "5m", "catch_up": "soon"}, "catch_up"),
    ],
)
def test_a_schedule_that_cannot_be_kept_is_refused(
    queue: jobsim.Queue, settings: dict[str, str], said: str
) -> None:
    """What is wrong is said where the schedule is declared."""

    @queue.job
    def clean() -> None: ...

    with pytest.raises(jobsim.ConfigError, match=said):
        queue.periodic(**settings)(clean)  # type: ignore[arg-type]


def test_a_name_is_for_one_schedule(queue: jobsim.Queue) -> None:
    """Two schedules of one handler need two names, or a tick of one would be taken for the other's."""

    @queue.periodic(every="1h")
    @queue.job
    def clean() -> None: ...

    with pytest.raises(jobsim.ConfigError, match="'clean' is a schedule already"):
        queue.periodic(every="5m")(clean)
    queue.periodic(every="5m", name="clean-often")(clean)
    assert set(queue.schedules) == {"clean", "clean-often"}


def test_jobs_are_not_forgotten_while_their_tick_may_come_again(tmp_path: Path) -> None:
    """A retention shorter than what is made up for could enqueue a tick twice, and is refused."""
    queue = jobsim.Queue(f"sqlite:///{tmp_path / 'jobs.db'}", retention={"succeeded": "10m"})

    @queue.periodic(every="5m", catch_up="20m")
    @queue.job
    def clean() -> None: ...

    with pytest.raises(jobsim.ConfigError, match="'clean' makes up for ticks of the last 20m"):
        queue.worker()


def test_a_schedule_of_which_no_job_can_be_made_is_refused(queue: jobsim.Queue) -> None:
    """What would end every worker at the first tick is said before there is a worker."""

    @queue.periodic(every="5m", arguments={"region": ["eu"]})
    @queue.job
    def clean(region: str) -> None: ...

    with pytest.raises(jobsim.PayloadError, match="clean: argument region: "):
        queue.worker()


def test_the_job_of_a_tick_is_the_same_whoever_makes_it(queue: jobsim.Queue) -> None:
    """Its id, its time and its arguments depend on the schedule's name and the tick alone."""

    @queue.periodic("0 3 * * *", arguments={"region": "eu"}, tick_as="day", priority=7, unique_key="report")
    @queue.job
    def report(region: str, day: datetime) -> None: ...

    tick = instant(datetime(2026, 5, 1, 3, tzinfo=UTC))
    made, again = (queue.schedules["report"].job(tick) for _ in range(2))
    assert made == again
    assert (made.run_at, made.priority, made.unique_key) == (tick, 7, "report")
    assert report.arguments.decode(made.payload) == {
        "region": "eu",
        "day": datetime(2026, 5, 1, 3, tzinfo=UTC),
    }
    assert queue.schedules["report"].job(jobsim.Instant(tick + 1)).id != made.id


@pytest.mark.live
def test_workers_of_two_processes_share_a_schedule(tmp_path: Path) -> None:
    """Each tick runs once, with its own time, however many workers there are."""
    ran: list[datetime] = []
    enough, queues = threading.Event(), []
    for _ in range(2):
        queue = jobsim.Queue(f"sqlite:///{tmp_path / 'jobs.db'}")

        @queue.periodic(every="250ms", tick_as="tick", catch_up="0s")
        @queue.job
        def note(tick: datetime) -> None:
            ran.append(tick)
            if len(ran) == 6:
                enough.set()

        queues.append(queue)
        queue.worker(poll="50ms").start()
    assert enough.wait(60)
    for queue in queues:
        queue.close()
    assert len(set(ran)) == len(ran)
    assert all(tick.microsecond % 250_000 == 0 for tick in ran)
