"""Removing jobs that have ended."""

from typing import Final

import pytest

from jobsim.core.errors import ConfigError
from jobsim.core.job import Conflict, JobId, State
from jobsim.core.time import Instant
from jobsim.core.transitions import FINAL
from jobsim.storage.base import Storage
from jobsim.testing.conformance_base import (
    BEGAN,
    BURY,
    SUCCEED,
    StorageRules,
    add,
    at,
    claim,
    job_id,
    new,
    settle,
    snapshot,
    start,
    stored,
)
from jobsim.testing.conformance_operator import one_in_each_state

ENDED: Final = [state for state in State if state in FINAL]
UNENDED: Final = [state for state in State if state not in FINAL]


def succeeded(storage: Storage, *numbers: int, seconds: float = 0) -> list[JobId]:
    """Return jobs that succeeded so many seconds after the beginning."""
    for number in numbers:
        settle(storage, start(storage, number), SUCCEED, now=at(seconds))
    return [job_id(number) for number in numbers]


class PruneRules(StorageRules):
    """`prune`, rules 10 and 18."""

    @pytest.mark.parametrize("state", ENDED)
    def test_prune_takes_the_states_asked_for(self, storage: Storage, state: State) -> None:
        """Jobs in other states stay, dead letters among them."""
        one_in_each_state(storage)
        before = storage.find()
        assert storage.prune([state], at(1), 100) == 1
        assert storage.find() == [job for job in before if job.state is not state]
        assert storage.prune([state], at(1), 100) == 0

    def test_prune_takes_several_states(self, storage: Storage) -> None:
        """A state may be named twice; none named prunes nothing."""
        one_in_each_state(storage)
        assert storage.prune([], at(1), 100) == 0
        assert storage.prune([*ENDED, *ENDED], at(1), 100) == 3
        assert {job.state for job in storage.find()} == set(UNENDED)

    @pytest.mark.parametrize("state", UNENDED)
    def test_prune_refuses_what_has_not_ended(self, storage: Storage, state: State) -> None:
        """The error names the state, and nothing is removed."""
        one_in_each_state(storage)
        before = snapshot(storage)
        with pytest.raises(ConfigError, match=state.value):
            storage.prune([State.SUCCEEDED, state], at(1), 100)
        assert snapshot(storage) == before

    def test_prune_goes_by_when_a_job_ended(self, storage: Storage) -> None:
        """Who ended before goes, who ended at that very moment or later stays."""
        first, second = succeeded(storage, 1, seconds=5) + succeeded(storage, 2, seconds=6)
        assert storage.prune([State.SUCCEEDED], at(5), 100) == 0
        assert storage.prune([State.SUCCEEDED], Instant(at(5) + 1), 100) == 1
        assert (storage.get(first), stored(storage, second).finished) == (None, at(6))

    def test_prune_takes_no_more_than_asked_for(self, storage: Storage) -> None:
        """What a limit left is there for the next call."""
        succeeded(storage, *range(5))
        assert [storage.prune([State.SUCCEEDED], at(1), limit) for limit in (0, 2, 2, 2)] == [0, 2, 2, 1]
        assert storage.find() == []

    def test_prune_removes_jobs_whole(self, storage: Storage) -> None:
        """Nothing of them is to be read again, neither the job nor its history."""
        gone, kept = succeeded(storage, 1), succeeded(storage, 2, seconds=9)
        events = list(storage.events())
        assert storage.prune([State.SUCCEEDED], at(1), 100) == 1
        assert storage.get(gone[0]) is None
        assert list(storage.events(job=gone[0])) == []
        assert [job.id for job in storage.find()] == kept
        assert list(storage.events()) == [event for event in events if event.job in kept]
        assert list(storage.events(after=3)) == [e for e in events if e.seq > 3 and e.job in kept]

    def test_prune_is_counted(self, storage: Storage) -> None:
        """Jobs that are no more are in no state."""
        one_in_each_state(storage)
        storage.prune([State.SUCCEEDED, State.CANCELLED], at(1), 100)
        gone = {State.SUCCEEDED, State.CANCELLED}
        assert storage.counts() == {state: int(state not in gone) for state in State}

    def test_prune_leaves_others_untouched(self, storage: Storage) -> None:
        """Leases hold and jobs wait as before."""
        succeeded(storage, 1)
        lease = start(storage, 2)
        add(storage, new(3))
        storage.prune(ENDED, at(1), 100)
        assert storage.extend([lease], at(100), at(1)) == {lease.id}
        assert settle(storage, lease, SUCCEED, now=at(1))
        assert [lease.id for lease in claim(storage)] == [job_id(3)]

    def test_numbers_are_never_given_again(self, storage: Storage) -> None:
        """A later job has another key, a later event a number above all, though the last have gone."""
        lease = start(storage, 1)
        settle(storage, lease, SUCCEED)
        highest = max(event.seq for event in storage.events())
        storage.prune([State.SUCCEEDED], at(1), 100)
        later = start(storage, 2)
        assert later.key > lease.key
        assert [event.seq for event in storage.events()] == [highest + 1, highest + 2]

    def test_an_old_lease_finds_nothing(self, storage: Storage) -> None:
        """A zombie whose job was pruned is refused, and no history begins of it."""
        lease = start(storage, 1)
        storage.cancel([lease.id], BEGAN)
        storage.prune([State.CANCELLED], at(1), 100)
        start(storage, 2)
        before = snapshot(storage)
        assert not settle(storage, lease, SUCCEED)
        assert storage.extend([lease], at(100), BEGAN) == set()
        assert storage.requeue([lease.id], at(2)) == storage.cancel([lease.id], at(2)) == [False]
        assert snapshot(storage) == before

    def test_a_cancelled_job_is_not_handed_out_after_it_is_pruned(self, storage: Storage) -> None:
        """Nor is it waited for."""
        add(storage, new(1), new(2, run_at=at(9)))
        storage.cancel([job_id(1), job_id(2)], BEGAN)
        assert storage.prune([State.CANCELLED], at(1), 100) == 2
        assert storage.next_due(["default"]) is None
        assert claim(storage, now=at(99)) == []

    def test_a_unique_key_is_free_after_its_job_is_pruned(self, storage: Storage) -> None:
        """The next with that key is a job like the first."""
        for number in (1, 2):
            lease = start(storage, number, unique_key="k", conflict=Conflict.RAISE)
            settle(storage, lease, BURY)
            assert storage.prune([State.DEAD_LETTER], at(1), 100) == 1
        assert snapshot(storage) == ([], [])

    def test_a_pruned_dead_letter_leaves_the_holder_its_key(self, storage: Storage) -> None:
        """Who holds the key by now holds it still."""
        settle(storage, start(storage, 1, unique_key="k"), BURY)
        add(storage, new(2, unique_key="k"))
        storage.prune([State.DEAD_LETTER], at(1), 100)
        assert add(storage, new(3, unique_key="k")) == [job_id(2)]
