"""Calls that meet on PostgreSQL, two at a time or statement by statement: all is as if each were alone."""

from itertools import islice

import pytest

from tests.campaigns import record
from tests.storage.meetings import Meetings, Terms, pairs
from tests.storage.turns import Turns


def test_two_calls_that_meet_come_to_what_one_after_the_other_does(postgres: str, schema: str) -> None:
    """One is made when another has written all but its commit: a sample of all pairs."""
    _meet(postgres, schema, list(islice(pairs(), 0, None, 19)))


def test_schedules_of_statements_are_sound(postgres: str, schema: str) -> None:
    """Three processes and a reader of the log, statement by statement, keep the rules of every history."""
    turns = Turns(postgres, schema)
    assert [turns.wrong(seed) for seed in range(5)] == [[]] * 5


@pytest.mark.soak
def test_every_two_calls_that_meet_come_to_what_one_after_the_other_does(postgres: str, schema: str) -> None:
    """All pairs, without a limit, under one and under a budget."""
    every = list(pairs())
    _meet(postgres, schema, every)
    record("two calls that meet, PostgreSQL", pairs=len(every))


@pytest.mark.soak
def test_many_schedules_of_statements_are_sound(postgres: str, schema: str) -> None:
    """The same, at length."""
    turns, most = Turns(postgres, schema), 1_000
    for seed in range(most):
        assert turns.wrong(seed) == [], seed
    record("schedules of statements by lot, PostgreSQL", schedules=most)


def _meet(dsn: str, schema: str, some: list[tuple[str, str, Terms]]) -> None:
    with Meetings(dsn, schema) as meetings:
        wrong = {(first, second): meetings.meet(first, second, terms) for first, second, terms in some}
    assert not {pair: found for pair, found in wrong.items() if found}
