"""What every model is: a frozen pydantic model whose errors are `ConfigError`s in plain sentences."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from jobsim.core.errors import ConfigError
from jobsim.core.time import Duration
from jobsim.models.problems import problems

Uniform = Callable[[int], float]
"""The n-th uniform number on [0, 1), n from 0: a function of n alone, whatever was asked before."""


class Model(BaseModel):
    """A frozen value that refuses unknown fields.

    Raises:
        ConfigError: a field is missing, unknown or unusable; a line for each.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_default=True,
        validate_by_name=True,
        validate_by_alias=True,
        arbitrary_types_allowed=True,
    )

    if not TYPE_CHECKING:  # type checkers know each model's own fields

        def __init__(self, **values: Any) -> None:
            try:
                super().__init__(**values)
            except ValidationError as error:
                name = type(self).__name__
                found = problems(error, type(self))
                lines = [f"{name}.{problem}" if problem.path else f"{name}: {problem}" for problem in found]
                raise ConfigError("\n".join(lines)) from None

        # Else pydantic would build nested models through it too, and lose where their errors lie.
        __init__.__pydantic_base_init__ = True

    def files(self) -> Iterator[str]:
        """Yield the paths of the files whose content belongs to it, and to the models in it."""
        for _, value in self:
            for part in value if isinstance(value, tuple) else (value,):
                if isinstance(part, Model):
                    yield from part.files()

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Yield what a reader would write: no discriminator, nothing absent, durations as text."""
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if value is not None and get_origin(field.annotation) is not Literal:
                yield field.alias or name, str(value) if isinstance(value, Duration) else value
