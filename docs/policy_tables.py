"""Writes the tables of policies.md from the code: ``python docs/policy_tables.py``."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from inspect import getdoc, getsource
from pathlib import Path

from jobsim import policies
from jobsim.analysis.patience import delays, patience
from jobsim.analysis.wording import time_span
from jobsim.core import backoff, jitter
from jobsim.core.policy import RetryPolicy

PAGE = Path(__file__).parent / "policies.md"
PLACE = re.compile(r"(<!-- table: (\w+)[^\n]* -->\n).*?(<!-- /table -->)", re.DOTALL)
PRESET = re.compile(r"((?:^# .*\n)*)^(\w+) = _preset\(", re.MULTILINE)

BACKOFFS = (
    backoff.NoBackoff,
    backoff.Fixed,
    backoff.Linear,
    backoff.Exponential,
    backoff.Polynomial,
    backoff.Decorrelated,
)
JITTERS = {
    '"none"': jitter.NoJitter,
    '"full"': jitter.Full,
    '"equal"': jitter.Equal,
    '"stretched"': jitter.Stretched,
    "Proportional(0.1)": jitter.Proportional,
    'Added("100ms")': jitter.Added,
}
RETRIES = (1, 5, 10)

Tables = Mapping[str, Callable[[], Iterable[Sequence[str]]]]
"""What gives the rows of each table, by name; the first are the headings."""


def backoffs() -> Iterator[Sequence[str]]:
    """Yield the rows of the table of backoffs."""
    yield "backoff", "delay before a retry", "source"
    for kind in BACKOFFS:
        yield f"`{kind.__name__}`", *described(kind)


def jitters() -> Iterator[Sequence[str]]:
    """Yield the rows of the table of jitters."""
    yield "`jitter=`", "what becomes of the delay", "source"
    for written, kind in JITTERS.items():
        yield f"`{written}`", *described(kind)


def presets() -> Iterator[Sequence[str]]:
    """Yield the rows of the table of presets."""
    yield (
        "preset",
        "backoff",
        "attempts",
        *(f"wait before retry {n}" for n in RETRIES),
        "gives up after",
        "source",
    )
    sources = {name: _joined(comment) for comment, name in PRESET.findall(getsource(policies))}
    for name, policy in policies.PRESETS.items():
        attempts = "no limit" if policy.max_attempts is None else str(policy.max_attempts)
        yield f"`{name}`", f"`{policy.backoff!r}`", attempts, *_waits(policy), patience(policy), sources[name]


def _waits(policy: RetryPolicy) -> Iterator[str]:
    """Yield the least and the most that the jitter made of some delays."""
    granted = policy.limit - 1
    waits_s = delays(replace(policy, max_attempts=None), max(RETRIES))
    for retry in RETRIES:
        column = waits_s[:, retry - 1]
        yield time_span(column.min(), column.max()) if retry <= granted else ""


def described(kind: type) -> tuple[str, str]:
    """Return what a docstring says first, and its source."""
    text = _joined(getdoc(kind) or "", paragraphs=True)
    meaning, _, source = text.partition("Source: ")
    return meaning.replace("``", "`").strip(), source.strip()


def _joined(text: str, *, paragraphs: bool = False) -> str:
    """Return text as one line, without comment signs; of a docstring, all its paragraphs."""
    lines = (line.removeprefix("#").strip() for line in text.splitlines())
    joined = " ".join(line for line in lines if line)
    return joined if paragraphs else joined.removeprefix("Source: ")


TABLES: Tables = {
    "backoffs": backoffs,
    "jitters": jitters,
    "presets": presets,
}


def with_tables(page: str, tables: Tables) -> str:
    """Return the text of a page with its tables as the code has them now."""
    return PLACE.sub(lambda place: f"{place[1]}{_markdown(tables[place[2]]())}{place[3]}", page)


def _markdown(rows: Iterable[Sequence[str]]) -> str:
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8"), TABLES), encoding="utf-8")
