"""Failures, fitted: outages where they were, a rate between them, and jobs that never succeed."""

from collections.abc import Sequence

import numpy as np
import pytest

from jobsim.core.events import EventLog
from jobsim.core.time import SECOND
from jobsim.models import (
    Constant,
    ExponentialService,
    FailureModel,
    Independent,
    Listed,
    Outage,
    Permanent,
    Poisson,
    Workers,
)
from jobsim.sim.history.failures import FailureFit, fit_failures
from jobsim.sim.history.lives import Observed
from jobsim.sim.history.outages import find_outages
from jobsim.sim.scenario import JobClass, Scenario
from jobsim.sim.simulation import simulate


def world(*failures: FailureModel, kinds: Sequence[str] = ("call",), rate: str = "1/s") -> Scenario:
    """Return an hour of jobs that meet `failures`."""
    jobs = tuple(
        JobClass(
            kind=kind,
            arrivals=Poisson(rate=rate),
            service=ExponentialService(mean="200ms"),
            failures=failures,
        )
        for kind in kinds
    )
    return Scenario(name="w", horizon="1h", workers=Workers(count=4, slots=50), jobs=jobs)


def fitted(scenario: Scenario, policy: str = "full_jitter", seed: int = 1) -> dict[str, FailureFit]:
    """Return the fits of a run's failures, by kind."""
    run = simulate(scenario, policy, seed).run
    seen = Observed.of(run.log, run.began)
    return fit_failures({record.kind: record.attempts for record in seen.kinds}, seen.window, run.log)


@pytest.mark.parametrize("policy", ["none", "full_jitter", "sidekiq"])
def test_outage_is_found_where_it_was(policy: str) -> None:
    """Its edges lie between the attempts around them, its error and how long it takes are known."""
    truth = Outage(start="20m", duration="10m", takes="1s", error="ConnectionError: down")
    fit = fitted(world(truth, Independent(probability=0.02)), policy)["call"]
    (found,) = fit.outages
    assert found.start_s == pytest.approx(1_200, abs=5)
    assert found.end_s == pytest.approx(1_800, abs=5)
    assert found.healed_s == found.end_s
    assert found.probability > 0.99
    assert fit.rate == pytest.approx(0.02, abs=0.008)
    (outage, usual) = fit.models
    assert isinstance(outage, Outage)
    assert (str(outage.error), outage.takes) == ("ConnectionError: down", SECOND)
    assert isinstance(usual, Independent)
    assert usual.takes is None  # as long as a success


def test_outage_that_heals_slowly_is_told_from_a_sudden_end() -> None:
    """Where failures become fewer over time, the recovery is found within a fifth of its length."""
    fit = fitted(world(Outage(start="10m", duration="10m", recovery="10m"), Independent(probability=0.01)))
    (found,) = fit["call"].outages
    assert found.start_s == pytest.approx(600, abs=5)
    assert found.end_s == pytest.approx(1_200, abs=60)
    assert found.healed_s == pytest.approx(1_800, abs=120)


def test_partial_outage_is_told_with_its_share() -> None:
    """An outage in which some attempts succeed is one; its share leaves the usual failures out."""
    truth = Outage(start="20m", duration="10m", probability=0.6)
    (found,) = fitted(world(truth, Independent(probability=0.05)))["call"].outages
    assert found.start_s == pytest.approx(1_200, abs=20)
    assert found.end_s == pytest.approx(1_800, abs=20)
    assert found.probability == pytest.approx(0.6, abs=0.08)


def test_several_outages_are_told_apart() -> None:
    """Each is found for itself, in order."""
    truth = [Outage(start=f"{start}m", duration="3m") for start in (5, 20, 50)]
    fit = fitted(world(*truth))["call"]
    assert [round(found.start_s / 60) for found in fit.outages] == [5, 20, 50]
    assert [round(found.end_s / 60) for found in fit.outages] == [8, 23, 53]
    assert fit.rate < 0.005


def test_outage_soon_after_another_is_no_recovery() -> None:
    """A second outage is not taken for a tail of the first, however near it is."""
    fit = fitted(world(Outage(start="20m", duration="5m"), Outage(start="28m", duration="1m"), rate="2/s"))
    first, second = fit["call"].outages
    assert first.healed_s == first.end_s == pytest.approx(1_500, abs=5)
    assert [second.start_s, second.end_s] == pytest.approx([1_680, 1_740], abs=5)


@pytest.mark.parametrize("rate", [0.02, 0.3, 0.6])
def test_failures_by_chance_are_no_outage(rate: float) -> None:
    """Of fifty sequences without an outage, at most one is said to have one."""
    random = np.random.default_rng(4)  # noqa: TID251
    life, at = np.arange(2_000), np.arange(2_000.0)
    found = [len(find_outages(at, random.random(2_000) < rate, life, 2_000.0)) > 0 for _ in range(50)]
    assert sum(found) <= 1


def test_one_job_that_fails_many_times_is_no_outage() -> None:
    """Retries of one job in a row are that job's failure, not the dependency's."""
    failed = np.zeros(500, dtype=bool)
    failed[200:230] = True
    life = np.arange(500)
    assert len(find_outages(np.arange(500.0), failed, life, 500.0)) == 1
    life[200:230] = 200
    assert find_outages(np.arange(500.0), failed, life, 500.0) == ()


