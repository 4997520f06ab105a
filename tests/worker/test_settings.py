"""What a worker may be told about how to work."""

from typing import Any

import pytest

from jobsim.core.errors import ConfigError
from jobsim.core.time import SECOND, Duration
from jobsim.worker.settings import WorkerSettings


def test_durations_are_read_as_people_write_them() -> None:
    """Text, numbers of seconds and durations all become durations."""
    settings = WorkerSettings(lease="1m", poll=0.25, shutdown_timeout=Duration(7))
    assert (settings.lease, settings.poll, settings.shutdown_timeout) == (60 * SECOND, SECOND // 4, 7)
    assert settings.lease_duration == Duration(60 * SECOND)


def test_queues_become_a_tuple_in_their_order() -> None:
    """Any iterable of names will do, and cannot be changed afterwards through it."""
    names: Any = ["mail", "default"]
    settings = WorkerSettings(queues=names)
    names.clear()
    assert settings.queues == ("mail", "default")


def test_shutdown_timeout_may_be_nothing() -> None:
    """To wait for nobody at a stop is a choice, unlike a lease or a poll of no length."""
    assert WorkerSettings(shutdown_timeout=0).shutdown_timeout == 0


@pytest.mark.parametrize("slots", [0, -1, 1.5, True, "8", None])
def test_slots_must_be_a_whole_number_from_one(slots: Any) -> None:
    """A worker without slots would wait for ever; the error says what was given."""
    with pytest.raises(ConfigError, match="slots: must be a whole number, at least 1; not"):
        WorkerSettings(slots=slots)


@pytest.mark.parametrize("queues", [(), [], ("",), ("mail", 3), None, 5])
def test_queues_must_be_names(queues: Any) -> None:
    """A worker without queues, or with one that has no name, would find nothing."""
    with pytest.raises(ConfigError, match="queues: must be names, at least one"):
        WorkerSettings(queues=queues)


def test_one_queue_given_as_text_is_no_list_of_letters() -> None:
    """The error says how to write the one name that was meant."""
    with pytest.raises(ConfigError, match=r"write \('mail',\)"):
        WorkerSettings(queues="mail")  # type: ignore[arg-type]  # the mistake that is to be refused


@pytest.mark.parametrize("name", ["lease", "poll"])
@pytest.mark.parametrize("value", [0, "0s", Duration(0)])
def test_lease_and_poll_have_a_length(name: str, value: Any) -> None:
    """A lease that ends as it begins, or a poll without pause, is refused."""
    with pytest.raises(ConfigError, match="longer than 0s"):
        WorkerSettings(**{name: value})


@pytest.mark.parametrize("name", ["lease", "poll", "shutdown_timeout"])
def test_wrong_duration_is_named(name: str) -> None:
    """The error begins with the setting that was wrong."""
    with pytest.raises(ConfigError, match=f"^{name}: "):
        WorkerSettings(**{name: "soon"})  # type: ignore[arg-type]  # as it comes from a file
