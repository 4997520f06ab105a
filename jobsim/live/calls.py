"""Calls on their way to a queue: each is a payload and its keys; many of them go batch by batch."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from jobsim.core.checks import check_count
from jobsim.core.errors import ConfigError, JobsimError, PayloadError
from jobsim.core.job import JobId
from jobsim.live.keys import Key
from jobsim.live.placement import Placement
from jobsim.live.terms import Terms

T = TypeVar("T")


class Call(NamedTuple):
    """What is stored of one call: its arguments as JSON text, and the keys that they give."""

    payload: str
    unique_key: str | None = None
    limit_key: str = ""


def call_of(
    payload: str, arguments: Callable[[], Mapping[str, Any]], placement: Placement, terms: Terms
) -> Call:
    """Return the call whose `arguments` the `payload` spells; they are read where a key needs them.

    Raises:
        PayloadError: an argument that a key is made of is missing.
        ConfigError: a key cannot be used.
    """
    unique = Key.of(placement.unique_key or terms.unique_key, "unique_key")
    limit = Key.of(placement.limit_key or terms.limit_key, "limit_key")
    if unique is None and placement.on_conflict is not None:
        raise ConfigError("on_conflict: it says what a taken unique_key means; give that, too")
    if unique is None and limit is None:
        return Call(payload)
    values = arguments()
    return Call(
        payload,
        None if unique is None else unique.for_call(values),
        (None if limit is None else limit.for_call(values)) or "",
    )


def calls_of(calls: Iterable[Mapping[str, Any]], read: Callable[[Mapping[str, Any]], Call]) -> Iterator[Call]:
    """Yield what `read` makes of each of `calls`, one at a time.

    Raises:
        PayloadError: of the first that cannot be stored, with its place where there are several.
        ConfigError: of the first whose key cannot be used, likewise.
    """
    if isinstance(calls, Mapping):
        raise PayloadError(
            "the calls must be several mappings of arguments by name, not one; put it in a list"
        )
    rest = iter(calls)
    for number, call in enumerate(rest):
        try:
            made = read(_mapping(call))
        except (PayloadError, ConfigError) as error:
            alone = not number and next(rest, None) is None
            raise type(error)(f"{'' if alone else f'call {number}: '}{error}") from None
        yield made


def _mapping(call: object) -> Mapping[str, Any]:
    if not isinstance(call, (dict, Mapping)):  # what it mostly is, is quickly seen
        raise PayloadError(f"must be a mapping of arguments by name, not {call!r}")
    return call


def in_batches(calls: Iterable[T], size: int, take: Callable[[list[T]], list[JobId]]) -> list[JobId]:
    """Let `take` have all `calls`, `size` at a time, and return the ids it gave them.

    An error says in the end how many were taken before; those stay so.

    Raises:
        ConfigError: `size` is no number of calls.
    """
    check_count(size, "batch")
    ids: list[JobId] = []
    rest = iter(calls)
    try:
        while batch := list(islice(rest, size)):
            ids += take(batch)
    except JobsimError as error:
        raise type(error)(f"{error}; {_so_far(ids)}") from error
    except Exception as error:
        error.add_note(f"enqueue_many: {_so_far(ids)}")
        raise
    return ids


def _so_far(ids: list[JobId]) -> str:
    return f"the first {len(ids):,} calls are enqueued, no others" if ids else "nothing was enqueued"
