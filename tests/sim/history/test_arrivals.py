"""Arrivals, fitted: what is told of the process that they came from."""

import numpy as np
import pytest

from jobsim.core.streams import Streams
from jobsim.core.time import SECOND
from jobsim.models import Arrivals, Batches, Deterministic, Listed, Mmpp, Piecewise, Poisson, Ramp
from jobsim.sim.history.arrivals import ArrivalFit, fit_arrivals


def fitted(model: Arrivals, length_s: float, seed: int = 3) -> ArrivalFit:
    """Fit what `model` brings within `length_s`."""
    at = []
    for offset in model.times(Streams(seed).numbers_in_order("arrival")):
        if offset >= length_s * SECOND:
            break
        at.append(offset / SECOND)
    return fit_arrivals(np.array(at), length_s)


@pytest.mark.parametrize("seed", range(5))
def test_arrivals_at_random_are_poisson(seed: int) -> None:
    """A constant rate is told from one that changes, and found within four standard errors."""
    fit = fitted(Poisson(rate="1/s"), 2_000, seed)
    assert fit.chosen == "Poisson"
    assert isinstance(fit.model, Poisson)
    assert float(fit.model.rate) == pytest.approx(1, abs=4 / np.sqrt(2_000))
    assert fit.distance < 0.05
    assert fit.dispersion == pytest.approx(1, abs=0.4)


def test_rate_that_changes_is_told_with_its_levels() -> None:
    """Four hours at four rates come out as windows with those rates, within four standard errors."""
    levels = [0.5, 2.0, 1.0, 0.2]
    truth = Piecewise(rates=[(f"{hour}h", rate) for hour, rate in enumerate(levels)])
    fit = fitted(truth, 4 * 3_600)
    assert isinstance(fit.model, Piecewise)
    assert fit.chosen == "Poisson, 4 rates"
    for (_, found), level in zip(fit.model.rates, levels, strict=True):
        assert found == pytest.approx(level, abs=4 * np.sqrt(level / 3_600))


def test_ramp_is_told_in_steps() -> None:
    """A rate that rises steadily is described by windows that rise."""
    fit = fitted(Ramp(rate="0.2/s", to="3/s", duration="1h"), 3_600)
    assert isinstance(fit.model, Piecewise)
    rates = [rate for _, rate in fit.model.rates]
    assert len(rates) >= 4
    assert rates == sorted(rates)


def test_bursts_are_told_with_rates_and_sojourns() -> None:
    """A process that switches between two rates is recovered: rates to a fifth, sojourns to a third."""
    fit = fitted(Mmpp(rates=["0.5/s", "8/s"], sojourns=["120s", "30s"]), 8 * 3_600)
    assert fit.chosen == "bursts (MMPP-2)"
    assert isinstance(fit.model, Mmpp)
    assert list(map(float, fit.model.rates)) == pytest.approx([0.5, 8], rel=0.2)
    assert [sojourn.seconds for sojourn in fit.model.sojourns] == pytest.approx([120, 30], rel=0.33)
    assert fit.dispersion > 3
    assert fit.distance < 0.05


def test_arrivals_on_the_beat_are_told_as_such() -> None:
    """A cron job is no Poisson process; its start, period and number are exact."""
    truth = Deterministic(every="5m", start="90s", jobs=12)
    assert fitted(truth, 3_600).model == truth


@pytest.mark.parametrize(
    ("truth", "size"),
    [
        (Batches(of=Poisson(rate="60/h"), size=4), 4),
        (Batches(of=Poisson(rate="60/h"), mean_size=3.0), 3),
    ],
)
def test_batches_are_told_with_their_size(truth: Batches, size: float) -> None:
    """Jobs that come together are no process of single ones: the batches are, with their size."""
    fit = fitted(truth, 6 * 3_600)
    assert isinstance(fit.model, Batches)
    assert (fit.model.size or fit.model.mean_size) == pytest.approx(size, rel=0.15)
    assert isinstance(fit.model.of, Poisson)
    assert float(fit.model.of.rate) * 60 == pytest.approx(1, rel=0.2)


def test_few_arrivals_are_listed() -> None:
    """From a handful nothing can be told: they are taken as they were."""
    fit = fit_arrivals(np.array([1.0, 5.0, 5.5]), 60)
    assert fit.chosen == "as they were"
    assert fit.model == Listed(times=["1s", "5s", "5.5s"])


def test_arrivals_that_nothing_describes_are_listed() -> None:
    """Pairs a moment apart fit none of the processes, and nothing false is claimed."""
    at = np.sort(
        np.concatenate([base := np.cumsum(np.full(300, 7.3)) + np.tile([0, 1.7, 0.4], 100), base + 0.01])
    )
    fit = fit_arrivals(at, 2_300)
    assert fit.chosen == "as they were"
    assert isinstance(fit.model, Listed)
    assert len(fit.model.offsets) == 600
