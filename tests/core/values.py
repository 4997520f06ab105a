"""What the tests of the core share: a lease, uniform numbers of one's choice, and policies to draw."""

from collections.abc import Iterator
from typing import Final

from hypothesis import strategies as st

from jobsim.core.backoff import (
    Backoff,
    Decorrelated,
    Exponential,
    Fixed,
    Linear,
    NoBackoff,
    Polynomial,
)
from jobsim.core.jitter import Added, Equal, Full, Growth, Jitter, NoJitter, Proportional, Stretched
from jobsim.core.job import UNLIMITED, JobId, Lease, WorkerId
from jobsim.core.policy import RetryPolicy
from jobsim.core.streams import Stream
from jobsim.core.time import SECOND, Duration, Instant

NOW: Final = Instant(1_700_000_000 * SECOND)

LEASE: Final = Lease(
    key=1,
    id=JobId.parse("018bcfe5-6800-7000-8000-0000000000ff"),
    kind="send",
    queue="default",
    attempt=1,
    max_attempts=5,
    budget=5,
    token=1,
    enqueued=Instant(NOW - 10 * SECOND),
    delay=Duration(0),
    until=Instant(NOW + 60 * SECOND),
    worker=WorkerId("w1"),
    payload="{}",
)


class Drawn(Stream):
    """A stream of the numbers given, and no others."""

    __slots__ = ("_numbers",)

    def __init__(self, *numbers: float) -> None:
        super().__init__(0)
        self._numbers: Iterator[float] = iter(numbers)

    def random(self) -> float:
        return next(self._numbers)


uniforms = st.floats(0, 1, exclude_max=True)
durations = st.one_of(
    st.integers(0, 10**7), st.integers(0, 100 * 365 * 86_400 * SECOND), st.sampled_from([0, 1, SECOND])
).map(Duration)
shares = st.floats(0, 1)

jitters: st.SearchStrategy[Jitter] = st.one_of(
    st.builds(NoJitter),
    st.builds(Equal),
    st.builds(Stretched),
    st.builds(Full, durations),
    st.builds(Proportional, shares, st.none() | shares, durations),
    st.builds(Added, durations, durations, st.sampled_from(Growth)),
)


@st.composite
def backoffs(draw: st.DrawFn) -> Backoff:
    """Any backoff of jobsim's own."""
    base, jitter = draw(durations), draw(jitters)
    cap = draw(st.none() | st.integers(base, 100 * 365 * 86_400 * SECOND).map(Duration))
    first, plus = draw(st.integers(0, 30)), draw(durations)
    match draw(st.sampled_from([NoBackoff, Fixed, Linear, Exponential, Polynomial, Decorrelated])):
        case backoff if backoff is Fixed:
            return Fixed(base, cap, jitter)
        case backoff if backoff is Linear:
            return Linear(base, draw(st.none() | durations), cap, jitter)
        case backoff if backoff is Exponential:
            return Exponential(base, draw(st.floats(1, 100) | st.integers(1, 9)), cap, jitter, first, plus)
        case backoff if backoff is Polynomial:
            return Polynomial(draw(st.floats(0, 100) | st.integers(0, 9)), base, cap, jitter, first, plus)
        case backoff if backoff is Decorrelated:
            return Decorrelated(base, cap)
        case _:
            return NoBackoff()


names = st.lists(st.sampled_from(["OSError", "stripe.CardError", ValueError, "x.Y"]), max_size=3, unique=True)
policies = st.builds(
    RetryPolicy,
    backoffs(),
    max_attempts=st.none() | st.integers(1, UNLIMITED),
    max_age=st.none() | durations,
    retry_on=names,
    dead_letter_on=names,
    name=st.text(max_size=8),
)
