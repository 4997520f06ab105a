"""What a search for a policy gave: the policy, how it does on fresh runs, and all that was tried."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import pandas as pd

from jobsim.analysis import report
from jobsim.analysis.measures import MEASURES
from jobsim.analysis.statistics import Interval
from jobsim.analysis.summary import interval
from jobsim.analysis.wording import heading, in_text, with_unit
from jobsim.core.errors import ConfigError
from jobsim.core.policy import RetryPolicy
from jobsim.sim.comparison import Comparison
from jobsim.sim.space import Goal

_SHOWN: Final = 10
TUNED: Final = "tuned"
"""The label of the policy that was found."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One policy of the search: its `chosen` values, its objective with the interval, and the constraint.

    `excess` is how far a confidence limit lay beyond its bound, in parts of it; 0: the constraint was kept.
    """

    policy: RetryPolicy
    chosen: dict[str, object]
    objective: float
    low: float
    high: float
    excess: float

    @property
    def kept(self) -> bool:
        """Whether the constraint was kept and the objective is a number."""
        return self.excess <= 0 and abs(self.objective) < float("inf")


class Tuned:
    """The policy that a search found.

    `comparison` is of it (``tuned``) and the policy that it was varied from (``before``), on seeds that
    the search has not seen; `None` where no policy kept the constraint. `confirmed` says whether it is
    kept there, too.
    """

    def __init__(
        self,
        goal: Goal,
        start: RetryPolicy,
        tried: Iterable[Tried],
        comparison: Comparison | None,
        *,
        confirmed: bool,
    ) -> None:
        self.goal = goal
        self.start = start
        self.tried = list(tried)
        self.comparison = comparison
        self.confirmed = confirmed

    @property
    def policy(self) -> RetryPolicy:
        """The policy, ready for a worker.

        Raises:
            ConfigError: none kept the constraint on fresh runs; the text says how near the search came.
        """
        if self.comparison is None or not self.confirmed:
            raise ConfigError(self.verdict())
        return self.comparison.policies[TUNED]

    @property
    def trials(self) -> pd.DataFrame:
        """One row a policy tried, in order: its values, `objective`, `low`, `high`, `kept`, `policy`."""
        rows = [
            {
                **{key: str(value) for key, value in one.chosen.items()},
                "objective": one.objective,
                "low": one.low,
                "high": one.high,
                "kept": one.kept,
                "policy": repr(one.policy),
            }
            for one in self.tried
        ]
        return pd.DataFrame(rows)

    def verdict(self) -> str:
        """Return what was found, or why nothing was."""
        kept = sum(one.kept for one in self.tried)
        rule = ", ".join(map(str, self.goal.constraint)) or "every constraint"
        measure = MEASURES[self.goal.objective].label
        if self.comparison is None:
            nearest = min(self.tried, key=lambda one: one.excess, default=None)
            near = f"; nearest came {nearest.policy!r}" if nearest is not None else ""
            return (
                f"None of {len(self.tried)} policies keeps {rule} for certain{near}. Widen the space, "
                "relax the constraint, or take more trials or replications."
            )
        if not self.confirmed:
            return (
                f"{kept} of {len(self.tried)} policies kept {rule} in the search, but on fresh runs the best "
                "of them do not for certain: more replications would tell."
            )
        said = {label: self._said(label) for label in (TUNED, "before")}
        return (
            f"Of {len(self.tried)} policies tried, {kept} keep{'s'[: kept == 1]} {rule}. The best by "
            f"{measure} has {said[TUNED]} in {self.comparison.replications} fresh runs; "
            f"{self.start.label} has {said['before']}."
        )

    def _said(self, label: str) -> str:
        assert self.comparison is not None  # noqa: S101  # who asks has looked
        names = dict.fromkeys([self.goal.objective, *(one.measure for one in self.goal.constraint)])
        found = {name: interval(self.comparison.runs, label, name) for name in names}
        return ", ".join(f"{MEASURES[name].label} {with_unit(name, value)}" for name, value in found.items())

    def __repr__(self) -> str:
        return f"Tuned({self.goal.objective!r}, trials={len(self.tried)}, confirmed={self.confirmed})"

    def _repr_html_(self) -> str:
        facts = {"objective": self.goal.objective, "trials": len(self.tried), "confirmed": self.confirmed}
        best = self.trials.sort_values(["kept", "objective"], ascending=[False, not self.goal.upwards])
        shown = best.head(_SHOWN).drop(columns=["objective", "low", "high", "kept", "policy"])
        told = [self.tried[number] for number in shown.index]
        found = [Interval(one.objective, one.low, one.high, 0) for one in told]
        shown[heading(self.goal.objective)] = [in_text(self.goal.objective, one) for one in found]
        shown["constraint"] = ["kept" if one.kept else "not kept" for one in told]
        return report.card("A policy tuned", facts, self.verdict(), shown.rename_axis("trial"))
