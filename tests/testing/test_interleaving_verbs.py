"""A process that is led by hand waits as it would anywhere, and is seen to be where it is."""

import asyncio

import pytest

from jobsim.core.job import JobId, WorkerId
from jobsim.core.time import SECOND, Duration, Instant
from jobsim.runtime.sim import World
from jobsim.storage.base import Storage
from jobsim.storage.memory import MemoryStorage
from jobsim.testing.interleaving_cast import worker
from jobsim.testing.interleaving_prints import print_of
from jobsim.testing.interleaving_process import Process, Role
from jobsim.testing.interleaving_verbs import Pause, Verbs, Wants

BEGAN = Instant(1_767_225_600 * SECOND)
SOON = Duration(SECOND)


def test_ring_wakes_waiters_in_order() -> None:
    """A ring wakes who came first; one that nobody hears lets the next not wait; forgotten, it does not."""
    verbs, heard = Verbs(BEGAN), list[str]()
    bell = verbs.signal()

    async def listen(name: str) -> None:
        assert await verbs.wait(bell)
        heard.append(name)

    for name in "ab":
        verbs.start(listen(name), lambda: None)
    verbs.settle_down()
    bell.ring()
    verbs.settle_down()
    assert heard == ["a"]
    bell.ring(2)
    verbs.start(listen("c"), lambda: None)
    verbs.settle_down()
    assert heard == ["a", "b"]  # a ring that found somebody is not remembered
    bell.ring()
    bell.ring()
    verbs.start(listen("d"), lambda: None)
    verbs.settle_down()
    assert heard == ["a", "b", "c", "d"]
    bell.ring()
    bell.forget()
    verbs.start(listen("e"), lambda: None)
    verbs.settle_down()
    assert heard == ["a", "b", "c", "d"]


def test_bell_is_set_to_the_earliest_moment() -> None:
    """A later moment adds nothing, an earlier one takes its place, and one that is past rings at once."""
    verbs = Verbs(BEGAN)
    bell = verbs.signal()
    bell.ring_at(Instant(BEGAN + 5))
    bell.ring_at(Instant(BEGAN + 9))
    assert bell.alarm == BEGAN + 5
    bell.ring_at(Instant(BEGAN + 2))
    assert bell.alarm == BEGAN + 2
    bell.ring_at(BEGAN)
    assert bell.heard()
    bell.ring_at(Instant(BEGAN + 9))
    assert bell.alarm == BEGAN + 9


def test_first_failure_cancels_the_others() -> None:
    """Loops that wait are cancelled and may clean up; one whose call is under way hears of it afterwards."""
    verbs, ended = Verbs(BEGAN), list[str]()

    async def sleeper() -> None:
        try:
            await verbs.sleep(SOON)
        except asyncio.CancelledError:
            ended.append("sleeper")
            raise

    async def caller() -> None:
        try:
            ended.append(await verbs.call(str))
        except asyncio.CancelledError:
            ended.append("caller")
            raise

    async def failing() -> None:
        await verbs.wait(bell)
        raise KeyError

    async def main() -> None:
        with pytest.raises(KeyError):
            await verbs.together(sleeper(), caller(), failing())
        ended.append("main")

    bell = verbs.signal()
    verbs.start(main(), lambda: None)
    verbs.settle_down()
    bell.ring()
    verbs.settle_down()
    assert ended == ["sleeper"]
    verbs.wake(next(task for task in verbs.tasks if task.name == "caller"), "answer")
    verbs.settle_down()
    assert ended == ["sleeper", "caller", "main"]


def test_verbs_wait_for_what_they_are_asked_to() -> None:
    """A sleep waits for its end, a wait for a ring or until it is over."""

    async def main() -> None:
        await verbs.sleep(SOON)

    verbs = Verbs(BEGAN)
    verbs.start(main(), lambda: None)
    verbs.settle_down()
    assert verbs.tasks[0].wants == Pause(Instant(BEGAN + SOON))


def test_bell_of_another_world_is_refused() -> None:
    """A doorbell cannot ring from one world into another."""
    verbs = Verbs(BEGAN)
    with pytest.raises(TypeError, match="doorbell of another world"):
        next(verbs.wait(World(BEGAN).signal()))


def stepped(*numbers: int) -> Process:
    """Return a worker whose loops have made a call each, in this order, on an empty store."""
    process, storage = Process(worker("w"), BEGAN, lambda storage: storage), MemoryStorage()
    for number in numbers:
        request = process.ask(number, BEGAN)
        assert request is not None
        process.answer(number, BEGAN, getattr(storage, request.method)(*request.args))
    return process


def test_prints_are_equal_where_processes_are() -> None:
    """Two that were told the same have one print; told otherwise, or in another place, they have two."""
    slot, reaper = (each.number for each in stepped().waiting() if each.wants is Wants.CALL)
    assert print_of(stepped().state) == print_of(stepped().state)
    assert print_of(stepped(slot, reaper).state) == print_of(stepped(reaper, slot).state)
    prints = {print_of(stepped(*told).state) for told in [(), (slot,), (reaper,), (slot, reaper)]}
    assert len(prints) == 4


def test_print_sees_what_an_evaluation_has_put_aside() -> None:
    """Two coroutines at the same place, whose variables are equal, differ where their loops do."""

    def role(numbers: list[int]) -> Role:
        async def main(verbs: Verbs) -> None:
            for _ in iter(numbers):
                await verbs.sleep(SOON)

        return Role("loop", lambda verbs, _: main(verbs))

    prints = []
    process = Process(role([1, 1, 1]), BEGAN, lambda storage: storage)
    for _ in range(3):
        prints.append(print_of(process.state))
        process.pass_time(0, BEGAN)
    assert len(set(prints)) == 3
    assert process.over


def test_call_of_several_transactions_is_made_one_by_one() -> None:
    """Between the transactions of one call others may come; the loop goes on after the last."""
    heard = []

    async def main(verbs: Verbs, storage: Storage) -> None:
        def call() -> int:
            return len(storage.counts()) + len(storage.find(kind="work"))

        heard.append(await verbs.call(call))

    process = Process(Role("twice", main), BEGAN, lambda storage: storage)
    first = process.ask(0, BEGAN)
    assert first is not None
    assert first.method == "counts"
    process.answer(0, BEGAN, {"a": 1})
    second = process.ask(0, BEGAN)
    assert second is not None
    assert (second.method, second.keywords) == ("find", (("kind", "work"),))
    assert not heard
    process.answer(0, BEGAN, [1, 2])
    assert heard == [3]
    assert process.over


def test_lost_answer_is_given_when_the_call_is_made_again() -> None:
    """The process hears that its connection was lost; the same call, made later, needs no transaction."""
    process = Process(worker("w"), BEGAN, lambda storage: storage)
    slot = next(each.number for each in process.waiting() if each.name == "_slot")
    request = process.ask(slot, BEGAN)
    assert request is not None
    assert request.args[1] == WorkerId("w")
    process.lose(slot, BEGAN, request, ([], [], None))
    later = Instant(BEGAN + SOON)
    process.pass_time(slot, later)
    assert process.ask(slot, later) is None
    process.answer_itself(slot, later)
    assert slot not in {each.number for each in process.waiting()}


def test_error_of_the_engine_is_not_swallowed() -> None:
    """What ends a process by a bug is raised; what its store has done to it is an end like another."""

    async def main(verbs: Verbs, storage: Storage) -> None:
        await verbs.call(storage.get, JobId(1))

    process = Process(Role("asks", main), BEGAN, lambda storage: storage)
    process.answer(0, BEGAN, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        _ = process.over
