"""Names in a scenario: none is given twice, and what is referred to is there."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from pydantic_core import InitErrorDetails

from jobsim.core.errors import ConfigError, did_you_mean
from jobsim.models.base import Model
from jobsim.models.dependency import Dependency
from jobsim.models.problems import Path
from jobsim.models.storage import Partition
from jobsim.models.workers import Workers


class Queued(Protocol):
    """What is on a queue."""

    @property
    def queue(self) -> str:
        """The name of the queue."""
        ...


def _written(entries: object) -> list[dict[str, Any]]:
    """Return the fields of the written `entries`, as far as they are such."""
    known = entries if isinstance(entries, (list, tuple)) else ()
    return [e if isinstance(e, dict) else dict(e) if isinstance(e, Model) else {} for e in known]


def wrong(loc: Path, value: object, text: str) -> InitErrorDetails:
    """Return the problem of a `value` that stands at `loc`, as pydantic tells it."""
    return InitErrorDetails(type="value_error", loc=loc, input=value, ctx={"error": text})


def repeated(entries: object, key: str) -> Iterator[InitErrorDetails]:
    """Yield what is wrong with those of `entries` that are called by their `key` as an earlier one is."""
    seen = set()
    for index, entry in enumerate(_written(entries)):
        name = entry.get(key)
        if isinstance(name, str):
            if name in seen:
                tag = [str(entry["model"])] if "model" in entry else []
                yield wrong((index, *tag, key), name, f"{name!r} is there twice")
            seen.add(name)


def check_partitions(partitions: Iterable[Partition], workers: Workers) -> None:
    """Refuse `partitions` that are of workers, or of groups, that are not there.

    Raises:
        ConfigError: one is.
    """
    groups = [group.name for group in workers.groups]
    for partition in partitions:
        for number in partition.workers:
            if workers.autoscale is None and number > workers.count:
                raise ConfigError(f"partitions: there is no worker {number}, only {workers.count}")
        for name in partition.groups:
            if name not in groups:
                hint = did_you_mean(name, groups) or f"; there are: {', '.join(groups) or 'none'}"
                raise ConfigError(f"partitions: no group of workers is called {name!r}{hint}")


def queues_apart(workers: Workers, jobs: Sequence[Queued]) -> Iterator[InitErrorDetails]:
    """Yield which of `jobs` no worker serves, and which queues of `workers` no job is on."""
    used = list(dict.fromkeys(job.queue for job in jobs))
    served = [queue for crew in workers.crews for queue in (used if crew.queues is None else crew.queues)]
    for index, job in enumerate(jobs):
        if job.queue not in served:
            hint = did_you_mean(job.queue, served) or f"; served are: {', '.join(served)}"
            text = f"no worker serves {job.queue!r}{hint}"
            yield wrong(("jobs", index, "queue"), job.queue, text)
    for place, crew in enumerate(workers.crews):
        where: Path = ("workers", "groups", place - 1) if place else ("workers",)
        for index, queue in enumerate(crew.queues or ()):
            if queue not in used:
                hint = did_you_mean(queue, used) or f"; there are: {', '.join(used)}"
                text = f"no job is on a queue called {queue!r}{hint}"
                yield wrong((*where, "queues", index), queue, text)


def not_there(jobs: object, dependencies: Iterable[Dependency] | None) -> Iterator[InitErrorDetails]:
    """Yield what is wrong with those of the written `jobs` that call a dependency that is not there.

    `None` for the dependencies: nothing can be said, since something is wrong with them.
    """
    if dependencies is None:
        return
    known = [dependency.name for dependency in dependencies]
    for index, job in enumerate(_written(jobs)):
        name = job.get("dependency")
        if isinstance(name, str) and name and name not in known:
            hint = did_you_mean(name, known) or f"; there are: {', '.join(known) or 'none'}"
            text = f"no dependency is called {name!r}{hint}"
            yield wrong((index, "dependency"), name, text)
