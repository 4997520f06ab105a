"""Looking for the policy that is best by one measure among those that keep a constraint."""

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, assert_never
from warnings import catch_warnings, simplefilter

from jobsim.analysis.summary import interval
from jobsim.core.errors import ConfigError
from jobsim.core.policy import RetryPolicy
from jobsim.core.streams import Streams
from jobsim.sim.comparison import Comparison
from jobsim.sim.expectations import Expectation, Finding
from jobsim.sim.experiment import check_count, check_jobs, compare, watched
from jobsim.sim.scenario import Scenario
from jobsim.sim.simulation import check_scenario, policy_of, seed_of
from jobsim.sim.space import Choice, Goal, Length, Real, Space, Whole, check_space, varied
from jobsim.sim.tuned import TUNED, Tried, Tuned

if TYPE_CHECKING:
    import optuna

CANDIDATES: Final = 5
"""How many of the best policies are tried on fresh seeds until one keeps the constraint there, too."""
_WORST: Final = 1e100


def tune(  # noqa: PLR0913  # each is a choice of its own
    scenario: Scenario,
    space: Mapping[str, object] | None = None,
    objective: str | None = None,
    constraint: Mapping[str, object] | Iterable[Expectation] | None = None,
    *,
    policy: RetryPolicy | str | None = None,
    trials: int = 40,
    replications: int = 10,
    seed: int | None = None,
    n_jobs: int | None = None,
    progress: bool | None = None,
) -> Tuned:
    """Search `space` for the policy with the best `objective` among those that keep the `constraint`.

    `space` maps keys of a policy to ranges (pairs) or choices (lists), such as
    ``{"max_attempts": (2, 20), "backoff.base": ("1s", "1m"), "backoff.jitter": ["none", "full"]}``; they
    are varied from `policy`. `objective` is a measure, `constraint` a table as [expect] has it. What is not
    given, the scenario's table [tune] says, or the defaults of `Goal`. All trials meet the same random
    numbers. A constraint is kept where the bound lies beyond the confidence interval; the best is then
    run on fresh seeds, twice as often, and what is found there is what the result reports. It needs
    optuna: ``pip install optuna``.

    Raises:
        ConfigError: optuna is missing, or an argument makes no sense.

    Source: Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011 (the sampler);
    Deb, Computer Methods in Applied Mechanics and Engineering 186 (2000), 2.2 (feasible ones first, others
    by how far they are off).
    """
    check_scenario(scenario)
    check_count(replications)
    check_jobs(n_jobs)
    _check_trials(trials)
    goal = goal_of(scenario, space, objective, constraint)
    start = policy_of(scenario, goal.policy if policy is None else policy)
    check_space(start, goal.space)
    judge = _Judge(scenario, goal, replications, seed_of(scenario, seed), n_jobs)
    with _quiet_optuna() as optuna:
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=judge.seed & 0xFFFFFFFF))
        for _ in watched(range(trials), trials, f"{scenario.name}: tuning", progress=progress):
            trial = study.ask()
            study.tell(trial, judge.value(start, _drawn(trial, goal.space)))
    return judge.confirmed(start, progress=progress)


def _check_trials(trials: object) -> None:
    if not isinstance(trials, int) or isinstance(trials, bool) or trials < 1:
        raise ConfigError(f"trials: must be a whole number, at least 1; not {trials!r}")


def goal_of(
    scenario: Scenario,
    space: Mapping[str, object] | None,
    objective: str | None,
    constraint: Mapping[str, object] | Iterable[Expectation] | None,
) -> Goal:
    """Return the goal of the scenario, with what is given in its place.

    Raises:
        ConfigError: it makes no sense.
    """
    base = scenario.tune or Goal()
    given = {"space": space, "objective": objective, "constraint": constraint}
    own: dict[str, Any] = {"policy": base.policy, "space": base.space, "objective": base.objective}
    own["constraint"] = base.constraint
    return Goal(**own | {name: value for name, value in given.items() if value is not None})


