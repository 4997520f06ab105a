"""One run in numbers. A module with measures of its own makes a `Group` of them and adds it to `GROUPS`."""

from typing import Final

from jobsim.analysis.measure import Group, Measure
from jobsim.analysis.measures_attempts import ATTEMPTS, UTILISATION
from jobsim.analysis.measures_calls import CALLS
from jobsim.analysis.measures_clients import CLIENTS
from jobsim.analysis.measures_jobs import FATES, LATENCIES, OLDEST
from jobsim.analysis.measures_levels import LEVELS, RECOVERY, WAITS
from jobsim.analysis.observed import Observed

GROUPS: Final[tuple[Group, ...]] = (
    FATES,
    LATENCIES,
    OLDEST,
    WAITS,
    ATTEMPTS,
    CLIENTS,
    LEVELS,
    RECOVERY,
    UTILISATION,
    CALLS,
)

MEASURES: Final[dict[str, Measure]] = {
    name: measure for group in GROUPS for name, measure in group.measures.items()
}
"""Every measure by its name, which ends in its unit where it has one."""


def measures(run: Observed) -> dict[str, float]:
    """Return the measures of one run, by the names in `MEASURES`; NaN where one makes no sense."""
    values = {name: value for group in GROUPS for name, value in group.compute(run).items()}
    return {name: float(values[name]) for name in MEASURES}
