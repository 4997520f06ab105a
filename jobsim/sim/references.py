"""Names in a scenario: none is given twice, and what is referred to is there."""

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic_core import InitErrorDetails

from jobsim.core.errors import did_you_mean
from jobsim.models.base import Model
from jobsim.models.dependency import Dependency
from jobsim.models.problems import Path


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
