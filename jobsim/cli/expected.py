"""Expectations at the end of a command: as records, and as its exit code."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import typer

from jobsim.cli.output import complain, counted
from jobsim.cli.program import ExitCode

if TYPE_CHECKING:
    from jobsim.sim.expectations import Judgement


def records(judgements: Iterable["Judgement"]) -> list[dict[str, Any]]:
    """Return judgements for programs."""
    return [
        {
            "measure": one.expectation.measure,
            "policy": one.policy,
            "above": one.expectation.above,
            "below": one.expectation.below,
            "found": one.interval._asdict(),
            "finding": one.finding.value,
        }
        for one in judgements
    ]


def conclude(judgements: Iterable["Judgement"]) -> None:
    """Exit with the code of a broken expectation if there is one.

    Raises:
        typer.Exit: there is.
    """
    from jobsim.sim.expectations import Finding

    broken = [one for one in judgements if one.finding is Finding.BROKEN]
    if broken:
        complain(f"{counted(len(broken), 'expectation is', 'expectations are')} broken: {broken[0]}")
        raise typer.Exit(ExitCode.EXPECTATION)
