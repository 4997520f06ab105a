from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsim.core.errors import ConfigError
from jobsim.core.time import (
    MAX_DURATION,
    SECOND,
    Duration,
    DurationLike,
    Instant,
    duration,
    instant,
    to_datetime,
)


@given(st.integers(0, MAX_DURATION).map(Duration))
def test_duration_text_reads_back_exactly(value: Duration) -> None:
    """What a duration prints as is read back to the microsecond, up to the longest there is."""
    assert duration(str(value)) == value


@pytest.mark.parametrize(
    ("micros", "text"), [(231_685, "231ms"), (999, "0s"), (1_478_055, "1.478s"), (90_000_001, "1m30s")]
)
def test_duration_in_passing_has_milliseconds(micros: int, text: str) -> None:
    """A message says no more digits than people read; it is rounded down."""
    assert Duration(micros).brief() == text


@pytest.mark.parametrize(
    ("written", "micros"),
    [
        ("250us", 250),
        ("1.5 µs", 2),
        ("250ms", 250_000),
        ("1.5s", 1_500_000),
        (" 5 s ", 5_000_000),
        ("+5s", 5_000_000),
        (".5s", 500_000),
        ("1m30s", 90_000_000),
        ("1h30m", 5_400_000_000),
        ("1d 2h", 93_600_000_000),
        ("2 weeks", 1_209_600_000_000),
        ("PT5M", 300_000_000),
        ("P1DT1S", 86_401_000_000),
        ("pt0.5s", 500_000),
        (0, 0),
        (3, 3_000_000),
        (0.25, 250_000),
        (timedelta(milliseconds=3), 3_000),
        (Duration(7), 7),
    ],
)
def test_duration_reads_what_people_write(written: DurationLike, micros: int) -> None:
    """Text with a unit, ISO 8601, a timedelta and a number of seconds all give whole microseconds."""
    assert duration(written) == Duration(micros)
    assert type(duration(written)) is Duration


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ("5", "has no unit; write for example '5s'"),
        ("1e3", "has no unit"),
        ("-5s", "cannot be negative"),
        (-1, "cannot be negative"),
        (timedelta(seconds=-1), "cannot be negative"),
        (Duration(-1), "cannot be negative"),
        (float("nan"), "must be a finite number"),
        (float("inf"), "must be a finite number"),
        ("9" * 400 + "us", "too long for a duration"),
        (10**400, "longer than a hundred years"),
        ("101 years", "longer than a hundred years"),
        (MAX_DURATION + 1, "longer than a hundred years"),
        ("", "is not a duration"),
        ("s", "is not a duration"),
        ("soon", "is not a duration"),
        ("5 lightyears", "is not a duration"),
        ("1:30", "is not a duration"),
        ("1.2.3s", "is not a duration"),
        ("|5s", "is not a duration"),
        ("PT", "is not an ISO 8601 duration"),
        ("P5X", "is not an ISO 8601 duration"),
        (True, "is not a duration"),
        (None, "is not a duration"),
        ([1], "is not a duration"),
    ],
)
def test_duration_refuses_the_rest_in_one_sentence(written: DurationLike, complaint: str) -> None:
    """What is negative, endless, unreadable or without a unit is refused, and the error says whose it was."""
    with pytest.raises(ConfigError, match=complaint) as caught:
        duration(written, "lease")
    assert str(caught.value).startswith("lease: ")


@pytest.mark.parametrize(
    "written", ["1w" + " " * 60 + "x", "1d" + " " * 60 + "1h" + " " * 60 + "x", "1w\t\n" * 30]
)
def test_duration_is_refused_however_many_spaces_it_has(written: str) -> None:
    """The time that reading takes does not double with every space."""
    with pytest.raises(ConfigError, match="duration"):
        duration(written)


def test_spaces_within_a_duration_are_one() -> None:
    """How many there are makes no difference."""
    assert duration("1h   \t 30m") == duration("1h 30m") == duration("90m")


@given(st.text())
def test_duration_of_any_text_is_valid_or_a_config_error(text: str) -> None:
    """No text makes it fail in another way, or gives a length out of range."""
    try:
        assert 0 <= duration(text) <= MAX_DURATION
    except ConfigError as error:
        assert "duration" in str(error)


def test_duration_shows_seconds_and_its_own_type() -> None:
    """Seconds are a float, and the repr says that the number is not one of seconds."""
    assert Duration(1_500_000).seconds == 1.5
    assert repr(Duration(1_500_000)) == "Duration(1500000)"


@given(st.datetimes(timezones=st.just(UTC)))
def test_instant_and_datetime_are_inverse(moment: datetime) -> None:
    """A datetime with a time zone comes back to the microsecond."""
    assert to_datetime(instant(moment)) == moment


def test_instant_counts_from_the_epoch_in_utc() -> None:
    """The epoch is 0, and other time zones are converted."""
    assert instant(datetime(1970, 1, 1, tzinfo=UTC)) == Instant(0)
    assert instant(datetime(1970, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))) == Instant(0)
    assert instant(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)) == SECOND


def test_instant_refuses_a_moment_without_time_zone() -> None:
    """A naive datetime could be any of two dozen moments."""
    with pytest.raises(ConfigError, match="has no time zone"):
        instant(datetime(2026, 1, 1))  # noqa: DTZ001  # that is the mistake
