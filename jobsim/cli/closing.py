"""What `jobsim compare` closes with: three commands that lead on from what it showed."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jobsim.cli.program import invoked_as
from jobsim.policies import PRESETS

if TYPE_CHECKING:
    from jobsim.sim import Comparison

_OPENERS: Final = {"darwin": "open", "win32": "start"}

_APP: Final = """\
cat > hello.py <<'END'
import jobsim

queue = jobsim.Queue("sqlite:///jobs.db")


@queue.job(retry={policy})
def greet(name: str) -> None:
    print("Hello,", name)
END
{jobsim} enqueue hello:queue greet '{{"name": "Ada"}}'
{jobsim} worker hello:queue --burst"""


def next_steps(comparison: "Comparison", scenario: Path, report: Path | None) -> str:
    """Return three things to try, as commands to copy."""
    jobsim, file = invoked_as(), shlex.quote(str(scenario))
    best = winner(comparison)
    directory = Path("reports", comparison.scenario.name) if report is None else report.parent
    if report is None:
        look = f"{jobsim} compare {file} --out {shlex.quote(str(directory))}"
    else:
        look = f"{_OPENERS.get(sys.platform, 'xdg-open')} {shlex.quote(str(report))}"
    run = f"{jobsim} run {file} --policy {shlex.quote(best)} --out {shlex.quote(str(directory / 'one-run'))}"
    live = _APP.format(jobsim=jobsim, policy=_expression(comparison, best, scenario))
    return "\n\n".join(
        (
            "\nThree things to try next:",
            f"# 1. {'Open' if report else 'Write'} the report: pictures, differences, definitions.\n{look}",
            f"# 2. Follow one run of {best}: every job, attempt and event.\n{run}",
            f"# 3. Let a live worker retry with the very same {best}, on a SQLite file.\n{live}",
        )
    )


def winner(comparison: "Comparison") -> str:
    """Return the policy the verdict prefers: most jobs succeed, and of those not told apart, the fastest."""
    from jobsim.analysis.verdict import best

    leaders = best(comparison.runs, "success_rate", list(comparison.policies))
    return (best(comparison.runs, "latency_p95_s", leaders) or leaders)[0]


def _expression(comparison: "Comparison", label: str, scenario: Path) -> str:
    """Return Python that gives the policy, in the shortest way."""
    if PRESETS.get(label) == comparison.policies[label]:
        return f"jobsim.policies.{label}"
    return f"jobsim.Scenario.from_toml({str(scenario)!r}).policies[{label!r}]"
