"""Writes the table of statistics.md from the code: ``python docs/measure_table.py``."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from policy_tables import Tables, with_tables

from jobsim.analysis.measures import MEASURES

PAGE = Path(__file__).parent / "statistics.md"


def measures() -> Iterator[Sequence[str]]:
    """Yield the rows of the table of measures."""
    yield "measure", "unit", "what it is", "better"
    for name, measure in MEASURES.items():
        yield f"`{name}`", measure.unit, measure.meaning, measure.better.value.partition(" ")[0]


TABLES: Tables = {"measures": measures}

if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8"), TABLES), encoding="utf-8")
