"""Service times, fitted: what is told of a distribution from which they were drawn."""

from collections.abc import Sequence

import numpy as np
import pytest

from jobsim.analysis.arrays import OUTCOMES
from jobsim.core.streams import Streams
from jobsim.models import ExponentialService, Gamma, Lognormal, Quantiles, Weibull
from jobsim.models.service import Service
from jobsim.sim.history.lives import Attempts
from jobsim.sim.history.service import fit_service

SIZE = 3_000


def draws(model: Service, size: int = SIZE, seed: int = 5) -> list[float]:
    """Return durations in seconds, as a simulation would draw them."""
    number = Streams(seed).numbers("service")
    return [model.draw(number(key)).seconds for key in range(size)]


def attempts(lasted_s: Sequence[float], outcomes: Sequence[str]) -> Attempts:
    """Return attempts that lasted so long and ended so."""
    codes = np.array([OUTCOMES.index(outcome) for outcome in outcomes], dtype=np.int64)
    zeros = np.zeros(len(codes), dtype=np.int64)
    return Attempts(
        life=np.arange(len(codes)),
        started_s=zeros.astype(float),
        lasted_s=np.array(lasted_s),
        outcome=codes,
        error=zeros,
        final=zeros.astype(bool),
    )


def succeeded(lasted_s: Sequence[float]) -> Attempts:
    return attempts(lasted_s, ["succeeded"] * len(lasted_s))


@pytest.mark.parametrize(
    ("name", "model", "cv"),
    [
        ("exponential", ExponentialService(mean="2s"), 1),
        ("lognormal", Lognormal(mean="2s", cv=1.5), 1.5),
        ("gamma", Gamma(mean="2s", cv=0.5), 0.5),
        ("Weibull", Weibull(mean="2s", shape=0.6), 1.758),
    ],
)
def test_service_is_told_by_family_mean_and_variation(name: str, model: Service, cv: float) -> None:
    """Of three thousand durations, the criterion picks their family; mean and cv are within a tenth."""
    fit = fit_service(succeeded(draws(model)))
    assert fit.chosen == name
    assert fit.distance < 0.03
    assert fit.model.mean.seconds == pytest.approx(2, rel=0.1)
    again = draws(fit.model, seed=6)
    assert np.std(again) / np.mean(again) == pytest.approx(cv, rel=0.2)


@pytest.mark.parametrize("outcome", ["lost", "timed_out", "released", "running"])
def test_attempts_cut_short_do_not_shorten_the_fit(outcome: str) -> None:
    """Where long attempts are cut off more often, the mean of the others is too low; the fit is not."""
    whole, limits = draws(ExponentialService(mean="2s")), draws(ExponentialService(mean="3s"), seed=9)
    lasted = [min(pair) for pair in zip(whole, limits, strict=True)]
    outcomes = [
        "succeeded" if takes <= limit else outcome for takes, limit in zip(whole, limits, strict=True)
    ]
    fit = fit_service(attempts(lasted, outcomes))
    naive = np.mean([takes for takes, how in zip(lasted, outcomes, strict=True) if how == "succeeded"])
    assert naive < 1.4
    assert fit.chosen == "exponential"
    assert fit.model.mean.seconds == pytest.approx(2, rel=0.06)


def test_cut_lognormal_is_recovered() -> None:
    """The likelihood of what is known of cut attempts serves every family."""
    whole = draws(Lognormal(mean="2s", cv=1))
    fit = fit_service(
        attempts([min(t, 3.0) for t in whole], ["succeeded" if t <= 3 else "timed_out" for t in whole])
    )
    assert fit.chosen == "lognormal"
    assert fit.model.mean.seconds == pytest.approx(2, rel=0.06)


def test_failed_attempts_tell_nothing_of_service() -> None:
    """A connection refused at once is no fast success."""
    lasted = draws(ExponentialService(mean="2s"), 500)
    fit = fit_service(attempts([*lasted, *[0.001] * 500], [*["succeeded"] * 500, *["failed"] * 500]))
    assert fit.model.mean.seconds == pytest.approx(np.mean(lasted), rel=1e-3)


def test_service_that_never_varies_is_constant() -> None:
    """Where all took the same, that is what it is."""
    fit = fit_service(succeeded([0.5] * 50))
    assert fit.chosen == "constant"
    assert fit.model.mean.seconds == 0.5


def test_service_of_two_kinds_is_taken_as_measured() -> None:
    """What no family describes is described by its own quantiles."""
    fast, slow = draws(Lognormal(mean="100ms", cv=0.2)), draws(Lognormal(mean="5s", cv=0.2), seed=8)
    fit = fit_service(succeeded([*fast, *slow]))
    assert fit.chosen == "empirical"
    assert isinstance(fit.model, Quantiles)
    assert min(candidate.distance for candidate in fit.candidates) > 0.05
    again = np.array(draws(fit.model, seed=7))
    assert (again < 1).mean() == pytest.approx(0.5, abs=0.03)
    assert again.mean() == pytest.approx(2.55, rel=0.05)


def test_few_durations_allow_no_more_than_a_mean() -> None:
    """Ten durations do not tell a shape."""
    fit = fit_service(succeeded(draws(Lognormal(mean="2s", cv=2), 10)))
    assert fit.chosen == "exponential"
    assert len(fit.candidates) == 1


def test_kind_that_never_succeeds_takes_as_long_as_failing() -> None:
    """Where there is nothing better, failures stand in, and the fit says so."""
    fit = fit_service(attempts([0.25] * 9, ["failed"] * 9))
    assert fit.model.mean.seconds == 0.25
    assert "no attempt succeeded" in fit.remark
    assert "not known" in fit_service(attempts([], [])).remark
