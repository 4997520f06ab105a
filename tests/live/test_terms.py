"""How the jobs of one kind are run."""

from typing import Any

import pytest

import jobsim
from jobsim.core.errors import ConfigError
from jobsim.core.limits import Limit
from jobsim.core.policy import RetryPolicy
from jobsim.live.terms import Terms, policy_of
from jobsim.policies import PRESETS


def test_retry_may_be_a_policy_a_backoff_or_a_preset() -> None:
    """The winner of a comparison is used as it is; `max_attempts` goes before its own."""
    backoff = jobsim.Exponential(base="1s", cap="30s", jitter="full")
    policy = RetryPolicy(backoff, max_attempts=3, max_age="1h")
    assert policy_of(policy, ...) is policy
    assert policy_of(policy, 7) == RetryPolicy(backoff, max_attempts=7, max_age="1h")
    assert policy_of(policy, None).max_attempts is None
    assert policy_of(backoff, ...) == RetryPolicy(backoff)
    assert policy_of("oban", ...) is jobsim.policies.oban
    assert policy_of(None, 1) == RetryPolicy(max_attempts=1)


@pytest.mark.parametrize(
    ("retry", "said"),
    [
        ("full_jiter", "did you mean 'full_jitter'?"),
        (jobsim.Exponential, "Exponential is a class; write Exponential(...)"),
        (3, "retry: 3 is no policy"),
    ],
)
def test_a_retry_that_is_none_is_told(retry: Any, said: str) -> None:
    """What is no policy is refused with what could be meant."""
    with pytest.raises(ConfigError) as error:
        policy_of(retry, ...)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"timeout": 0}, "timeout: must be longer than 0s"),
        ({"timeout": "fast"}, "timeout: 'fast' is not a duration"),
        ({"queue": "no spaces"}, "cannot name a queue"),
        ({"priority": "high"}, "priority: must be a whole number"),
        ({"unique_key": 3}, "unique_key: a key must be text, not 3; write '3'"),
        ({"on_conflict": "no"}, "on_conflict: 'no' is none of"),
        ({"limit": 5}, r"limit: write jobsim\.Limit\(running=5\), not 5"),
        ({"budget": "grcp"}, r"budget: no budget is called 'grcp' \(did you mean 'grpc'\?\)"),
        ({"budget": 5}, r"budget: write Budget\(per_second=1\)"),
        ({"breaker": 5}, r"breaker: write Breaker\(threshold=0.5\)"),
        ({"budget": "grpc", "limit": Limit(budget=jobsim.budgets.grpc)}, "budget: give it once"),
    ],
)
def test_terms_that_cannot_be_used_are_refused(setting: dict[str, Any], said: str) -> None:
    """A setting of the kind is checked where it is declared."""
    with pytest.raises(ConfigError, match=said):
        Terms(policy=RetryPolicy(), **setting)


def test_budget_and_breaker_are_part_of_the_limit() -> None:
    """Those that are said of the kind go before those of its policy."""
    grpc, polly = jobsim.budgets.grpc, jobsim.budgets.polly
    policy = RetryPolicy(budget=jobsim.budgets.aws_sdk, breaker=polly)
    assert Terms.of({"retry": policy}, 1).limit == Limit(budget=jobsim.budgets.aws_sdk, breaker=polly)
    own = {"retry": policy, "budget": "grpc", "limit": Limit(running=2)}
    assert Terms.of(own, 1).limit == Limit(running=2, budget=grpc, breaker=polly)
    assert Terms.of({"breaker": "polly"}, 1).limit == Limit(breaker=polly)


def test_errors_may_be_listed_beside_the_policy() -> None:
    """What is said of errors where a handler is declared goes before what its policy says."""
    settings = {"retry": "oban", "retry_on": OSError, "dead_letter_on": (ValueError, "shop.Closed")}
    policy = Terms.of(settings, 1_000).policy
    assert (policy.retry_on, policy.dead_letter_on) == (("OSError",), ("ValueError", "shop.Closed"))
    assert policy.backoff == PRESETS["oban"].backoff


def test_settings_make_terms() -> None:
    """What a declaration says, by name, becomes terms; what it leaves out is as ever."""
    terms = Terms.of({"max_attempts": 3, "queue": "mail", "limit": Limit(running=2)}, payload_limit=7)
    policy = RetryPolicy(max_attempts=3)
    assert terms == Terms(policy=policy, queue="mail", limit=Limit(running=2), payload_limit=7)
    with pytest.raises(ConfigError, match=r"no setting 'max_attemps' \(did you mean 'max_attempts'\?\)"):
        Terms.of({"max_attemps": 3}, payload_limit=7)
