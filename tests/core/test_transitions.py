from itertools import product

import pytest

from jobsim.core.errors import IllegalTransition
from jobsim.core.job import State
from jobsim.core.transitions import FINAL, TRANSITIONS, WAITING, Kind, mermaid, transition

# The design's table, written out again: the states in which each kind may happen, and where it leads.
EXPECTED = {
    "enqueue": ("(new)", "pending"),
    "claim": ("pending failed", "running"),
    "extend": ("running", "running"),
    "succeed": ("running", "succeeded"),
    "retry": ("running", "failed"),
    "dead_letter": ("running", "dead_letter"),
    "release": ("running", "pending"),
    "requeue": ("dead_letter pending failed", "pending"),
    "cancel": ("pending failed running dead_letter", "cancelled"),
    "refuse": ("", ""),
}


@pytest.mark.parametrize(("state", "kind"), list(product([None, *State], Kind)))
def test_transition_is_the_designs_table(state: State | None, kind: Kind) -> None:
    """Every pair of a state and an event leads where the design says, and raises where it says nothing."""
    sources, target = EXPECTED[kind.value]
    if (state.value if state else "(new)") in sources.split():
        assert transition(state, kind).value == target
    else:
        name = repr(state.value) if state else "does not exist"
        with pytest.raises(IllegalTransition, match=f"{kind.value!r} cannot happen to a job .*{name}"):
            transition(state, kind)


def test_states_are_six_and_each_can_be_reached_and_left() -> None:
    """There are six; a job enters each; only succeeded and cancelled are never left."""
    assert [state.value for state in State] == [
        "pending",
        "running",
        "succeeded",
        "failed",
        "dead_letter",
        "cancelled",
    ]
    assert set(TRANSITIONS.values()) == set(State)
    left = {source for (source, _), target in TRANSITIONS.items() if source is not target}
    assert set(State) - left == {State.SUCCEEDED, State.CANCELLED}


def test_states_final_and_waiting() -> None:
    """No worker takes a job out of a final state; from a waiting one it is claimed."""
    assert sorted(FINAL) == ["cancelled", "dead_letter", "succeeded"]
    assert sorted(WAITING) == ["failed", "pending"]
    by_operators = {Kind.REQUEUE, Kind.CANCEL}
    assert all(kind in by_operators for (source, kind) in TRANSITIONS if source in FINAL)


def test_mermaid_draws_every_move() -> None:
    """The diagram has an arrow for each entry that changes the state, and an end for each final state."""
    head, *arrows = mermaid().split("\n")
    assert head == "stateDiagram-v2"
    expected = [
        f"    {'[*]' if source == '(new)' else source} --> {target}: {kind}"
        for kind, (sources, target) in EXPECTED.items()
        for source in sources.split()
        if source != target
    ]
    ends = [f"    {state} --> [*]" for state in ("succeeded", "dead_letter", "cancelled")]
    assert sorted(arrows) == sorted(expected + ends)
