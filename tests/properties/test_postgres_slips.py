"""Slips in the SQL of PostgreSQL are found: some in everyday runs, most by two in ``make mutants``."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count

import pytest

from jobsim.storage.base import Storage
from jobsim.storage.postgres import PostgresStorage
from tests.planted.instruments import by_conformance, by_machine, tell
from tests.planted.postgres import CONDITIONS, LOCKS, REFUSAL, by_meetings, by_turns, in_postgres
from tests.storage.meetings import FREE, LIMITED, Meetings, Terms

Make = Callable[[], Storage]

MEETINGS: dict[str, tuple[str, str, Terms]] = {
    "claim without lock": ("claim", "claim", FREE),
    "claim that waits": ("claim two", "claim", FREE),
    "settlement without lock": ("succeed", "retry", FREE),
    "refusal without lock": ("settle late", "prune", FREE),
    "limit without lock": ("claim two", "claim", LIMITED),
    "log without lock": ("enqueue", "claim", FREE),
}
"""Calls that show a slip at once."""


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Let stores not tell of what befalls them."""
    caplog.set_level("CRITICAL", logger="jobsim")


@pytest.fixture
def make(postgres: str, schema: str) -> Make:
    """What makes stores on PostgreSQL, each empty."""
    numbers = count()
    return lambda: PostgresStorage(postgres, schema=f"{schema}_{next(numbers)}", connections=2)


@contextmanager
def planted(slip: str) -> Iterator[None]:
    """Plant a slip."""
    with pytest.MonkeyPatch.context() as patch:
        in_postgres(patch, {**CONDITIONS, **LOCKS, **REFUSAL}[slip])
        yield


@pytest.mark.parametrize("slip", MEETINGS)
def test_slip_in_a_lock_is_found_where_two_meet(postgres: str, schema: str, slip: str) -> None:
    """Two calls that meet show it, and nothing is wrong with them without it."""
    with Meetings(postgres, f"{schema}_sound") as meetings:
        assert meetings.meet(*MEETINGS[slip]) == []
    with planted(slip), Meetings(postgres, schema) as meetings:
        assert meetings.meet(*MEETINGS[slip])


@pytest.mark.soak
@pytest.mark.parametrize("slip", CONDITIONS)
def test_slip_in_a_condition_is_found_by_two_instruments(
    make: Make, slip: str, record_property: Callable[[str, object], None]
) -> None:
    """The conformance suite and the machine on PostgreSQL itself both do."""
    with planted(slip):
        instruments = {
            "conformance": partial(by_conformance, make),
            "machine": partial(by_machine, make, 60),
        }
        tell(f"PostgreSQL: {slip}", instruments, record_property)


@pytest.mark.soak
@pytest.mark.parametrize("slip", LOCKS)
def test_slip_in_a_lock_is_found_by_two_instruments(
    postgres: str, schema: str, slip: str, record_property: Callable[[str, object], None]
) -> None:
    """Every two calls that meet, and schedules of statements by lot, both do."""
    with planted(slip):
        instruments = {
            "meetings": partial(by_meetings, postgres, schema),
            "turns": partial(by_turns, postgres, schema),
        }
        tell(f"PostgreSQL: {slip}", instruments, record_property)
