"""One scenario, one policy, one run."""

from jobsim.core.backoff import Backoff
from jobsim.core.errors import ConfigError, did_you_mean
from jobsim.core.policy import RetryPolicy
from jobsim.policies import PRESETS
from jobsim.sim.result import SimResult
from jobsim.sim.scenario import Scenario
from jobsim.sim.world import run_world


def simulate(
    scenario: Scenario,
    policy: RetryPolicy | str = "full_jitter",
    seed: int | None = None,
    storage: str = "memory",
) -> SimResult:
    """Run `scenario` once under `policy` on the real engine, and return all that happened.

    `policy` may be the name of one of the scenario's policies or of a preset. Without `seed` the scenario's
    own is used; equal seeds give equal runs.

    Raises:
        ConfigError: an unknown policy or storage, or a seed that is not a whole number.
    """
    check_scenario(scenario)
    chosen = policy_of(scenario, policy)
    return SimResult(run_world(scenario, chosen, seed_of(scenario, seed), storage))


def check_scenario(scenario: object) -> None:
    """Refuse what is not a scenario.

    Raises:
        ConfigError: it is not.
    """
    if not isinstance(scenario, Scenario):
        raise ConfigError(f"{scenario!r} is not a Scenario; read a file by Scenario.from_toml(path)")


def policy_of(scenario: Scenario, policy: object) -> RetryPolicy:
    """Return `policy`, looked up in the scenario and then in the presets if it is a name.

    Raises:
        ConfigError: there is none of that name, or it is neither a policy nor a name.
    """
    if isinstance(policy, RetryPolicy):
        return policy
    known = {**PRESETS, **scenario.policies}
    if isinstance(policy, str) and policy in known:
        return known[policy]
    if isinstance(policy, Backoff) and not isinstance(policy, type):
        raise ConfigError(
            f"{policy!r} is a backoff; a policy says how many attempts, too: "
            f"RetryPolicy({policy!r}, max_attempts=8)"
        )
    hint = did_you_mean(policy, known) if isinstance(policy, str) else ""
    raise ConfigError(f"no policy is called {policy!r}{hint}; there are: {', '.join(known)}")


def seed_of(scenario: Scenario, seed: object) -> int:
    """Return `seed`, or the scenario's own where there is none.

    Raises:
        ConfigError: it is not a whole number.
    """
    if seed is None:
        return scenario.seed
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise ConfigError(f"seed: must be a whole number, not {seed!r}")
    return seed