def _drawn(trial: "optuna.Trial", space: Space) -> dict[str, object]:
    values: dict[str, object] = {}
    for key, one in space.items():
        match one:
            case Choice(values=choices):
                values[key] = choices[trial.suggest_categorical(key, range(len(choices)))]
            case Whole(low=low, high=high):
                values[key] = trial.suggest_int(key, low, high)
            case Real(low=low, high=high):
                values[key] = trial.suggest_float(key, low, high)
            case Length():
                seconds = trial.suggest_float(key, one.low.seconds, one.high.seconds, log=True)
                values[key] = one.at(seconds)
            case _:
                assert_never(one)
    return values


@contextmanager
def _quiet_optuna() -> Iterator[Any]:
    """Give optuna, which says no more than warnings meanwhile."""
    try:
        with catch_warnings():
            simplefilter("ignore")  # in a notebook without ipywidgets its tqdm would warn
            optuna = import_module("optuna")
    except ImportError as error:
        raise ConfigError(f"tune needs optuna ({error}); run: pip install optuna") from None
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield optuna
    finally:
        optuna.logging.set_verbosity(level)


class _Judge:
    """Runs policies and tells how good they are; each only once."""

    def __init__(
        self, scenario: Scenario, goal: Goal, replications: int, seed: int, n_jobs: int | None
    ) -> None:
        self.seed = seed
        self._scenario = scenario
        self._goal = goal
        self._replications = replications
        self._n_jobs = n_jobs
        self._tried: dict[RetryPolicy, Tried] = {}

    def value(self, start: RetryPolicy, values: dict[str, object]) -> float:
        """Return what the sampler is told to make small; worse than all else where no policy can be made."""
        try:
            policy = replace(varied(start, values), name=TUNED)
        except ConfigError:
            return _WORST
        if policy not in self._tried:
            found = self._run({TUNED: policy}, self._replications, self.seed, progress=False)
            mean, low, high, _ = interval(found.runs, TUNED, self._goal.objective)
            self._tried[policy] = Tried(policy, values, mean, low, high, self._excess(found))
        one = self._tried[policy]
        if one.excess > 0 or not math.isfinite(one.objective):
            return min(1e9 * (1 + one.excess), _WORST)
        return -one.objective if self._goal.upwards else one.objective

    def confirmed(self, start: RetryPolicy, *, progress: bool | None) -> Tuned:
        """Return the best policy that keeps the constraint on seeds on which it was not chosen."""
        tried = list(self._tried.values())
        kept = sorted((one for one in tried if one.kept), key=self._rank)[:CANDIDATES]
        # Each of several candidates may pass by chance: together they must not do so more often than one.
        ci = 1 - 0.05 / max(1, len(kept))
        comparison, confirmed = None, False
        for number, one in enumerate(kept):
            seed = Streams(self.seed).child(f"fresh {number}").seed & ((1 << 53) - 1)
            pair = {TUNED: one.policy, "before": start}
            comparison = self._run(pair, 2 * self._replications, seed, progress=progress)
            if confirmed := self._excess(comparison, ci) <= 0:
                break
        return Tuned(self._goal, start, tried, comparison, confirmed=confirmed)

    def _rank(self, one: Tried) -> float:
        return -one.objective if self._goal.upwards else one.objective

    def _run(
        self, policies: dict[str, RetryPolicy], replications: int, seed: int, *, progress: bool | None
    ) -> Comparison:
        return compare(self._scenario, policies, replications, seed, self._n_jobs, progress=progress)

    def _excess(self, found: Comparison, ci: float = 0.95) -> float:
        """Return how far the confidence limits lie beyond their bounds, in parts of these; 0: all kept."""
        return max((_beyond(found, one, ci) for one in self._goal.constraint), default=0.0)


def _beyond(found: Comparison, one: Expectation, ci: float) -> float:
    limits = interval(found.runs, TUNED, one.measure, ci)
    if one.judge(limits) is Finding.KEPT:
        return 0.0
    sides = (
        (limits.high - one.high) / max(abs(one.high), 1e-9) if math.isfinite(one.high) else 0.0,
        (one.low - limits.low) / max(abs(one.low), 1e-9) if math.isfinite(one.low) else 0.0,
    )
    worst = max(sides)
    return worst if worst > 0 and math.isfinite(worst) else 1e-9 if worst == 0 else 1e6
