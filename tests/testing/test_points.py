"""Names of crash points, and tokens that replay a run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsim.core.errors import ConfigError
from jobsim.testing.points import Act, Point, Strike, Token, told

STORAGES = ("memory", "sqlite")
NAMES = st.sampled_from(
    ["handler:charge:14", "handler:lambda:3", "engine:before:settle", "engine:after:claim"]
)
POINTS = st.builds(Point, NAMES, st.integers(1, 99))
TOKENS = st.builds(
    Token,
    st.lists(st.builds(Strike, POINTS, st.sampled_from(Act)), max_size=3).map(tuple),
    st.sampled_from(STORAGES),
    st.integers(0, 10**9),
)


@given(TOKENS)
def test_token_is_read_as_it_is_written(token: Token) -> None:
    """Whatever befell whom where, and it needs no quotes in a shell."""
    assert Token.parse(str(token), STORAGES) == token
    assert not set(str(token)) & set(" '\"<>|&;()$`\\*?[]#~!{}")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "charge:14/memory/seed=1",
        "handler:charge:14",
        "handler:charge:14/floppy/seed=1",
        "handler:charge:14/memory/seed=x",
        "handler:charge:14@0/memory/seed=1",
        "handler:charge:14@x/memory/seed=1",
        "handler:charge:x/memory/seed=1",
        "handlr:charge:14/memory/seed=1",
        "engine:befor:settle/memory/seed=1",
        "engine:before:setle/memory/seed=1",
    ],
)
def test_what_is_no_token_is_refused(text: str) -> None:
    """The error quotes it, and shows what one looks like."""
    with pytest.raises(ConfigError, match=r"handler:charge:14"):
        Token.parse(text, STORAGES)


def test_plan_is_told_in_words() -> None:
    """In the order in which things happen."""
    plan = (Strike(Point("handler:charge:14", 2)), Strike(Point("engine:before:settle")))
    assert told(plan) == "worker dies at handler:charge:14@2, then dies at engine:before:settle"
    assert told((Strike(Point("handler:charge:14"), Act.STALL),)) == "worker stalls at handler:charge:14"
    assert told(()) == "no worker dies"
