"""Policies brought to one dead-letter risk: what it took, and how they compare there."""

from collections.abc import Iterable
from typing import Final, NamedTuple

import pandas as pd

from jobsim.analysis import report
from jobsim.analysis.measure import Scale
from jobsim.analysis.patience import patience
from jobsim.analysis.statistics import Interval, measure_interval
from jobsim.analysis.wording import listed, with_unit
from jobsim.core.policy import RetryPolicy
from jobsim.sim.comparison import Comparison


class Trial(NamedTuple):
    """What one number of attempts gave: the mean share of jobs that were not saved."""

    policy: str
    max_attempts: int
    risk: float


class EqualRisk:
    """Policies whose `max_attempts` was chosen so that each loses at most `risk` of the jobs, just so.

    `comparison` is of the calibrated policies, on seeds of its own: the search has seen none of its runs,
    so its intervals are not flattered by the choice. `trials` are what the search tried.
    """

    def __init__(
        self, risk: float, comparison: Comparison, trials: Iterable[Trial], unreached: Iterable[str]
    ) -> None:
        self.risk = risk
        self.comparison = comparison
        self.trials = pd.DataFrame(list(trials), columns=list(Trial._fields))
        self.unreached: Final = tuple(unreached)

    @property
    def policies(self) -> dict[str, RetryPolicy]:
        """The calibrated policies; those that cannot reach the risk have the most attempts tried."""
        return self.comparison.policies

    def achieved(self, policy: str, ci: float = 0.95) -> Interval:
        """Return the share of jobs that `policy` did not save in the comparison, with its interval."""
        runs = self.comparison.runs
        own = runs[runs["policy"] == policy]
        return measure_interval(not_saved(own), Scale.JOBS_SHARE, ci, own["jobs"])

    def table(self, ci: float = 0.95) -> pd.DataFrame:
        """Return a row a policy: `max_attempts`, `risk`, `low`, `high`, `n`, `reached`, `gives_up_after`."""
        rows = [
            (policy.max_attempts, *self.achieved(label, ci), label not in self.unreached, patience(policy))
            for label, policy in self.policies.items()
        ]
        columns = ["max_attempts", "risk", "low", "high", "n", "reached", "gives_up_after"]
        return pd.DataFrame(rows, index=pd.Index(list(self.policies), name="policy"), columns=columns)

    def verdict(self, ci: float = 0.95) -> str:
        """Return which policies reach the risk, and how those compare at it."""
        if not self.comparison.runs["jobs"].any():
            return self.comparison.verdict(ci)
        reached = [label for label in self.policies if label not in self.unreached]
        said = [
            f"At most {100 * self.risk:g} % of all jobs lost takes "
            + listed([f"{self.policies[label].max_attempts} attempts with {label}" for label in reached])
            + "."
        ]
        if not reached:
            said = [f"No policy loses at most {100 * self.risk:g} % of all jobs."]
        said += [self._failed(label, ci) for label in self.unreached]
        return " ".join([*said, self.comparison.verdict(ci)])

    def _failed(self, label: str, ci: float) -> str:
        lost = with_unit("dead_letter_rate", self.achieved(label, ci))
        return (
            f"{label} cannot reach it: {lost} are lost or unfinished with "
            f"{self.policies[label].max_attempts} attempts."
        )

    def __repr__(self) -> str:
        attempts = {label: policy.max_attempts for label, policy in self.policies.items()}
        return f"EqualRisk({self.risk}, attempts={attempts})"

    def _repr_html_(self) -> str:
        rows = {
            label: {
                "attempts": policy.max_attempts,
                "lost or unfinished": with_unit("dead_letter_rate", self.achieved(label)),
                "gives up after": patience(policy),
                "reached in the search": "no" if label in self.unreached else "yes",
            }
            for label, policy in self.policies.items()
        }
        shown = pd.DataFrame.from_dict(rows, orient="index").rename_axis("policy")
        title = f"{self.comparison.scenario.name} at a risk of {100 * self.risk:g} %"
        return report.card(title, self.comparison.facts, self.verdict(), shown)


def not_saved(runs: pd.DataFrame) -> "pd.Series[float]":
    """Return, run by run, the share of jobs given up or unfinished: those that their policy did not save."""
    return runs["dead_letter_rate"] + runs["unfinished_rate"]
