"""What befalls attempts."""

import pytest

from jobsim.core.errors import ConfigError
from jobsim.core.outcome import Error, Failed
from jobsim.core.time import MAX_DURATION, Duration, duration
from jobsim.models import Brownout, Failure, Fault, Independent, Outage, Permanent, Slowing

OUTAGE = Outage(start="20m", duration="10m", recovery="5m", probability=0.8, takes="2s")
BROWNOUT = Brownout(start="20m", duration="10m", recovery="5m", factor=5, probability=0.4)
MODELS = [OUTAGE, BROWNOUT, Independent(probability=0.5), Permanent(share=0.5)]


def no_number(n: int) -> float:
    """Fail the test: nothing is open."""
    raise AssertionError(n)


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


@pytest.mark.parametrize(
    ("at", "factor", "chance"),
    [("19m", 1.0, 0.0), ("20m", 5.0, 0.4), ("29m", 5.0, 0.4), ("32m30s", 3.0, 0.2), ("35m", 1.0, 0.0)],
)
def test_brownout_slows_and_fails_attempts(at: str, factor: float, chance: float) -> None:
    """Within the window attempts take longer and may fail; both pass with the recovery."""
    assert BROWNOUT.slowdown(duration(at)) == pytest.approx(factor)
    struck = [BROWNOUT.verdict(duration(at), u) is not None for u in (max(0, chance - 0.01), chance + 0.01)]
    assert struck == [chance > 0, False]


def test_brownout_does_not_fail_unless_told() -> None:
    """A brownout is slow, and no more than that, without a probability."""
    assert Brownout(start="0s", duration="1h", factor=2).verdict(duration("1m"), 0.0) is None


@pytest.mark.parametrize(
    ("at", "left", "until"),
    [
        ("0s", 10, "20m"),
        ("20m", 3, "30m"),
        ("29m", 3, "30m"),
        ("30m", 3, "32m"),
        ("32m", 4, "34m"),
        ("43m", 9, "44m"),
    ],
)
def test_brownout_leaves_a_share_of_the_capacity(at: str, left: int, until: str) -> None:
    """Within the window only that share is open; over the recovery the rest comes back one by one."""
    narrow = Brownout(start="20m", duration="10m", recovery="14m", capacity=0.3)
    assert narrow.opened(duration(at), 10) == (left, duration(until))
    assert narrow.opened(duration("44m"), 10) == (10, MAX_DURATION)
    assert narrow.slowdown(duration("25m")) == 1


@pytest.mark.parametrize(
    ("share", "left"), [(0.0, 0), (0.01, 1), (0.3, 1), (0.5, 2), (0.7, 2), (0.99, 3), (1.0, 3)]
)
def test_brownout_leaves_whole_servers(share: float, left: int) -> None:
    """The nearest number of servers is left, and one at least unless none shall be."""
    assert Brownout(start="0s", duration="1h", capacity=share).opened(Duration(0), 3)[0] == left


def test_brownout_says_what_it_takes() -> None:
    """A brownout that neither slows nor narrows was not meant so."""
    with pytest.raises(
        ConfigError, match=r"^Brownout: needs factor, by which it slows attempts, or capacity"
    ):
        Brownout(start="0s", duration="1h", probability=0.5)


@pytest.mark.parametrize("factor", [0.5, float("nan"), float("inf"), 1e7, "2"])
def test_brownout_refuses_an_impossible_factor(factor: float) -> None:
    """A brownout makes nothing faster."""
    with pytest.raises(ConfigError, match=r"^Brownout\.factor: must be "):
        Brownout(start="0s", duration="1s", factor=factor)


def test_permanent_strikes_the_share_of_jobs_that_it_says() -> None:
    """The number of a job decides, and it is one for all attempts."""
    poison = Permanent(share=0.01)
    assert [poison.verdict(Duration(0), u) is not None for u in (0.0, 0.0099, 0.01)] == [True, True, False]
    assert [model.of_job for model in MODELS] == [False, False, False, True]


@pytest.mark.parametrize("model", [Independent, Permanent])
def test_faults_may_demand_a_wait_or_kill_their_worker(model: type[Independent] | type[Permanent]) -> None:
    """Every failure may take a time of its own, demand a wait, and kill the worker."""
    values = {"takes": "2s", "retry_after": "1m", "kills": True}
    sure = model(**({"probability": 1.0} if model is Independent else {}) | values)  # type: ignore[arg-type]
    fault = sure.verdict(Duration(0), 0.5)
    assert fault == Fault(sure.error, duration("2s"), duration("1m"), kills=True)
    assert fault is not None
    assert fault.outcome == Failed(sure.error, duration("1m"))


def test_kills_is_yes_or_no() -> None:
    """Nothing but true and false is taken for one of them."""
    with pytest.raises(ConfigError, match=r"^Permanent\.kills: must be true or false, not 'yes'$"):
        Permanent(kills="yes")  # type: ignore[arg-type]


@pytest.mark.parametrize("model", MODELS)
def test_models_without_a_path_are_their_own_condition(model: Failure) -> None:
    """Where nothing is open no number is drawn, and only a brownout slows attempts."""
    assert model.begin(no_number) is model
    assert isinstance(model, Slowing) == isinstance(model, Brownout)


@pytest.mark.parametrize("model", MODELS)
def test_verdict_depends_on_its_arguments_alone(model: Failure) -> None:
    """The same start and number give the same verdict."""
    assert model.verdict(duration("21m"), 0.3) == model.verdict(duration("21m"), 0.3)
