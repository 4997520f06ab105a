"""Writes the state diagram of ARCHITECTURE.md from the transition table: ``python docs/state_diagram.py``."""

import re
from pathlib import Path

from jobsim.core.transitions import mermaid

PAGE = Path(__file__).parents[1] / "ARCHITECTURE.md"
PLACE = re.compile(r"(<!-- states: [^\n]* -->\n).*?(<!-- /states -->)", re.DOTALL)


def with_diagram(page: str) -> str:
    """Return the text of a page with the diagram as the table has it now."""
    return PLACE.sub(rf"\g<1>```mermaid\n{mermaid()}\n```\n\g<2>", page)


if __name__ == "__main__":
    PAGE.write_text(with_diagram(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
