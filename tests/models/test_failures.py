"""What befalls attempts."""

import pytest

from jobsim.core.errors import ConfigError
from jobsim.core.outcome import Error
from jobsim.core.time import Duration, duration
from jobsim.models import FailureModel, Fault, Independent, Outage, Permanent

OUTAGE = Outage(start="20m", duration="10m", recovery="5m", probability=0.8, takes="2s")


def test_independent_fails_below_its_probability() -> None:
    """An attempt fails where its uniform number is below the probability, whenever it starts."""
    model = Independent(probability=0.02)
    assert [model.verdict(Duration(0), u) is not None for u in (0.0, 0.0199, 0.02, 0.9)] == [
        True,
        True,
        False,
        False,
    ]


def test_independent_certainties_are_certain() -> None:
    """Probability 0 never fails and probability 1 always does."""
    assert Independent(probability=0).verdict(Duration(0), 0.0) is None
    assert Independent(probability=1).verdict(Duration(0), 1 - 2.0**-53) is not None


@pytest.mark.parametrize(
    ("at", "chance"),
    [
        ("0s", 0.0),
        ("19m59.999999s", 0.0),
        ("20m", 0.8),
        ("29m59.999999s", 0.8),
        ("30m", 0.8),
        ("31m15s", 0.6),
        ("32m30s", 0.4),
        ("35m", 0.0),
        ("5h", 0.0),
    ],
)
def test_outage_chance_follows_window_and_recovery(at: str, chance: float) -> None:
    """Nothing before the window, the probability in it, then a straight line down to nothing."""
    assert OUTAGE.chance(duration(at)) == pytest.approx(chance)


def test_outage_without_recovery_ends_at_once() -> None:
    """The first attempt after the window is untouched."""
    outage = Outage(start="0s", duration="1s")
    assert outage.verdict(Duration(999_999), 0.999) is not None
    assert outage.verdict(Duration(1_000_000), 0.0) is None


def test_outage_fault_says_error_and_time() -> None:
    """A fault carries its error and how long the attempt took to fail."""
    assert OUTAGE.verdict(duration("25m"), 0.5) == Fault(OUTAGE.error, duration("2s"))
    assert OUTAGE.error.kind == "ConnectionError"


def test_permanent_always_fails() -> None:
    """Every attempt fails, and takes its service time."""
    fault = Permanent(error="LookupError: 410 Gone").verdict(duration("9d"), 0.999)
    assert fault is not None
    assert (str(fault.error), fault.takes) == ("LookupError: 410 Gone", None)


def test_fault_errors_know_their_base_classes() -> None:
    """Policies that name a base class see a simulated error as they would a real one."""
    assert OUTAGE.error.is_a("OSError")
    assert Permanent(error=KeyError).error.is_a("LookupError")
    assert Independent(
        probability=1, error="stripe.CardError < stripe.StripeError < ValueError"
    ).error == Error(
        "stripe.CardError",
        "",
        ("stripe.CardError", "stripe.StripeError", "ValueError", "Exception", "BaseException"),
    )


@pytest.mark.parametrize("probability", [-0.1, 1.1, float("nan"), float("inf"), True, "0.5"])
def test_probability_lies_between_zero_and_one(probability: float) -> None:
    """Anything else than a number from 0 to 1 is refused."""
    with pytest.raises(ConfigError, match=r"^Independent\.probability: must be "):
        Independent(probability=probability)


@pytest.mark.parametrize("error", ["", "two words", "Error:", 5, int, None])
def test_error_must_name_an_exception(error: str) -> None:
    """An error is the name of an exception class, or the class."""
    with pytest.raises(ConfigError, match=r"^Permanent\.error: .* is not an error"):
        Permanent(error=error)


@pytest.mark.parametrize("model", [OUTAGE, Independent(probability=0.5), Permanent()])
def test_verdict_depends_on_its_arguments_alone(model: FailureModel) -> None:
    """The same start and number give the same verdict."""
    assert model.verdict(duration("21m"), 0.3) == model.verdict(duration("21m"), 0.3)
