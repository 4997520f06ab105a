"""An executor that plays a script: what each run of each job takes, and how it ends."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobsim.core.fields import DurationField, default
from jobsim.core.job import JobId, Lease
from jobsim.core.outcome import SUCCEEDED, Outcome
from jobsim.core.time import duration
from jobsim.runtime.base import Runtime


@dataclass(frozen=True, slots=True)
class Act:
    """One run: how it ends, and how long it takes until then."""

    outcome: Outcome = SUCCEEDED
    takes: DurationField = default("1s")

    def __post_init__(self) -> None:
        object.__setattr__(self, "takes", duration(self.takes, "takes"))


Script = Mapping[JobId, Sequence[Act]]
"""For every job its runs, those that a snooze gave back included; the last is played over again."""


class ScriptedExecutor:
    """Plays `script` on the runtime's time, the same in both worlds."""

    def __init__(self, runtime: Runtime, script: Script) -> None:
        self._runtime = runtime
        self._script = script

    async def execute(self, lease: Lease) -> Outcome:
        """Play the run of this number: every claim adds one to the token."""
        acts = self._script[lease.id]
        act = acts[min(lease.token, len(acts)) - 1]
        await self._runtime.sleep(act.takes)
        return act.outcome

    def abandon(self, lease: Lease) -> None:
        """Do nothing: the attempt goes on, and its outcome is refused."""