def test_jobs_that_never_succeed_are_told_from_bad_luck() -> None:
    """The share of such jobs and the rate of the others are found, within four standard errors."""
    truth = world(Permanent(share=0.05, error="LookupError: gone"), Independent(probability=0.2))
    fit = fitted(truth, "full_jitter")["call"]
    assert fit.outages == ()
    assert fit.permanent == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 3_600))
    assert fit.rate == pytest.approx(0.2, abs=4 * np.sqrt(0.2 * 0.8 / 4_000))
    permanent, _ = fit.models
    assert isinstance(permanent, Permanent)
    assert permanent.error.kind == "LookupError"


def test_bad_luck_alone_dooms_no_job() -> None:
    """Where each attempt fails by itself, no job is said to be beyond help."""
    fit = fitted(world(Independent(probability=0.4)))["call"]
    assert fit.permanent == 0
    assert fit.rate == pytest.approx(0.4, abs=0.03)


def test_errors_beyond_retry_doom_their_jobs() -> None:
    """What the policy will not retry has one attempt, which tells nothing of chance: it is for good."""
    truth = world(Permanent(share=0.1, error="ValueError: bad input"), Independent(probability=0.1))
    truth = truth.with_(policies={"strict": _strict()})
    fit = fitted(truth, "strict")["call"]
    assert fit.permanent == pytest.approx(0.1, abs=0.02)
    assert fit.rate == pytest.approx(0.1, abs=0.02)


def _strict() -> object:
    from jobsim import Exponential, RetryPolicy

    return RetryPolicy(Exponential(base="1s", cap="1m"), dead_letter_on="ValueError")


def test_kind_that_never_succeeds_is_permanent() -> None:
    """Where nothing ever succeeded, nothing ever will."""
    fit = fitted(world(Permanent(error="LookupError: gone"), rate="1/min"))["call"]
    assert fit.models == (Permanent(share=1.0, error="LookupError: gone", takes=fit.models[0].takes),)


def test_outage_before_which_nothing_was_tried_was_not_seen_to_come() -> None:
    """It may have lasted for long when the log begins, wherever the first attempt fell."""
    at = np.arange(5.0, 505.0)
    failed = (at < 40) | ((at > 200) & (at < 240))
    first, second = find_outages(at, failed, np.arange(500), 505.0)
    assert (first.came, second.came) == (False, True)


def test_kinds_with_one_error_have_their_outages_in_common() -> None:
    """A kind with few jobs learns the edges of an outage from one with many that fails in the same way."""
    truth = Outage(start="20m", duration="10m", error="ConnectionError: API down")
    busy, rare = world(truth, kinds=("busy",)), world(truth, kinds=("rare",), rate="6/min")
    fit = fitted(busy.with_(jobs=(*busy.jobs, *rare.jobs)))
    assert fit["rare"].outages == fit["busy"].outages
    assert fit["rare"].outages[0].start_s == pytest.approx(1_200, abs=3)


def test_kind_that_did_not_try_in_an_outage_shares_it() -> None:
    """It would have failed with the error that it fails with elsewhere."""
    outages = [Outage(start=start, duration="3m", error="OSError: API down") for start in ("5m", "20m")]
    busy = world(*outages, kinds=("busy",))
    rare = JobClass(
        kind="rare",
        arrivals=Listed(times=["6m", "6m", "7m"]),
        service=Constant(value="200ms"),
        failures=tuple(outages),
    )
    fit = fitted(busy.with_(jobs=(*busy.jobs, rare)), "none")
    assert fit["rare"].outages == fit["busy"].outages
    assert [str(model.fault.outcome.error) for model in fit["rare"].models] == ["OSError: API down"] * 2


def test_kind_that_fares_well_has_no_part_in_anothers_outage() -> None:
    """The same error does not make an outage common where a kind's attempts succeed in it."""
    error = "TimeoutError: slow"
    ill = world(Outage(start="20m", duration="10m", error=error), kinds=("ill",))
    well = world(Independent(probability=0.05, error=error), kinds=("well",))
    fit = fitted(ill.with_(jobs=(*ill.jobs, *well.jobs)))
    assert len(fit["ill"].outages) == 1
    assert fit["well"].outages == ()
    assert fit["well"].rate == pytest.approx(0.05, abs=0.015)


def test_errors_are_told_apart_with_their_shares() -> None:
    """Each kind of error has its model, so that a policy's list of errors applies to it as it did."""
    usual = (
        Independent(probability=0.1, error="TimeoutError: slow", takes="5s"),
        Independent(probability=0.05, error="OSError: reset"),
    )
    first, second = fitted(world(*usual))["call"].models
    assert isinstance(first, Independent)
    assert isinstance(second, Independent)
    assert (first.error.kind, second.error.kind) == ("TimeoutError", "OSError")
    assert first.probability == pytest.approx(0.1, abs=0.02)
    assert second.probability == pytest.approx(0.05, abs=0.015)
    assert (first.takes, second.takes) == (5 * SECOND, None)


def test_kind_without_failures_has_none() -> None:
    """Where nothing failed, no model is made up."""
    job = JobClass(kind="call", arrivals=Poisson(rate="1/s"), service=Constant(value="1s"))
    fit = fitted(world().with_(jobs=(job,)))["call"]
    assert (fit.models, fit.outages, fit.rate, fit.permanent) == ((), (), 0, 0)
    assert fit_failures({}, Observed.of(EventLog()).window, EventLog()) == {}
