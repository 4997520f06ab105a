"""Several policies in one world, with replications and common random numbers."""

from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import TypeVar

from joblib import Parallel, delayed

from jobsim.analysis.curves import Profiles
from jobsim.core.errors import ConfigError
from jobsim.core.policy import RetryPolicy
from jobsim.sim.comparison import Comparison
from jobsim.sim.replication import Replication, grid_of, outages_of, replicate, replication_seed
from jobsim.sim.scenario import Scenario
from jobsim.sim.simulation import check_scenario, policy_of, seed_of

T = TypeVar("T")

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
) -> Comparison:
    """Run `scenario` `replications` times under each of `policies` and return what can be told of them.

    Replication r meets the same arrivals, service times and fates under every policy, so that policies
    are compared run by run. `policies` are policies or names (the scenario's own, or presets), by label
    where it is a mapping; none given: the scenario's. `n_jobs` is joblib's: processes to use, its default
    if `None`; the result does not depend on it. `progress` shows a bar (`None`: on a terminal, and in
    a notebook that has ipywidgets).

    Raises:
        ConfigError: an unknown policy or storage, a label given twice, or a number that makes no sense.
    """
    check_scenario(scenario)
    if policies is not None:
        scenario = scenario.with_(policies=looked_up(scenario, policies))
    check_count(replications)
    check_jobs(n_jobs)
    seed = seed_of(scenario, seed)
    tasks = [
        delayed(replicate)(scenario, label, policy, number, replication_seed(seed, number), storage)
        for number in range(replications)
        for label, policy in scenario.policies.items()
    ]
    done = Parallel(n_jobs=n_jobs, return_as="generator_unordered")(tasks)
    return _collected(scenario, seed, storage, watched(done, len(tasks), scenario.name, progress=progress))


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


def _collected(scenario: Scenario, seed: int, storage: str, done: Iterable[Replication]) -> Comparison:
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
    return Comparison(scenario, seed, storage, rows, profiles)


def watched(done: Iterable[T], total: int, name: str, *, progress: bool | None) -> Iterator[T]:
    """Yield what is `done` under a progress bar."""
    # In a notebook without ipywidgets, tqdm.auto would warn.
    tqdm = import_module("tqdm.auto" if find_spec("ipywidgets") else "tqdm").tqdm
    disable = None if progress is None else not progress
    yield from tqdm(done, total=total, desc=name, unit="run", disable=disable)


def check_count(replications: object) -> None:
    """Refuse a number of replications that is not a whole number from 1.

    Raises:
        ConfigError: it is not.
    """
    if not isinstance(replications, int) or isinstance(replications, bool) or replications < 1:
        raise ConfigError(f"replications: must be a whole number, at least 1; not {replications!r}")


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
