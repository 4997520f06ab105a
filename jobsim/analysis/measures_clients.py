"""What clients cost that enqueue again what takes them too long."""

from collections import Counter
from typing import Final

from jobsim.analysis.arrays import STATES
from jobsim.analysis.measure import Group, Measure, Scale
from jobsim.analysis.observed import Observed
from jobsim.core.ids import originals
from jobsim.core.job import State


def _clients(run: Observed) -> dict[str, float]:
    if not run.setting.resubmits:
        return {"resubmitted": 0, "duplicate_successes": 0}
    ids = run.history.log.jobs
    stands_for = originals(ids, run.setting.resubmits)
    done = run.history.jobs.state == STATES.index(State.SUCCEEDED)
    successes = Counter(stands_for.get(ids[place], ids[place]) for place in done.nonzero()[0])
    return {
        "resubmitted": len(stands_for),
        "duplicate_successes": int(done.sum()) - len(successes),
    }


CLIENTS: Final = Group(
    _clients,
    {
        "resubmitted": Measure(
            "resubmitted jobs",
            "",
            Scale.COUNT,
            "jobs that a client enqueued in the place of one that it had waited for too long",
        ),
        "duplicate_successes": Measure(
            "duplicate successes",
            "",
            Scale.COUNT,
            "jobs that succeeded although another had, in whose place they were enqueued or that in theirs",
        ),
    },
)
