"""What `jobsim compare` closes with: three commands that lead on from what it showed."""

import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jobsim.cli.program import invoked_as, nearby
from jobsim.core.policy import RetryPolicy

if TYPE_CHECKING:
    from jobsim.sim import Comparison

_APP: Final = """\
mkdir -p reports && cat > reports/hello.py <<'END'
from jobsim import {names}

queue = Queue("sqlite:///reports/hello.db")
policy = {policy!r}


@queue.job(retry=policy)
def greet(name: str) -> None:
    print("Hello,", name)
END
{jobsim} enqueue reports.hello:queue greet '{{"name": "Ada"}}'
{jobsim} worker reports.hello:queue --burst"""


def next_steps(comparison: "Comparison", scenario: Path, report: Path | None) -> str:
    """Return three things to try, as commands to copy."""
    jobsim, file = invoked_as(), shlex.quote(str(scenario))
    policy = comparison.winner()
    best = policy.label
    directory = Path("reports", comparison.scenario.name) if report is None else report.parent
    if report is None:
        first = "Write a report: pictures, differences, definitions."
        look = f"{jobsim} compare {file} --out {shlex.quote(str(directory))}"
    else:
        first = "Open the report: pictures, differences, definitions."
        look = f"{shlex.quote(nearby(Path(sys.executable)))} -m webbrowser {report.resolve().as_uri()}"
    follow = (
        f"{jobsim} run {file} --policy {shlex.quote(best)} --out {shlex.quote(str(directory / 'one-run'))}"
    )
    return "\n\n".join(
        (
            "\nThree things to try next:",
            f"# 1. {first}\n{look}",
            f"# 2. Follow a single run of {best}: every job, attempt and event as a table.\n{follow}",
            f"# 3. Give the very same {best} to a live worker, on a SQLite file.\n{_live(policy)}",
        )
    )


def _live(policy: RetryPolicy) -> str:
    return _APP.format(jobsim=invoked_as(), policy=policy, names=", ".join(_names(policy)))


def _names(policy: RetryPolicy) -> list[str]:
    """Return what has to be imported so that the repr of `policy` evaluates back."""
    import jobsim

    used = re.findall(r"\b([A-Z]\w*)\(", repr(policy))
    return sorted({"Queue", *(name for name in used if name in jobsim.__all__)})
