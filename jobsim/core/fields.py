"""Dataclass fields that people write in one type and code reads in another.

Type checkers see a descriptor, whose setter is what the constructor takes; at run time there is none:
the dataclass converts what was written when it is made.
"""

from typing import TYPE_CHECKING, Any

from jobsim.core.time import Duration, DurationLike


def default(written: object) -> Any:
    """Return `written` as the default of a field that reads back as another type than it is written."""
    return written


if TYPE_CHECKING:

    class DurationField:
        """Written as a `DurationLike`, read as a `Duration`."""

        def __get__(self, owner: object, kind: type | None = None) -> Duration: ...
        def __set__(self, owner: object, value: DurationLike) -> None: ...

    class OptionalDurationField:
        """Written as a `DurationLike` or `None`, read as a `Duration` or `None`."""

        def __get__(self, owner: object, kind: type | None = None) -> Duration | None: ...
        def __set__(self, owner: object, value: DurationLike | None) -> None: ...

else:
    DurationField = DurationLike
    OptionalDurationField = DurationLike | None
