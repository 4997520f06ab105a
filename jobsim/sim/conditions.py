"""The conditions of a run: what its failure models have begun, and the numbers they decide by."""

from collections.abc import Iterator, Sequence

from jobsim.core.streams import Purpose, Streams
from jobsim.models.failures_base import Condition, Failure
from jobsim.models.failures_phased import Phased
from jobsim.sim.draws import Draw


def begun(failures: Sequence[Failure], streams: Streams, owner: str) -> list[Condition]:
    """Return what `failures` begin in the run of `streams`, for `owner` alone but for those with a name."""
    return [_condition(model, streams, f"{owner}:{place}") for place, model in enumerate(failures)]


def _condition(model: Failure, streams: Streams, owner: str) -> Condition:
    shared = model.name if isinstance(model, Phased) else None
    course = f"{Purpose.COURSE}:{owner}" if shared is None else f"{Purpose.COURSE}@{shared}"
    return model.begin(streams.numbers_in_order(course))


def drawn(failures: Sequence[Failure], purpose: str) -> Iterator[Draw]:
    """Yield what is drawn for each of `failures`."""
    return (Draw(f"{purpose}:{place}", model.of_job) for place, model in enumerate(failures))
