"""The state machine as data: the only place that names a next state."""

from enum import StrEnum
from typing import Final

from jobsim.core.errors import IllegalTransition
from jobsim.core.job import State


class Kind(StrEnum):
    """What can happen to a job. `REFUSE` alone changes nothing: it records that a settlement came
    with a token no longer valid."""

    ENQUEUE = "enqueue"
    CLAIM = "claim"
    EXTEND = "extend"
    SUCCEED = "succeed"
    RETRY = "retry"
    DEAD_LETTER = "dead_letter"
    RELEASE = "release"
    REQUEUE = "requeue"
    CANCEL = "cancel"
    REFUSE = "refuse"


TRANSITIONS: Final[dict[tuple[State | None, Kind], State]] = {
    (None, Kind.ENQUEUE): State.PENDING,
    (State.PENDING, Kind.CLAIM): State.RUNNING,
    (State.FAILED, Kind.CLAIM): State.RUNNING,
    (State.RUNNING, Kind.EXTEND): State.RUNNING,
    (State.RUNNING, Kind.SUCCEED): State.SUCCEEDED,
    (State.RUNNING, Kind.RETRY): State.FAILED,
    (State.RUNNING, Kind.DEAD_LETTER): State.DEAD_LETTER,
    (State.RUNNING, Kind.RELEASE): State.PENDING,
    (State.DEAD_LETTER, Kind.REQUEUE): State.PENDING,
    (State.PENDING, Kind.REQUEUE): State.PENDING,
    (State.FAILED, Kind.REQUEUE): State.PENDING,
    (State.PENDING, Kind.CANCEL): State.CANCELLED,
    (State.FAILED, Kind.CANCEL): State.CANCELLED,
    (State.RUNNING, Kind.CANCEL): State.CANCELLED,
    (State.DEAD_LETTER, Kind.CANCEL): State.CANCELLED,
}

FINAL: Final = frozenset({State.SUCCEEDED, State.DEAD_LETTER, State.CANCELLED})
"""States a job stays in unless an operator acts."""

WAITING: Final = frozenset(s for s, k in TRANSITIONS if s and k is Kind.CLAIM)
"""States from which a job can be claimed once it is due."""


def transition(state: State | None, kind: Kind) -> State:
    """Return the state after `kind` happens in `state` (`None`: the job does not exist yet).

    Raises:
        IllegalTransition: the table has no such entry.
    """
    try:
        return TRANSITIONS[state, kind]
    except KeyError:
        where = "a job that does not exist" if state is None else f"a job in state {state.value!r}"
        raise IllegalTransition(f"{kind.value!r} cannot happen to {where}") from None


def mermaid() -> str:
    """Return the table as a Mermaid state diagram, for the documentation."""
    lines = ["stateDiagram-v2"]
    for (source, kind), target in TRANSITIONS.items():
        if source is not target:
            lines.append(f"    {source.value if source else '[*]'} --> {target.value}: {kind.value}")
    lines += [f"    {state.value} --> [*]" for state in State if state in FINAL]
    return "\n".join(lines)
