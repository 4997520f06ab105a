"""Outages that recur: a Gilbert-Elliott model of those that were found."""

import math

import numpy as np
import pytest

from jobsim.core.outcome import Error
from jobsim.core.time import SECOND
from jobsim.models import (
    Constant,
    FailureModel,
    GilbertElliott,
    Independent,
    Outage,
    Permanent,
    Poisson,
    Workers,
)
from jobsim.models.fields import as_error
from jobsim.sim.history.failures import FailureFit
from jobsim.sim.history.fit import Fit, fit_history
from jobsim.sim.history.outages import Found
from jobsim.sim.history.recurrence import recurring
from jobsim.sim.scenario import JobClass, Scenario
from jobsim.sim.simulation import simulate

DOWN: Error = as_error("ConnectionError: down")


def fitted(*found: Found) -> FailureFit:
    """Return a fit with these outages between a share of poisoned jobs and failures by chance."""
    outages = (
        Outage(start=one.start_s, duration=one.end_s - one.start_s, error=DOWN, takes="2s") for one in found
    )
    models: tuple[FailureModel, ...] = (Permanent(share=0.01), *outages, Independent(probability=0.02))
    return FailureFit(models, found, 0.02, 0.01, np.zeros(0, dtype=np.int64), 1_000)


def sudden(start: float, end: float, probability: float = 1.0) -> Found:
    """Return an outage that ends at once."""
    return Found(start, end, end, probability)


def test_outages_recur_as_often_and_as_long() -> None:
    """Each state lasts all its time over how often it was left; the other models stay in their places."""
    fit = fitted(sudden(100, 110), sudden(300, 330, 0.5), Found(600, 610, 630, 1.0))
    permanent, model, usual = recurring({"a": fit}, 1_000)["a"].models
    assert (permanent, usual) == (fit.models[0], fit.models[-1])
    assert model == GilbertElliott(good=(1_000 - 60) / 3, bad=20, failure_bad=0.75, error=DOWN, takes="2s")


def test_states_that_are_cut_off_are_not_left() -> None:
    """What began before the log or ends after it adds to the time of its state, and not to its ends."""
    fit = fitted(Found(0, 50, 50, 1.0, came=False), sudden(300, 350), sudden(900, 1_000))
    [model] = [one for one in recurring({"a": fit}, 1_000)["a"].models if isinstance(one, GilbertElliott)]
    assert (model.good / SECOND, model.bad / SECOND) == (800 / 2, 200 / 2)


def test_few_outages_stay_where_they_were() -> None:
    """Of two outages nobody can tell how often they come."""
    fits = {"a": fitted(sudden(100, 110), sudden(300, 330)), "b": fitted()}
    assert recurring(fits, 1_000) == fits


def test_kinds_with_the_same_outages_share_those_to_come() -> None:
    """They have one course; a kind with outages of its own has another, without a name."""
    same = fitted(*(sudden(at, at + 10) for at in (100, 300, 500)))
    other = fitted(*(sudden(at, at + 10) for at in (200, 400, 600)))
    found = recurring({"a": same, "b": other, "c": same}, 1_000)
    names = [
        next(one.name for one in fit.models if isinstance(one, GilbertElliott)) for fit in found.values()
    ]
    assert names == ["a and c", None, "a and c"]


@pytest.fixture(scope="module")
def bursty() -> Fit:
    """The fit of four hours that were up for ten minutes and down for one, on average."""
    bursts = GilbertElliott(good="10m", bad="1m", failure_bad=0.9, error=DOWN, takes="1s")
    job = JobClass(
        kind="call", arrivals=Poisson(rate="1/s"), service=Constant(value="200ms"), failures=(bursts,)
    )
    world = Scenario(name="w", horizon="4h", workers=Workers(count=4, slots=50), jobs=(job,))
    return fit_history(simulate(world, "full_jitter", seed=5), recur=True)


def test_bursts_of_a_log_are_recovered(bursty: Fit) -> None:
    """Shares and lengths are those of the truth, as nearly as some twenty bursts tell."""
    [model] = [one for one in bursty.scenario.jobs[0].failures if isinstance(one, GilbertElliott)]
    bursts = len(bursty.kinds[0].failures.outages)
    assert bursts > 10
    for found, true in ((model.good, 600), (model.bad, 60)):
        assert abs(math.log(found / SECOND / true)) < 3 / math.sqrt(bursts)
    assert model.failure_bad == pytest.approx(0.9, abs=0.05)
    assert (model.error, model.takes) == (DOWN, SECOND)


def test_recurring_outages_are_told_and_written(bursty: Fit) -> None:
    """The summary says how often and how long, and the scenario reads back as an equal one."""
    row = bursty.summary().query("part == 'outages'").iloc[0]
    assert row["data"] == len(bursty.kinds[0].failures.outages)
    assert row["chosen"].startswith("up for ")
    assert Scenario.from_text(bursty.scenario.to_toml()) == bursty.scenario
    assert not any("stand where they were" in remark for remark in bursty.remarks)
