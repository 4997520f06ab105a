"""Circuit breakers."""

import pytest

from jobsim.core.breaker import Breaker, Circuit, Phase, Stops
from jobsim.core.errors import ConfigError
from jobsim.core.time import SECOND, Instant

NOW = Instant(1_767_225_600 * SECOND)
SHY = Breaker(threshold=0.5, window="1m", min_calls=4, open_for="20s", probes=2)


def after(seconds: float) -> Instant:
    return Instant(NOW + round(seconds * SECOND))


def told(breaker: Breaker, word: str, now: Instant = NOW, circuit: Circuit | None = None) -> Circuit:
    """Return what the breaker knows after attempts that failed (``x``) or succeeded (``o``)."""
    circuit = circuit or Circuit()
    for letter in word:
        circuit = breaker.ended(circuit, now, failed=letter == "x")
    return circuit


@pytest.mark.parametrize(
    ("word", "phase"),
    [
        ("", Phase.CLOSED),
        ("xxx", Phase.CLOSED),
        ("xxxx", Phase.OPEN),
        ("ooxx", Phase.OPEN),
        ("oooxx", Phase.CLOSED),
        ("oooxxx", Phase.OPEN),
    ],
)
def test_breaker_opens_at_its_threshold(word: str, phase: Phase) -> None:
    """Of enough attempts, the share that failed reaches it."""
    assert SHY.phase(told(SHY, word), NOW) is phase


def test_breaker_is_half_open_once_its_time_is_over() -> None:
    """Not a microsecond earlier."""
    circuit = told(SHY, "xxxx")
    assert SHY.phase(circuit, Instant(after(20) - 1)) is Phase.OPEN
    assert SHY.phase(circuit, after(20)) is Phase.HALF_OPEN


@pytest.mark.parametrize(
    ("word", "phase"), [("o", Phase.HALF_OPEN), ("oo", Phase.CLOSED), ("ox", Phase.OPEN), ("x", Phase.OPEN)]
)
def test_breaker_closes_when_all_probes_succeed(word: str, phase: Phase) -> None:
    """One that fails opens it again."""
    circuit = told(SHY, word, after(20), told(SHY, "xxxx"))
    assert SHY.phase(circuit, after(20)) is phase


def test_breaker_begins_to_count_anew_when_it_closes() -> None:
    """What had opened it does not open it again."""
    circuit = told(SHY, "oo", after(20), told(SHY, "xxxx"))
    assert SHY.phase(told(SHY, "xxx", after(21), circuit), after(21)) is Phase.CLOSED


def test_breaker_that_stops_retries_follows_its_window() -> None:
    """It knows no probes: successes close it, and so does time."""
    shy = Breaker(threshold=0.5, window="1m", min_calls=2, stops="retries")
    circuit = told(shy, "xx")
    assert shy.phase(circuit, NOW) is Phase.OPEN
    assert shy.phase(told(shy, "ooo", NOW, circuit), NOW) is Phase.CLOSED
    assert shy.phase(circuit, after(61)) is Phase.CLOSED


def test_breaker_opened_by_a_clock_set_back_since_is_half_open() -> None:
    """Nobody waits for a moment far beyond what it is open for."""
    assert SHY.phase(told(SHY, "xxxx", after(3_600)), NOW) is Phase.HALF_OPEN
    assert SHY.phase(told(SHY, "xxxx", after(60)), NOW) is Phase.OPEN


@pytest.mark.parametrize(
    "breaker", [Breaker(), SHY, Breaker(threshold=1, window="200ms", stops=Stops.RETRIES)]
)
def test_breaker_repr_evaluates_back(breaker: Breaker) -> None:
    """What is printed can be typed in."""
    assert eval(repr(breaker)) == breaker  # our own text


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"threshold": 0}, "threshold: must be a share of attempts"),
        ({"threshold": 1.1}, "threshold: must be a share of attempts"),
        ({"threshold": True}, "threshold: must be a share of attempts"),
        ({"min_calls": 0}, "min_calls: must be a whole number"),
        ({"probes": 1.5}, "probes: must be a whole number"),
        ({"window": "0s"}, "window: must be longer than 0s"),
        ({"open_for": 0}, "open_for: must be longer than 0s"),
        ({"stops": "retires"}, "did you mean 'retries'"),
    ],
)
def test_breaker_refuses_what_cannot_be(values: dict[str, object], told: str) -> None:
    """An error names the field and says what to write."""
    with pytest.raises(ConfigError, match=told):
        Breaker(**values)  # type: ignore[arg-type]  # what is wrong is the point
