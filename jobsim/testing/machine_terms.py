"""The state machine of `jobsim.testing.machine`, with unique keys, limits, budgets, breakers and pruning."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from jobsim.core.breaker import Breaker
from jobsim.core.budget import Budget
from jobsim.core.errors import KeyTaken
from jobsim.core.job import Conflict, JobId, Lease, NewJob, State, WorkerId
from jobsim.core.limits import By, Limit, Rate, Scope
from jobsim.core.outcome import Outcome
from jobsim.core.time import SECOND, Instant
from jobsim.core.transitions import FINAL, WAITING
from jobsim.testing.driving import QUEUES
from jobsim.testing.machine import NAMES, OUTCOMES, PICKS, QueueMachine, picked

_MANY: Final = 8
_terms = st.lists(
    st.tuples(
        st.sampled_from(QUEUES),
        st.sampled_from(["work", "mend"]),
        st.sampled_from([None, "k", "k", "k", "l"]),
        st.sampled_from(Conflict),
        st.sampled_from(["", "a"]),
    ),
    min_size=1,
    max_size=3,
)
_scopes = st.sampled_from([Scope(By.KIND, "work"), Scope(By.KIND, "mend"), Scope(By.QUEUE, QUEUES[0])])
_limits = st.sampled_from(
    [
        Limit(running=1),
        Limit(running=2, running_per_key=1),
        Limit(rate=Rate(1, "5s")),
        Limit(running=2, rate=Rate(2, "20s", burst=2)),
        Limit(budget=Budget(capacity=1, first_try=0.5, per_second=0.1)),
        Limit(budget=Budget(capacity=2, success=1, failure_cost=0.5, per_second=0, when_empty="dead_letter")),
        Limit(breaker=Breaker(threshold=0.5, window="1m", min_calls=1, open_for="20s")),
        Limit(running=2, breaker=Breaker(min_calls=2, stops="retries"), budget=Budget(capacity=2)),
        Limit(),
    ]
)
_ended = st.lists(st.sampled_from([state for state in State if state in FINAL]), min_size=1, max_size=2)


class TermsMachine(QueueMachine):
    """A store and the processes that use it; subclass it as one does `QueueMachine`."""

    @precondition(lambda self: len(self.model.in_states(State.RUNNING, *WAITING)) < _MANY)
    @rule(who=NAMES, terms=_terms, delay=st.sampled_from([0, 0, 30 * SECOND]))
    def enqueue_keyed(
        self, who: WorkerId, terms: Sequence[tuple[str, str, str | None, Conflict, str]], delay: int
    ) -> None:
        """Enqueue jobs with unique keys that may be taken, and limit keys."""
        now = self._clock(who)
        run_at = Instant(now + delay)
        batch = [
            NewJob(self._mint.mint(now), kind, run_at, queue, "{}", 2, 0, key, conflict, limit_key)
            for queue, kind, key, conflict, limit_key in terms
        ]
        self._offer(batch, now)

    @precondition(lambda self: self._running_holders())
    @rule(who=NAMES, pick=PICKS)
    def replace_running(self, who: WorkerId, pick: int) -> None:
        """Take the unique key from a job that runs."""
        now = self._clock(who)
        holder = self.model.known[picked(self._running_holders(), pick)]
        self._offer([holder._replace(id=self._mint.mint(now), conflict=Conflict.REPLACE)], now)

    @precondition(lambda self: self._running_replaced())
    @rule(who=NAMES, pick=PICKS, outcome=OUTCOMES)
    def settle_replaced(self, who: WorkerId, pick: int, outcome: Outcome) -> None:
        """Settle an attempt of a job whose unique key was taken from it."""
        self._settle([picked(self._running_replaced(), pick)], outcome, self._clock(who))

    def _running_holders(self) -> list[JobId]:
        """Return the jobs that run and hold a unique key."""
        known, replaced = self.model.known, self.model.replaced
        running = self.model.in_states(State.RUNNING)
        return [id_ for id_ in running if known[id_].unique_key is not None and id_ not in replaced]

    def _running_replaced(self) -> list[Lease]:
        """Return the leases in force of jobs that hold their unique key no more."""
        return [lease for lease in self._in_force() if lease.id in self.model.replaced]

    def _offer(self, batch: Sequence[NewJob], now: Instant) -> None:
        ids: list[JobId] | None = None
        with suppress(KeyTaken):
            ids = self.storage.enqueue(batch, now)
        self.model.read(self.storage)
        self.model.enqueued(batch, ids)
        self.model.accepted.update(ids or ())

    @rule(scope=_scopes, limit=_limits)
    def limit(self, scope: Scope, limit: Limit) -> None:
        """Put a limit in force, or remove one."""
        self.storage.set_limits({scope: limit})
        self.model.limited({scope: limit}, self.storage.limits())

    @precondition(lambda self: self.model.in_states(*FINAL))
    @rule(states=_ended, ago=st.sampled_from([0, 5 * SECOND]), limit=st.integers(1, 3))
    def prune(self, states: Sequence[State], ago: int, limit: int) -> None:
        """Prune jobs that ended some time ago."""
        before = Instant(self.now - ago)
        number = self.storage.prune(states, before, limit)
        self.model.pruned(states, before, limit, number, self.storage)
