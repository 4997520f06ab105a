"""How far the store is, and who is cut off from it."""

import pytest

from jobsim.core.errors import ConfigError
from jobsim.core.time import Duration
from jobsim.models import CallFailures, Constant, Partition, StorageModel


def test_call_takes_half_its_time_each_way() -> None:
    """To the last microsecond."""
    assert StorageModel(latency=Constant(value="7us")).trip(0.3) == (Duration(3), Duration(4))
    assert StorageModel().trip(0.3) == (Duration(0), Duration(0))


@pytest.mark.parametrize(
    ("whom", "cut_off"),
    [
        ({}, [True, True, True]),
        ({"workers": [2]}, [False, True, False]),
        ({"enqueuers": True}, [False, False, True]),
        ({"workers": [1, 2], "enqueuers": True}, [True, True, True]),
    ],
)
def test_partition_cuts_off_whom_it_names(whom: dict[str, object], cut_off: list[bool]) -> None:
    """Workers by number, those who enqueue, or all where nobody is named."""
    partition = Partition(start="1m", duration="1m", **whom)  # type: ignore[arg-type]
    assert [partition.cuts_off(who) for who in (1, 2, None)] == cut_off


def test_failures_name_calls_that_are_made() -> None:
    """Another name is refused, and the message tells them."""
    with pytest.raises(
        ConfigError, match=r"CallFailures\.calls\.0: must be 'enqueue', 'exchange', .*'claim'"
    ):
        CallFailures(probability=0.1, calls=["claim"])  # type: ignore[arg-type]
