"""Dependencies: what may be written of them."""

from typing import Any

import pytest

from jobsim.core.errors import ConfigError
from jobsim.core.outcome import Failed
from jobsim.models import Brownout, Constant, Outage, Overload, Row, Server

SERVICE = Constant(value="1s")


@pytest.mark.parametrize(
    ("present", "chance"), [(0, 0.0), (50, 0.0), (60, 0.08), (100, 0.4), (150, 0.8), (151, 0.8), (10**9, 0.8)]
)
def test_overload_grows_with_the_calls_that_are_there(present: int, chance: float) -> None:
    """Nothing up to `above`, then a straight line up to the probability at `full`."""
    overload = Overload(above=50, full=150, probability=0.8)
    assert overload.chance(present) == pytest.approx(chance)
    assert (overload.verdict(present, 0.79) is not None) is (chance == pytest.approx(0.8))


def test_overload_may_tell_when_to_come_again() -> None:
    """Its error carries the wait that it demands."""
    fault = Overload(above=0, full=1, error="Busy: 503", retry_after="5s", takes="0s").verdict(1, 0.5)
    assert fault is not None
    assert isinstance(fault.outcome, Failed)
    assert (str(fault.error), fault.takes, fault.outcome.retry_after) == ("Busy: 503", 0, 5_000_000)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"capacity": 0}, r"^Server\.capacity: must be at least 1"),
        ({"queue_limit": -1}, r"^Server\.queue_limit: must be at least 0"),
        ({"timeout": "0s"}, r"^Server\.timeout: must be longer than zero"),
        (
            {"overload": {"above": 5, "full": 5}},
            r"^Server\.overload\.full: must be more than above, which is 5",
        ),
        ({"overload": {"above": "x", "full": 5}}, r"^Server\.overload\.above: must be a whole number"),
        ({"failures": [Outage(start="0s", duration="1s", kills=True)]}, r"^Server\.failures: .* cannot kill"),
        (
            {"failures": [Brownout(start="0s", duration="1s", capacity=0.5)]},
            r"^Server\.failures: a share of the capacity can be left only where there is one",
        ),
        ({"slop": "1s"}, r"^Server\.slop: unknown key \(did you mean 'slope'\?\)"),
        ({"name": ""}, r"^Server\.name: must not be empty"),
    ],
)
def test_server_refuses_nonsense(fields: dict[str, Any], message: str) -> None:
    """What cannot be meant is refused, and named."""
    usual: dict[str, Any] = {"name": "api", "service": SERVICE}
    with pytest.raises(ConfigError, match=message):
        Server(**(usual | fields))


def test_row_needs_a_network() -> None:
    """Without a way there and back, nobody would ever be in another's way."""
    with pytest.raises(ConfigError, match=r"^Row\.network is missing"):
        Row(name="account")  # type: ignore[call-arg]
