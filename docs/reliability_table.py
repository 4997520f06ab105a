"""Writes the table of reliability.md: ``python docs/reliability_table.py [reports/reliability.jsonl ...]``.

The figures of the campaigns that a file holds take the place of those in reliability.json; the others stay.
"""

import json
import os
import platform
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from policy_tables import Tables, with_tables

PAGE = Path(__file__).parent / "reliability.md"
FIGURES = PAGE.with_suffix(".json")
WRONG = ("lost", "violations", "illegal", "corrupt", "broken")
"""What there should be none of."""


def taken_in(kept: dict[str, Any], files: Iterable[Path]) -> dict[str, Any]:
    """Return the figures that are kept, with those of `files`, the shares of a campaign added up."""
    campaigns: dict[str, Counter[str]] = {}
    dates: dict[str, str] = {}
    for file in files:
        day = datetime.fromtimestamp(file.stat().st_mtime, UTC).date().isoformat()
        for line in map(json.loads, file.read_text(encoding="utf-8").splitlines()):
            campaigns.setdefault(line["campaign"], Counter())[line["figure"]] += line["value"]
            dates[line["campaign"]] = day
    new = {
        name: {"date": dates[name], "machine": machine(), "figures": dict(sorted(figures.items()))}
        for name, figures in campaigns.items()
    }
    return dict(sorted({**kept, **new}.items()))


def machine() -> str:
    """Return what the figures were made on."""
    return f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def campaigns() -> Iterator[Sequence[str]]:
    """Yield the rows of the table of campaigns."""
    yield "campaign", "how much", "wrong", "when, on what"
    for name, made in json.loads(FIGURES.read_text(encoding="utf-8")).items():
        counts = {figure: value for figure, value in made["figures"].items() if figure not in WRONG}
        wrong = sum(made["figures"].get(figure, 0) for figure in WRONG)
        told = ", ".join(f"{round(value):,} {figure.replace('_', ' ')}" for figure, value in counts.items())
        yield name.replace("_", " "), told, f"**{wrong:,}**", f"{made['date']}, {made['machine']}"


TABLES: Tables = {"campaigns": campaigns}

if __name__ == "__main__":
    kept = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}
    figures = taken_in(kept, map(Path, sys.argv[1:]))
    FIGURES.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8"), TABLES), encoding="utf-8")
