import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsim.core.errors import ConfigError
from jobsim.core.jitter import (
    Added,
    Equal,
    Full,
    Jitter,
    JitterLike,
    NoJitter,
    Proportional,
    Stretched,
    jitter,
    jitter_text,
)
from jobsim.core.time import MAX_DURATION, SECOND
from tests.core.values import jitters, uniforms

CAP = 30 * SECOND


@pytest.mark.parametrize(
    ("spread", "delay", "retry", "u", "expected"),
    [
        (NoJitter(), 8, 1, 0.9, 8),
        (Full(), 8, 1, 0.25, 2),
        (Full(step="1s"), 8 * SECOND, 1, 0.0, 0),
        (Full(step="1s"), 8 * SECOND, 1, 0.5, 4 * SECOND),
        (Full(step="1s"), 8 * SECOND, 1, 0.999, 8 * SECOND),
        (Equal(), 8, 1, 0.0, 4),
        (Equal(), 8, 1, 0.5, 6),
        (Proportional(0.1), 1000, 1, 0.0, 900),
        (Proportional(0.1), 1000, 1, 0.75, 1050),
        (Proportional(0.1, down=0), 1000, 1, 0.5, 1050),
        (Proportional(0.1, down=0, step="1s"), 17 * SECOND, 1, 0.5, 17 * SECOND),
        (Proportional(0.1, down=0, step="1s"), 17 * SECOND, 1, 0.9, 18 * SECOND),
        (Proportional(0.1, step="1s"), 17 * SECOND, 1, 0.0, 16 * SECOND),
        (Stretched(), 8, 1, 0.25, 10),
        (Stretched(), 20 * SECOND, 1, 0.45, 29 * SECOND),
        (Stretched(), 20 * SECOND, 1, 0.75, 22.5 * SECOND),
        (Stretched(), CAP, 1, 0.5, 22.5 * SECOND),
        (Stretched(), 0, 1, 0.5, 0),
        (Added("100ms"), 8 * SECOND, 1, 0.5, 8.05 * SECOND),
        (Added("10s", grows="range"), SECOND, 3, 0.5, 16 * SECOND),
        (Added("10s", step="1s", grows="range"), SECOND, 3, 0.55, 17 * SECOND),
        (Added("10s", step="1s", grows="draw"), SECOND, 3, 0.55, 16 * SECOND),
    ],
    ids=repr,
)
def test_jitter_spreads_by_its_formula(
    spread: Jitter, delay: int, retry: int, u: float, expected: float
) -> None:
    """Each jitter is a plain function of the delay, the retry and one uniform number."""
    assert spread.spread(delay, CAP, retry, u) == pytest.approx(expected, abs=1e-6)


def test_stretched_fills_the_upper_half_evenly_beyond_the_cap() -> None:
    """Even numbers u above the point where the cap is passed give even delays on cap/2 .. cap."""
    delay = 24 * SECOND  # 24 * (1 + u) passes 30 at u = 0.25
    above = [Stretched().spread(delay, CAP, 1, 0.25 + 0.75 * k / 8) for k in range(1, 8)]
    assert above == pytest.approx([CAP / 2 * (1 + k / 8) for k in range(1, 8)])


@given(jitters, st.integers(0, MAX_DURATION), st.integers(1, 10_000), uniforms)
def test_jitter_stays_within_what_it_promises(spread: Jitter, delay: int, retry: int, u: float) -> None:
    """None goes below zero; none but the added, the stretched and the one upwards goes above the delay."""
    found = spread.spread(delay, MAX_DURATION, retry, u)
    assert found >= -1e-6 * delay
    match spread:
        case NoJitter():
            assert found == delay
        case Full():
            assert found <= delay
        case Equal():
            assert delay / 2 <= found <= delay
        case Stretched():
            assert min(delay, MAX_DURATION / 2) <= found <= min(2 * delay, MAX_DURATION)
        case Proportional(up=up, down=down):
            assert delay * (1 - (up if down is None else down)) * (1 - 1e-9) <= found
            assert found <= delay * (1 + up) * (1 + 1e-9)
        case Added():
            assert found >= delay


@pytest.mark.parametrize("name", ["none", "full", "equal", "stretched"])
def test_jitter_name_and_value_are_inverse(name: str) -> None:
    """The simple jitters can be named, and print as their names."""
    assert jitter_text(jitter(name)) == repr(name)


@given(jitters)
def test_jitter_text_reads_back(spread: Jitter) -> None:
    """The text of any jitter is source that gives it back."""
    known = {cls.__name__: cls for cls in (Full, Proportional, Added)}
    assert jitter(eval(jitter_text(spread), known)) == spread


class Unhashable:
    """A jitter of a user's own."""

    __hash__ = None  # type: ignore[assignment]

    def spread(self, delay: int, cap: int, retry: int, u: float) -> float:
        return delay

    def __repr__(self) -> str:
        return "Unhashable()"


def test_jitter_of_a_users_own_is_taken() -> None:
    """Whatever has a method spread is a jitter, hashable or not."""
    own = Unhashable()
    assert jitter(own) is own
    assert jitter_text(own) == "Unhashable()"


@pytest.mark.parametrize("wrong", [Full, object(), 0.1, None])
def test_jitter_refuses_what_cannot_spread(wrong: JitterLike) -> None:
    """A class instead of a value, a number and nothing at all are refused, with an example."""
    with pytest.raises(ConfigError, match="is no jitter; write for example 'full'"):
        jitter(wrong)


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: jitter("ful"), r"jitter: 'ful' is not one of none, full, .* \(did you mean 'full'\?\)"),
        (lambda: Proportional(-0.1), "Proportional.up: a share lies between 0 and 1: -0.1"),
        (lambda: Proportional(0.1, down=1.5), "Proportional.down: a share lies between 0 and 1: 1.5"),
        (lambda: Proportional(float("nan")), "Proportional.up: a share lies between 0 and 1: nan"),
        (lambda: Proportional(0.1, step="1"), "Proportional.step: '1' has no unit"),
        (lambda: Added("-1s"), "Added.upto: a duration cannot be negative"),
        (lambda: Added("1s", step="x"), "Added.step: 'x' is not a duration"),
        (
            lambda: Added("1s", grows="rang"),
            r"Added.grows: 'rang' is not one of none, range, draw \(did you mean 'range'\?\)",
        ),
        (lambda: Full(step=-1), "Full.step: a duration cannot be negative"),
    ],
)
def test_jitter_refuses_bad_values_by_name(make: object, complaint: str) -> None:
    """The error names the field, and the word that was meant."""
    assert callable(make)
    with pytest.raises(ConfigError, match=complaint):
        make()
