"""Named situations that the campaigns must reach: a rule that nothing put to the test holds of nothing."""

from collections.abc import Iterable, Iterator

from jobsim.core.decide import LOST
from jobsim.core.events import Event
from jobsim.core.job import JobId
from jobsim.core.transitions import Kind
from jobsim.testing.plays import Play

SITUATIONS = {
    "a job is claimed again after its worker was lost",
    "a job succeeds after its worker was lost",
    "a job is buried as its workers were lost",
    "a job is buried as its attempts are used up",
    "a job is buried at its first error",
    "a job is given back",
    "a lease is renewed",
    "a success comes too late",
    "a failure comes too late",
    "a loss is refused, as the lease was renewed or settled",
    "a lease passes to another worker",
    "an enqueue without a reply was kept",
    "an enqueue without a reply was not kept",
    "a client enqueues again what was kept",
    "a worker gives up",
    "a process lives by a wrong clock",
    "nobody is told of new jobs",
    "nothing befalls anybody",
    *(f"{mishap}: {call}" for mishap in ("dies_before", "dies_after") for call in ("enqueue", "exchange")),
    *(f"{mishap}: {call}" for mishap in ("dies_before", "dies_after") for call in ("expired", "extend")),
    *(f"{mishap}: {call}" for mishap in ("busy", "full", "broken") for call in ("enqueue", "exchange")),
    *(f"lost_reply: {call}" for call in ("enqueue", "exchange", "expired")),
    *(f"unreachable: {call}" for call in ("enqueue", "exchange", "expired", "extend")),
    *(f"dies: {place}" for place in ("sleep", "slept", "wait", "rung", "call", "returned", "handler")),
    *(f"stalls: {place}" for place in ("sleep", "slept", "wait", "rung", "call", "returned")),
}
"""All of them."""


def situations(play: Play) -> set[str]:
    """Return what was met with in a play."""
    events = list(play.storage.events())
    reached = {what for whats in play.struck.values() for what in whats}
    reached |= {name for event in events for name in _of(event)}
    reached |= set(_of_jobs(events)) | set(_of_clients(play, events))
    told = {"clock": "a process lives by a wrong clock", "gives up": "a worker gives up"}
    reached |= {told[what] for what in reached & told.keys()}
    if play.plot.deaf:
        reached.add("nobody is told of new jobs")
    if not play.struck:
        reached.add("nothing befalls anybody")
    return reached


def _of(event: Event) -> Iterator[str]:
    match event.kind, event.why.outcome, event.why.reason:
        case Kind.DEAD_LETTER, "lost", "exhausted":
            yield "a job is buried as its workers were lost"
        case Kind.DEAD_LETTER, _, "exhausted":
            yield "a job is buried as its attempts are used up"
        case Kind.DEAD_LETTER, _, "not_retryable":
            yield "a job is buried at its first error"
        case Kind.RELEASE, _, _:
            yield "a job is given back"
        case Kind.EXTEND, _, _:
            yield "a lease is renewed"
        case Kind.REFUSE, "succeeded", _:
            yield "a success comes too late"
        case Kind.REFUSE, "lost", _:
            yield "a loss is refused, as the lease was renewed or settled"
        case Kind.REFUSE, "failed", _:
            yield "a failure comes too late"


def _of_jobs(events: Iterable[Event]) -> Iterator[str]:
    """Yield what happens to a job after it was lost."""
    lost: dict[JobId, Event] = {}
    for event in events:
        before = lost.get(event.job)
        if event.why.outcome == LOST and event.kind is Kind.RETRY:
            lost[event.job] = event
        elif before is not None and event.kind is Kind.CLAIM:
            yield "a job is claimed again after its worker was lost"
            if str(event.worker).partition(".")[0] != str(before.worker).partition(".")[0]:
                yield "a lease passes to another worker"
        elif before is not None and event.kind is Kind.SUCCEED:
            yield "a job succeeds after its worker was lost"


def _of_clients(play: Play, events: Iterable[Event]) -> Iterator[str]:
    """Yield what came of an enqueue whose client heard no reply."""
    enqueued = {event.job for event in events if event.kind is Kind.ENQUEUE}
    unheard = {told.job for told in play.clients.told if told.kind is Kind.ENQUEUE and told.kept is None}
    again = [told.job for told in play.clients.told if told.kind is Kind.ENQUEUE]
    for job in unheard & enqueued:
        kept = job not in play.clients.accepted
        yield "an enqueue without a reply was kept" if kept else "an enqueue without a reply was not kept"
        if kept and again.count(job) > 1:
            yield "a client enqueues again what was kept"
