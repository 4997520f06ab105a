"""The ``[trace]`` of a scenario's file: every kind of a recorded trace as a kind of job."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from jobsim.core.errors import ConfigError
from jobsim.models.fields import Text
from jobsim.models.problems import Problem, problems
from jobsim.models.recorded import TraceFile
from jobsim.models.traces import Trace

TABLE: Final = "trace"


class TraceTable(TraceFile):
    """A `TraceFile`, of which only `kinds` count (`None`: all)."""

    kinds: tuple[Text, ...] | None = None


def with_trace(data: dict[str, Any], context: dict[str, Path]) -> tuple[dict[str, Any], list[Problem]]:
    """Return a scenario's `data` with the kinds of its trace among its jobs, and what is wrong with it.

    A kind that ``[[jobs]]`` describes, too, takes from the trace what is not said there, be it arrivals or
    service; the others are added. Without a horizon, it is the trace's length.
    """
    if TABLE not in data:
        return data, []
    written = data[TABLE]
    data = {key: value for key, value in data.items() if key != TABLE}
    try:
        table = TraceTable.model_validate(written, context=context)
        trace = table.load()
        trace = trace if table.kinds is None else trace.of(table.kinds)
    except ValidationError as error:
        return data, [Problem((TABLE, *p.path), p.text) for p in problems(error, TraceTable)]
    except ConfigError as error:
        return data, [Problem((TABLE,), str(error))]
    if not len(trace):
        return data, [Problem((TABLE,), "has no job in that part")]
    source = {key: value for key, value in written.items() if key != "kinds"}
    jobs = data.get("jobs", [])
    if isinstance(jobs, list):
        data["jobs"] = list(_jobs(jobs, trace, source))
    return {"horizon": str(trace.length)} | data, []


def _jobs(jobs: list[Any], trace: Trace, source: dict[str, Any]) -> Iterator[Any]:
    left = dict.fromkeys(trace.kinds)
    for job in jobs:
        kind = job.get("kind") if isinstance(job, dict) else None
        if isinstance(kind, str) and kind in left:
            del left[kind]
            yield _recorded(kind, source) | job
        else:
            yield job
    yield from ({"kind": kind, **_recorded(kind, source)} for kind in left)


def _recorded(kind: str, source: dict[str, Any]) -> dict[str, Any]:
    own = {"trace": source, "kind": kind}
    return {"arrivals": {"process": "replay", **own}, "service": {"dist": "replay", **own}}
