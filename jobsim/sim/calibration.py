"""Bringing policies to one dead-letter risk, so that what they cost can be compared."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from jobsim.core.errors import ConfigError
from jobsim.core.job import UNLIMITED
from jobsim.core.policy import RetryPolicy
from jobsim.core.streams import Streams
from jobsim.sim.equal_risk_result import EqualRisk, Trial, not_saved
from jobsim.sim.expectations import bound
from jobsim.sim.experiment import PoliciesLike, check_count, check_jobs, compare, comparing
from jobsim.sim.scenario import Scenario
from jobsim.sim.simulation import check_scenario, seed_of

MOST_ATTEMPTS: Final = 100
"""Where a search ends by default: beyond the 26 attempts of Sidekiq and the 57 that an outage of mean five
minutes takes with a backoff of at most a minute."""


def equal_risk(
    scenario: Scenario,
    policies: PoliciesLike | None = None,
    risk: float | str = 0.01,
    replications: int = 20,
    seed: int | None = None,
    n_jobs: int | None = None,
    *,
    most: int = MOST_ATTEMPTS,
    progress: bool | None = None,
) -> EqualRisk:
    """Find for each policy the least `max_attempts` at which it loses at most `risk` of the jobs.

    Policies with equal base, cap and attempts are not comparable: jitter shortens the time they hold out.
    At equal risk they are. A job is lost that was given up, or not finished when the run ended. All
    numbers of attempts meet the same random numbers, under which the loss falls with the attempts, so
    that bisection finds the least; at most `most` are tried. What was found is then compared on fresh
    seeds. A kind of job with a `max_attempts` of its own keeps it.

    Raises:
        ConfigError: a risk that is no share between 0 and 1, or what `compare` refuses.
    """
    check_scenario(scenario)
    check_count(replications)
    check_jobs(n_jobs)
    target = _risk(risk)
    _check_most(most)
    if policies is not None:
        scenario = comparing(scenario, policies)
    seed = seed_of(scenario, seed)
    searches = {label: _Search(most) for label in scenario.policies}
    trials: list[Trial] = []
    while candidates := {label: one.next for label, one in searches.items() if not one.done}:
        limited = _limited(scenario.policies, candidates)
        runs = compare(scenario, limited, replications, seed, n_jobs, progress=progress).runs
        for label, lost in not_saved(runs).groupby(runs["policy"], sort=False).mean().items():
            trials.append(Trial(str(label), candidates[str(label)], float(lost)))
            searches[str(label)].learn(reached=bool(lost <= target))
    found = _limited(scenario.policies, {label: one.found for label, one in searches.items()})
    comparison = compare(scenario, found, replications, fresh_seed(seed), n_jobs, progress=progress)
    unreached = [label for label, one in searches.items() if not one.reached]
    return EqualRisk(target, comparison, trials, unreached)


def fresh_seed(seed: int) -> int:
    """Return the seed of runs that a search under `seed` has not seen; below 2^53."""
    return Streams(seed).child("fresh").seed & ((1 << 53) - 1)


def _check_most(most: object) -> None:
    if not isinstance(most, int) or isinstance(most, bool) or not 1 <= most <= UNLIMITED:
        raise ConfigError(f"most: must be a whole number of attempts, at least 1; not {most!r}")


def _risk(risk: float | str) -> float:
    try:
        target = bound(risk, "%")
    except ConfigError as error:
        raise ConfigError(f"risk: {error}") from None
    if not 0 < target < 1:
        raise ConfigError(f"risk: must lie between 0 and 1, such as 0.01 or '1 %'; not {risk!r}")
    return target


def _limited(policies: Mapping[str, RetryPolicy], attempts: Mapping[str, int]) -> dict[str, RetryPolicy]:
    return {label: replace(policies[label], max_attempts=count) for label, count in attempts.items()}


@dataclass(slots=True)
class _Search:
    """The search for the least number that reaches the risk: doubled until one does, then halved between.

    `too_few` did not reach it, `enough` did.
    """

    most: int
    too_few: int = 0
    enough: int | None = None
    next: int = field(default=1, init=False)

    @property
    def done(self) -> bool:
        """Whether there is nothing left to try."""
        return self.too_few == self.most or (self.enough is not None and self.enough - self.too_few == 1)

    @property
    def reached(self) -> bool:
        """Whether any number tried reached the risk."""
        return self.enough is not None

    @property
    def found(self) -> int:
        """The least number that reaches the risk, or the most that was tried."""
        return self.most if self.enough is None else self.enough

    def learn(self, *, reached: bool) -> None:
        """Take in what `next` gave, and choose what to try after it."""
        if reached:
            self.enough = self.next
        else:
            self.too_few = self.next
        if self.enough is None:
            self.next = min(2 * self.next, self.most)
        else:
            self.next = (self.too_few + self.enough) // 2
