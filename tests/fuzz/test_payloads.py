"""Payloads from outside: at the door they are refused or come back, and no handler meets what was refused."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import jobsim
from jobsim.core.errors import PayloadError
from jobsim.core.job import JobId, NewJob, State
from jobsim.core.time import Instant
from jobsim.live.payload import Arguments
from jobsim.storage.memory import MemoryStorage
from tests.fuzz.damage import PIECES, accidents, damaged, examples

pytestmark = pytest.mark.fuzz

WHOLE = json.dumps({"order": 7, "to": ["a", "é", "\n"], "more": {"a": [1.5, None, True]}}).encode()

texts = accidents().map(lambda hit: damaged(WHOLE, hit).decode("utf-8", "surrogateescape")) | st.sampled_from(
    [piece.decode("utf-8", "surrogateescape") for piece in PIECES]
    + ["[" * 100_000, '{"order":' + "9" * 100_000 + "}"]
)
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None))
    | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)


def order(order: int, to: list[str], more: Any = None) -> None:
    """Take an order."""


ARGUMENTS = Arguments("order", order)


@examples(150)
@given(texts)
def test_stored_payload_is_refused_or_fits(text: str) -> None:
    """What anybody wrote into the store is arguments of the handler, of its types, or a PayloadError."""
    try:
        arguments = ARGUMENTS.decode(text)
    except PayloadError as error:
        assert str(error).startswith("order: ")
        assert len(str(error)) < 2_000
    else:
        assert isinstance(arguments["order"], int)
        assert all(isinstance(name, str) for name in arguments["to"])


@examples(150)
@given(anything)
def test_value_is_refused_or_comes_back(value: Any) -> None:
    """What was accepted is read as what it was, by every reader of JSON; the rest is refused."""
    try:
        text = ARGUMENTS.encode({"order": 1, "to": [], "more": value})
    except PayloadError as error:
        assert len(str(error)) < 2_000
        return
    again = json.loads(text, parse_constant=_no_number)
    assert ARGUMENTS.encode(ARGUMENTS.decode(text)) == text
    assert again["order"] == 1
    assert "\0" not in json.dumps(again, ensure_ascii=False)


def _no_number(word: str) -> float:
    raise AssertionError(f"{word} is no JSON")


@examples(40)
@given(st.lists(texts, min_size=1, max_size=6))
def test_worker_outlives_every_payload(payloads: list[str]) -> None:
    """A job whose payload cannot be read fails by itself; the others run, and the worker ends in order."""
    storage = MemoryStorage()
    seen: list[Any] = []
    with jobsim.Queue(storage) as queue:

        @queue.job(max_attempts=1)
        def take(order: int, to: list[str], more: Any = None) -> None:
            seen.append((order, to, more))

        jobs = [
            NewJob(JobId(n), "take", Instant(0), payload=text, max_attempts=1)
            for n, text in enumerate(payloads, 1)
        ]
        storage.enqueue(jobs, Instant(0))
        good = take.enqueue(1, ["x"], more=0.5)
        queue.run_worker(burst=True)
        assert queue.get(good).state is State.SUCCEEDED
        states = [job.state for job in storage.find()]
    assert set(states) <= {State.SUCCEEDED, State.DEAD_LETTER}
    assert len(seen) == states.count(State.SUCCEEDED)
    assert not any(isinstance(more, float) and math.isnan(more) for _, _, more in seen)
