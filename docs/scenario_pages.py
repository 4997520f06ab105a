"""Writes the page of the scenarios, as Markdown, from the files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parents[1] / "scenarios"


def scenarios() -> str:
    """Return a section for each scenario: its text as it is, comments included."""
    return "\n".join(_sections())


def _sections() -> Iterator[str]:
    for file in sorted(FOLDER.glob("*.toml")):
        yield f"\n## {file.stem}\n\n```toml\n{file.read_text(encoding='utf-8').strip()}\n```\n"
