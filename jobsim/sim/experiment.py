"""Several policies in one world, with replications and common random numbers."""

from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Final, TypeVar

from joblib import Parallel, delayed

from jobsim.analysis.curves import Profiles
from jobsim.analysis.summary import chosen
from jobsim.core.errors import ConfigError
from jobsim.core.policy import RetryPolicy
from jobsim.sim.comparison import Comparison
from jobsim.sim.replication import Replication, grid_of, outages_of, replicate, replication_seed
from jobsim.sim.scenario import Scenario
from jobsim.sim.simulation import check_scenario, policy_of, seed_of

T = TypeVar("T")

PRECISE: Final = ("success_rate", "latency_p95_s", "attempts_per_job")
"""The measures that a precision is of, if it names none."""
_FEWEST: Final = 10

PoliciesLike = Mapping[str, RetryPolicy | str] | Iterable[RetryPolicy | str] | RetryPolicy | str


def compare(
    scenario: Scenario,
    policies: PoliciesLike | None = None,
    replications: int = 20,
    seed: int | None = None,
    n_jobs: int | None = None,
    storage: str = "memory",
    *,
    progress: bool | None = None,
    precision: float | Mapping[str, float] | None = None,
    max_replications: int = 200,
) -> Comparison:
    """Run `scenario` `replications` times under each of `policies` and return what can be told of them.

    Replication r meets the same arrivals, service times and fates under every policy, so that policies
    are compared run by run. `policies` are policies or names (the scenario's own, or presets), by label
    where it is a mapping; none given: the scenario's. `n_jobs` is joblib's: processes to use, its default
    if `None`; the result does not depend on it. `progress` shows a bar (`None`: on a terminal, and in
    a notebook that has ipywidgets).

    With `precision` replications are added until every policy's intervals are as narrow: half the width is
    at most that part of the mean (0.05: 5 %), for the share that succeed, the p95 latency and the attempts
    per job, or for the measures that a mapping names. At most `max_replications` are run. All intervals and
    tests of the result then hold although it was looked at in between; they are wider for that.

    Raises:
        ConfigError: an unknown policy or storage, a label given twice, or a number that makes no sense.
    """
    check_scenario(scenario)
    if policies is not None:
        scenario = comparing(scenario, policies)
    check_count(replications)
    check_jobs(n_jobs)
    wanted = _wanted(precision, replications, max_replications)
    seed = seed_of(scenario, seed)
    most, numbers = max_replications if wanted else replications, range(replications)
    done: list[Replication] = []
    while True:
        tasks = [
            delayed(replicate)(scenario, label, policy, number, replication_seed(seed, number), storage)
            for number in numbers
            for label, policy in scenario.policies.items()
        ]
        new = Parallel(n_jobs=n_jobs, return_as="generator_unordered")(tasks)
        done += watched(new, len(tasks), scenario.name, progress=progress)
        found = _collected(scenario, seed, storage, done, wanted)
        numbers = range(numbers.stop, min(most, numbers.stop + max(5, numbers.stop // 4)))
        if not numbers or not found.imprecise:
            return found


def _wanted(
    precision: float | Mapping[str, float] | None, replications: int, max_replications: int
) -> dict[str, float]:
    """Return the relative precision wanted of each measure; none where no precision is."""
    if precision is None:
        return {}
    given = precision if isinstance(precision, Mapping) else dict.fromkeys(PRECISE, precision)
    wanted = {name: _relative(name, given[name]) for name in chosen(given)}
    if replications < _FEWEST:
        raise ConfigError(
            f"replications: a precision is first looked at after {_FEWEST} or more; not {replications}"
        )
    check_count(max_replications, "max_replications")
    if max_replications < replications:
        raise ConfigError(
            f"max_replications: must be at least replications ({replications}); not {max_replications!r}"
        )
    return wanted


def _relative(name: str, precision: object) -> float:
    if not isinstance(precision, float) or not 0 < precision < 1:
        raise ConfigError(
            f"precision: the half width of {name} relative to its mean, such as 0.05; not {precision!r}"
        )
    return precision


def comparing(scenario: Scenario, policies: PoliciesLike) -> Scenario:
    """Return `scenario` with `policies` in place of its own; what it expects of others is left out.

    Raises:
        ConfigError: there is none of that name, or it is neither a policy nor a name.
    """
    changed = scenario.with_(policies=looked_up(scenario, policies))
    expect = [one for one in changed.expect if one.policy is None or one.policy in changed.policies]
    return changed.with_(expect=expect)


def looked_up(scenario: Scenario, policies: PoliciesLike) -> Mapping[str, RetryPolicy] | list[RetryPolicy]:
    """Return `policies` with names replaced by what they name.

    Raises:
        ConfigError: there is none of that name, or it is neither a policy nor a name.
    """
    if isinstance(policies, Mapping):
        return {label: policy_of(scenario, policy) for label, policy in policies.items()}
    several = [policies] if isinstance(policies, (str, RetryPolicy)) else policies
    if not isinstance(several, Iterable):
        raise ConfigError(f"policies: must be policies or their names, not {policies!r}")
    return [policy_of(scenario, policy) for policy in several]


def _collected(
    scenario: Scenario, seed: int, storage: str, done: Iterable[Replication], precision: Mapping[str, float]
) -> Comparison:
    """Return the comparison; the order in which replications came does not matter."""
    place = {label: index for index, label in enumerate(scenario.policies)}
    results = sorted(done, key=lambda one: (place[one.label], one.number))
    profiles = Profiles.of(
        grid_of(scenario),
        scenario.horizon.seconds,
        outages_of(scenario),
        {label: [one.curves for one in results if one.label == label] for label in place},
    )
    rows = [
        {"policy": one.label, "replication": one.number, "seed": one.seed, **one.measures} for one in results
    ]
    return Comparison(scenario, seed, storage, rows, profiles, precision)


def watched(done: Iterable[T], total: int, name: str, *, progress: bool | None) -> Iterator[T]:
    """Yield what is `done` under a progress bar."""
    # In a notebook without ipywidgets, tqdm.auto would warn.
    tqdm = import_module("tqdm.auto" if find_spec("ipywidgets") else "tqdm").tqdm
    disable = None if progress is None else not progress
    yield from tqdm(done, total=total, desc=name, unit="run", disable=disable)


def check_count(replications: object, name: str = "replications") -> None:
    """Refuse a number of replications that is not a whole number from 1; `name` is what errors call it.

    Raises:
        ConfigError: it is not.
    """
    if not isinstance(replications, int) or isinstance(replications, bool) or replications < 1:
        raise ConfigError(f"{name}: must be a whole number, at least 1; not {replications!r}")


def check_jobs(n_jobs: object) -> None:
    """Refuse a number of processes that joblib would not understand.

    Raises:
        ConfigError: it is not one.
    """
    if n_jobs is None:
        return
    if not isinstance(n_jobs, int) or isinstance(n_jobs, bool) or n_jobs == 0:
        raise ConfigError(
            f"n_jobs: must be a whole number of processes, or -1 for one a core; not {n_jobs!r}"
        )
