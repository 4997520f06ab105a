"""Queues that are paused."""

from pathlib import Path

from jobsim.core.job import State
from jobsim.core.limits import By, Limit, Scope
from jobsim.storage.base import Storage
from jobsim.testing.conformance_base import (
    ANN,
    MINUTE,
    SUCCEED,
    StorageRules,
    add,
    at,
    claim,
    job_id,
    new,
    retry,
    settle,
)

BOTH = ("mail", "sms")


class PauseRules(StorageRules):
    """`pause`, `resume` and `paused`, rule 20."""

    def test_paused_queue_is_passed_by(self, storage: Storage) -> None:
        """Its jobs wait, however urgent; those of other queues are claimed."""
        add(storage, new(1, queue="mail", priority=9), new(2, queue="sms"))
        assert storage.pause("mail")
        assert [lease.id for lease in claim(storage, queues=BOTH)] == [job_id(2)]
        assert claim(storage, queues=("mail",)) == []
        assert storage.exchange((), ANN, BOTH, 9, MINUTE, at(0)) == ([], [], None)

    def test_resumed_queue_is_claimed_again(self, storage: Storage) -> None:
        """Nothing was lost, and the order is what it was."""
        storage.pause("mail")
        add(storage, new(1, queue="mail"), new(2, queue="mail", priority=1))
        assert claim(storage, queues=BOTH) == []
        assert storage.resume("mail")
        assert [lease.id for lease in claim(storage, queues=BOTH)] == [job_id(2), job_id(1)]

    def test_paused_queue_has_nothing_due(self, storage: Storage) -> None:
        """A worker of it sleeps until it is resumed, and one of several is told of the others' jobs."""
        add(storage, new(1, queue="mail", run_at=at(3)), new(2, queue="sms", run_at=at(5)))
        storage.pause("mail")
        assert storage.next_due(("mail",)) is None
        assert storage.next_due(BOTH) == at(5)
        storage.resume("mail")
        assert storage.next_due(BOTH) == at(3)

    def test_attempts_of_a_paused_queue_go_on(self, storage: Storage) -> None:
        """What runs is renewed and settled; a retry waits with the others."""
        add(storage, new(1, queue="mail"), new(2, queue="mail"))
        first, second = claim(storage, queues=BOTH)
        storage.pause("mail")
        assert storage.extend([first], at(90), at(1)) == {first.id}
        assert settle(storage, first, SUCCEED, at(2))
        assert settle(storage, second, retry(at(3)), at(2))
        assert claim(storage, now=at(9), queues=BOTH) == []
        assert storage.counts()[State.FAILED] == 1

    def test_limits_of_a_paused_queue_do_not_open_it(self, storage: Storage) -> None:
        """Where limits are in force, too, or put in force, or removed, it is passed by."""
        limit = {Scope(By.QUEUE, "mail"): Limit(running=5), Scope(By.KIND, "mail"): Limit(running_per_key=2)}
        storage.pause("mail")
        add(storage, *(new(n, queue="mail", limit_key=str(n % 2)) for n in range(6)))
        add(storage, *(new(n, queue="sms") for n in range(6, 8)))
        storage.set_limits(limit)
        assert [lease.id for lease in claim(storage, queues=BOTH)] == [job_id(6), job_id(7)]
        assert storage.next_due(("mail",)) is None
        storage.set_limits(dict.fromkeys(limit, Limit()))
        assert claim(storage, queues=BOTH) == []
        storage.set_limits(limit)
        storage.resume("mail")
        assert len(claim(storage, queues=BOTH)) == 4

    def test_pausing_twice_is_pausing_once(self, storage: Storage) -> None:
        """The second is told that it changed nothing, and one resume is enough; any name will do."""
        names = ["mail", "no jobs here", "sms \N{SNOWMAN}"]
        assert storage.paused() == set()
        assert [storage.pause(name) for name in [*names, "mail"]] == [True, True, True, False]
        assert storage.paused() == set(names)
        assert [storage.resume(name) for name in ("mail", "mail", "other")] == [True, False, False]
        assert storage.paused() == set(names[1:])

    def test_pause_outlives_the_store(self, tmp_path: Path) -> None:
        """A queue is paused until it is resumed, though all processes end meanwhile."""
        storage = self.make_storage(tmp_path)
        storage.pause("mail")
        storage.close()
        if not self.reopens():
            return
        storage = self.make_storage(tmp_path)
        assert storage.paused() == {"mail"}
        storage.close()
