"""Writes the table of states.md from the code: ``python docs/state_table.py``."""

import ast
from collections.abc import Iterator, Sequence
from inspect import getsource
from pathlib import Path

from policy_tables import Tables, with_tables

from jobsim.core.job import State
from jobsim.core.transitions import FINAL, TRANSITIONS

PAGE = Path(__file__).parent / "states.md"


def states() -> Iterator[Sequence[str]]:
    """Yield the rows of the table of states: who puts a job there, who takes it out, what a crash leaves."""
    yield "state", "", "comes by", "leaves by"
    for state, text in zip(State, _paragraphs(), strict=True):
        comes = {
            kind.value for (source, kind), target in TRANSITIONS.items() if target is state is not source
        }
        leaves = {
            kind.value for (source, kind), target in TRANSITIONS.items() if source is state is not target
        }
        name = f"`{state.value}`" + (", final" if state in FINAL else "")
        yield name, text, _listed(comes), _listed(leaves)


def _paragraphs() -> Iterator[str]:
    """Yield what is written below each state, in their order."""
    texts = [
        text
        for node in ast.walk(ast.parse(getsource(State)))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        for text in [str(node.value.value)]
    ]
    for text in texts[1:]:  # the first is that of the class
        said = " ".join(text.removeprefix("Final: ").split())
        yield said[:1].upper() + said[1:]


def _listed(names: set[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


TABLES: Tables = {"states": states}

if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8"), TABLES), encoding="utf-8")
