import pickle
from typing import Any

import pytest
from hypothesis import given

import jobsim
from jobsim.core.backoff import Exponential, Fixed
from jobsim.core.errors import ConfigError
from jobsim.core.job import UNLIMITED
from jobsim.core.outcome import Error
from jobsim.core.policy import DEFAULT_BACKOFF, RetryPolicy
from jobsim.core.time import Duration, duration
from tests.core.values import policies

NAMES = {name: getattr(jobsim, name) for name in jobsim.__all__ if name[0].isupper()}
REFUSED = Error.of(ConnectionRefusedError("refused"))
ODD = Error("stripe.CardError", "declined", ("stripe.CardError", "stripe.StripeError", "Exception"))


@given(policies)
def test_policy_repr_evaluates_back(policy: RetryPolicy) -> None:
    """The repr is source, with the names of `jobsim`, that gives an equal policy of the same name."""
    again = eval(repr(policy), dict(NAMES))
    assert again == policy
    assert again.name == policy.name
    assert pickle.loads(pickle.dumps(policy)) == policy


def test_policy_name_is_only_a_label() -> None:
    """Equal policies of different names are equal; without a name the backoff is the label."""
    one, other = RetryPolicy(Fixed("5s"), name="a"), RetryPolicy(Fixed("5s"), name="b")
    assert one == other
    assert hash(one) == hash(other)
    assert one.label == "a"
    assert RetryPolicy(Fixed("5s")).label == "Fixed(base='5s')"


def test_policy_by_default_backs_off_with_full_jitter_for_five_attempts() -> None:
    """A policy nobody wrote anything into is a safe one."""
    policy = RetryPolicy()
    assert policy.backoff == DEFAULT_BACKOFF == Exponential("1s", cap="5m", jitter="full")
    assert policy.limit == 5
    assert policy.max_age is None


def test_policy_without_limit_has_a_number_that_stands_for_it() -> None:
    """`None` is a number that no job reaches, and that no limit of a person's own passes."""
    assert RetryPolicy(max_attempts=None).limit == UNLIMITED
    assert RetryPolicy(max_attempts=UNLIMITED).limit == UNLIMITED


def test_policy_reads_back_typed() -> None:
    """What is written in any form reads as a Duration and as names."""
    policy = RetryPolicy(max_age="1h", retry_on=OSError, dead_letter_on=["x.Y", KeyError])
    assert policy.max_age == duration("1h")
    assert type(policy.max_age) is Duration
    assert policy.retry_on == ("OSError",)
    assert policy.dead_letter_on == ("x.Y", "KeyError")


@pytest.mark.parametrize(
    ("lists", "error", "retried"),
    [
        ({}, REFUSED, True),
        ({"retry_on": ConnectionRefusedError}, REFUSED, True),
        ({"retry_on": OSError}, REFUSED, True),
        ({"retry_on": ["ValueError", "OSError"]}, REFUSED, True),
        ({"retry_on": ValueError}, REFUSED, False),
        ({"dead_letter_on": OSError}, REFUSED, False),
        ({"dead_letter_on": ValueError}, REFUSED, True),
        ({"retry_on": OSError, "dead_letter_on": ConnectionError}, REFUSED, False),
        ({"retry_on": "CardError"}, ODD, True),
        ({"dead_letter_on": "stripe.StripeError"}, ODD, False),
        ({"dead_letter_on": "ardError"}, ODD, True),
    ],
)
def test_policy_retries_by_class_name_or_base_class(lists: Any, error: Error, retried: bool) -> None:
    """An error matches by itself or a base, qualified or bare; what is never retried wins."""
    assert RetryPolicy(**lists).retries(error) is retried


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"max_attempts": 0}, "max_attempts: must be a whole number, at least 1 .* not 0"),
        ({"max_attempts": -1}, "max_attempts: must be a whole number"),
        ({"max_attempts": 2.0}, "max_attempts: must be a whole number"),
        ({"max_attempts": True}, "max_attempts: must be a whole number"),
        ({"max_attempts": UNLIMITED + 1}, "max_attempts: must be a whole number"),
        ({"max_age": "1"}, "max_age: '1' has no unit"),
        ({"backoff": "exponential"}, "backoff: 'exponential' is no backoff; write for example"),
        ({"backoff": Exponential}, "backoff: .* is no backoff; write for example"),
        ({"retry_on": [5]}, "retry_on: 5 is neither an exception class nor the name of one"),
        ({"budget": 5}, "budget: write Budget"),
        ({"breaker": "polly"}, "breaker: write Breaker"),
        ({"dead_letter_on": int}, "dead_letter_on: .* is neither an exception class nor"),
    ],
)
def test_policy_refuses_bad_values_by_name(values: Any, complaint: str) -> None:
    """The error names the field and says what fits."""
    with pytest.raises(ConfigError, match=complaint):
        RetryPolicy(**values)
