"""Limits that are declared, and what a starting worker makes of them."""

from collections.abc import Mapping

import pytest

from jobsim.core.breaker import Breaker
from jobsim.core.budget import Budget
from jobsim.core.limits import NO_LIMIT, By, Limit, Rate, Scope
from jobsim.core.policy import RetryPolicy
from jobsim.live.handler import Handler
from jobsim.live.limits import declared, described, put_in_force
from jobsim.live.terms import Terms
from jobsim.storage.memory import MemoryStorage

MAIL, SEND = Scope(By.QUEUE, "mail"), Scope(By.KIND, "send")
TWO = Limit(running=2)


class Store(MemoryStorage):
    """Notes which limits it is told to put in force."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[dict[Scope, Limit]] = []

    def set_limits(self, limits: Mapping[Scope, Limit]) -> None:
        self.told.append(dict(limits))
        super().set_limits(limits)


def test_a_worker_answers_for_its_kinds_and_for_what_is_said_of_its_queues() -> None:
    """A kind without a limit has none; a queue of which nothing is said is left to others."""

    def send() -> None: ...

    handlers = {
        kind: Handler(lambda *_: [], kind, send, Terms(policy=RetryPolicy(), limit=limit))
        for kind, limit in {"send": TWO, "read": NO_LIMIT}.items()
    }
    assert declared(handlers, {"mail": TWO, "slow": TWO}, ["default", "mail"]) == {
        SEND: TWO,
        Scope(By.KIND, "read"): NO_LIMIT,
        MAIL: TWO,
    }


def test_only_what_is_not_in_force_is_put_there() -> None:
    """A store that has the limits already is left alone; another start changes what has changed."""
    store = Store()
    put_in_force(store, {SEND: TWO, MAIL: NO_LIMIT})
    put_in_force(store, {SEND: TWO, MAIL: NO_LIMIT})
    put_in_force(store, {SEND: NO_LIMIT, MAIL: TWO})
    assert store.told == [{SEND: TWO}, {SEND: NO_LIMIT, MAIL: TWO}]
    assert store.limits() == {MAIL: TWO}


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (NO_LIMIT, "no limit"),
        (TWO, "at most 2 running"),
        (
            Limit(running=5, running_per_key=1, rate=Rate(100, per="1m", burst=3)),
            "at most 5 running; at most 1 a key running; at most 100 in 1m, 3 together",
        ),
        (
            Limit(budget=Budget(capacity=5), breaker=Breaker(probes=2)),
            "Budget(capacity=5); Breaker(probes=2)",
        ),
    ],
)
def test_a_limit_is_told_in_words(limit: Limit, words: str) -> None:
    """Logs and commands say what it means."""
    assert described(limit) == words
