"""Prints the table of ``make mutants``: which instrument found which planted bug, and how soon."""

import pytest

ROW = "{:<32} {:<12} {:>8} {:>6} {:>9}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Write a row for each bug and each instrument that found it."""
    rows = [
        value
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "call"
        for name, value in report.user_properties
        if name == "mutant"
    ]
    if not rows:
        return
    terminalreporter.section("planted bugs")
    terminalreporter.write_line(ROW.format("bug", "found by", "examples", "steps", "seconds"))
    for bug, instrument, examples, seconds, steps in sorted(rows, key=lambda row: row[0].lower()):
        terminalreporter.write_line(ROW.format(bug, instrument, examples, steps or "", f"{seconds:.2f}"))
    shrunk = [steps for *_, steps in rows if steps]
    bugs = len({row[0] for row in rows})
    few = sum(steps < 10 for steps in shrunk)
    terminalreporter.write_line(f"{bugs} bugs found; {few} of {len(shrunk)} shrunk below ten steps")
