"""Field types: written one way, read another."""

import pickle
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsim.core.errors import ConfigError
from jobsim.core.outcome import Error
from jobsim.core.time import Duration, DurationLike
from jobsim.models import Crashes, ExponentialService, Lognormal, Outage, Poisson, Workers
from jobsim.models.fields import as_error, error_text

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,5}(\.[A-Za-z_]\w{0,5})?", fullmatch=True)


@given(st.lists(NAMES, min_size=1, max_size=4), st.text(max_size=20))
def test_error_text_reads_back(names: list[str], message: str) -> None:
    """Every error is written so that it reads back with its bases and its message."""
    error = as_error(Error(names[0], message, tuple(names)))
    assert as_error(error_text(error)) == error


@pytest.mark.parametrize(
    "text", ["ConnectionError", "ConnectionError: refused", "stripe.CardError", "a.B < c.D: x: y"]
)
def test_error_text_is_as_short_as_it_was_written(text: str) -> None:
    """Bases that a name implies are not written."""
    assert error_text(as_error(text)) == text


def test_error_text_keeps_the_bases_of_a_class() -> None:
    """An exception class of one's own is written with its bases."""
    error = as_error(pickle.PicklingError)
    assert error_text(error) == "_pickle.PicklingError < _pickle.PickleError < Exception"
    assert error.is_a("PickleError")


def test_durations_may_be_written_in_python_as_text_number_or_timedelta() -> None:
    """In Python a number is seconds."""
    written: list[DurationLike] = ["250ms", 0.25, timedelta(milliseconds=250), Duration(250_000)]
    assert {ExponentialService(mean=mean).mean for mean in written} == {Duration(250_000)}


def test_models_are_frozen() -> None:
    """A model cannot be changed once made."""
    workers = Workers(count=4, slots=8)
    with pytest.raises(ValueError, match="frozen"):
        workers.count = 5


def test_models_repr_evaluates_back() -> None:
    """The repr is the source text of an equal model."""
    for model in (
        Poisson(rate="40/min"),
        Lognormal(mean="250ms", cv=1.5),
        Outage(start="20m", duration="10m", takes="2s", error="a.B < OSError: x"),
        Workers(count=4, slots=8, crash=Crashes(every="2h")),
    ):
        assert eval(repr(model), {**globals(), "Error": Error}) == model


def test_models_survive_pickling() -> None:
    """Models go to other processes unchanged, used or not."""
    service = Lognormal(mean="250ms", cv=1.5)
    service.draw(0.5)
    assert pickle.loads(pickle.dumps(service)) == service == Lognormal(mean="250ms", cv=1.5)


def test_model_errors_name_every_field() -> None:
    """One error tells all that is wrong, a line for each, with the word that was meant."""
    with pytest.raises(ConfigError) as caught:
        Workers(count=0, slots=True, leese="5s", crash={"every": "0s"})  # type: ignore[call-arg, arg-type]
    assert str(caught.value).split("\n") == [
        "Workers.count: must be at least 1, not 0",
        "Workers.slots: must be a whole number, not True",
        "Workers.crash.every: must be longer than zero, at least a microsecond: '0s'",
        "Workers.leese: unknown key (did you mean 'lease'?)",
    ]
    assert caught.value.__cause__ is None


def test_workers_have_sensible_defaults() -> None:
    """Lease, poll and restart have defaults; nothing crashes unless asked for."""
    workers = Workers(count=4, slots=8)
    assert (str(workers.lease), str(workers.poll), workers.crash) == ("1m", "5s", None)
    assert str(Crashes(every="2h").restart_after) == "30s"
