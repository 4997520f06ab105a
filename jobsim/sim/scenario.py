"""The scenario: a simulated world and the policies to compare in it, from Python or a TOML file."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from pydantic import (
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails

from jobsim.core.errors import ConfigError
from jobsim.core.job import DEFAULT_QUEUE, UNLIMITED
from jobsim.core.policy import RetryPolicy
from jobsim.models.arrivals import Arrivals
from jobsim.models.base import Model
from jobsim.models.dependency import Dependency, Server
from jobsim.models.enqueuers import Resubmit
from jobsim.models.failures import FailureField
from jobsim.models.failures_base import Failure
from jobsim.models.failures_phased import disagreements
from jobsim.models.fields import (
    DurationField,
    PositiveField,
    Probability,
    Text,
    default,
    file_context,
)
from jobsim.models.problems import Path, Problem, problems
from jobsim.models.service import Service
from jobsim.models.storage import StorageModel
from jobsim.models.workers import Workers
from jobsim.policies import PRESETS, named
from jobsim.sim.expectations import ExpectationsField
from jobsim.sim.limit_tables import LimitTable
from jobsim.sim.matrix import Matrix
from jobsim.sim.policy_tables import DEFAULT_COMPARE, labelled, read_policies
from jobsim.sim.references import check_partitions, not_there, queues_apart, repeated, wrong
from jobsim.sim.space import Goal
from jobsim.sim.toml_source import TomlSource
from jobsim.sim.trace_table import TABLE, with_trace
from jobsim.sim.tree import check_path, put

SCHEMA: Final = 1
"""The version of the file format that this version of jobsim reads and writes."""


def _policies(value: Any) -> dict[str, RetryPolicy]:
    entries = [value] if isinstance(value, (str, RetryPolicy)) else value
    if isinstance(entries, Mapping):
        pairs = [(str(name), policy) for name, policy in entries.items()]
    elif isinstance(entries, Iterable):
        pairs = [(policy if isinstance(policy, str) else "", policy) for policy in entries]
    else:
        raise ConfigError(f"must be policies or names of presets, not {value!r}")
    found = [(name, named(p) if isinstance(p, str) else p) for name, p in pairs]
    for _, policy in found:
        if not isinstance(policy, RetryPolicy):
            raise ConfigError(f"{policy!r} is neither a RetryPolicy nor the name of a preset")
    labels = Counter(name or policy.label for name, policy in found)
    twice = [label for label, times in labels.items() if times > 1]
    if twice or not found:
        text = f"two policies are called {twice[0]!r}; give each a name" if twice else "none is given"
        raise ConfigError(text)
    return labelled({name or policy.label: policy for name, policy in found})


if TYPE_CHECKING:
    PoliciesLike = Mapping[str, RetryPolicy | str] | Iterable[RetryPolicy | str] | RetryPolicy | str

    class _PoliciesField:
        """Written as policies or names of presets, read as a dict by label, in order."""

        def __get__(self, model: object, owner: type | None = None) -> dict[str, RetryPolicy]: ...
        def __set__(self, model: object, value: PoliciesLike) -> None: ...

else:
    _PoliciesField = Annotated[
        dict[str, RetryPolicy],
        PlainValidator(_policies),
        PlainSerializer(lambda policies: {name: repr(p) for name, p in policies.items()}),
        WithJsonSchema({"type": "object"}),
    ]


class JobClass(Model):
    """One kind of job: when it arrives, how long an attempt takes, and what befalls attempts.

    An attempt ends in the first fault that `failures` find. `max_attempts` is `None` where the policy
    decides. Where no fault strikes, the attempt calls `dependency`, if there is one, and ends as the
    call does: `service` is its time outside the call: the share `before_call` of it (all, unless
    given) before the call, the rest after a good reply. With `resubmit`, whoever enqueues a job does so
    again where it takes too long.
    """

    kind: Text
    queue: Text = DEFAULT_QUEUE
    priority: Annotated[int, Field(strict=True, ge=-(2**31), le=2**31 - 1)] = 0
    max_attempts: Annotated[int, Field(strict=True, ge=1, le=UNLIMITED)] | None = None
    arrivals: Arrivals
    service: Service
    failures: tuple[FailureField, ...] = ()
    dependency: Text | None = None
    before_call: Probability | None = None
    resubmit: Resubmit | None = None

    @field_validator("failures")
    @classmethod
    def _no_capacity(cls, failures: tuple[Failure, ...]) -> tuple[Failure, ...]:
        if any(failure.narrows for failure in failures):
            raise ConfigError("only a dependency has a capacity to lose; write that there, or a factor here")
        return failures


def _failures(dependencies: Iterable[Dependency], jobs: Iterable[JobClass]) -> Iterator[tuple[Path, Failure]]:
    """Yield every failure model, and where pydantic locates it."""
    for index, dependency in enumerate(dependencies):
        if isinstance(dependency, Server):
            for place, model in enumerate(dependency.failures):
                yield ("dependencies", index, dependency.model, "failures", place), model
    for index, job in enumerate(jobs):
        for place, model in enumerate(job.failures):
            yield ("jobs", index, "failures", place), model


class Scenario(Model):
    """A simulated world: streams of jobs, the workers that run them, and the policies to compare.

    Jobs arrive until `horizon`; the run goes on until every job is final, at most `drain` longer. Without
    `storage`, calls to the store take no time and work. `dependencies` are what jobs call: kinds that call
    the same one meet there. `limits` are in force from the start, and beside them the budget and the breaker
    of the policy, for each kind. `expect` is what comparisons are held to, `sweep` what a sweep varies,
    `tune` what a search for a policy is for.
    """

    schema_: Literal[1] = Field(default=SCHEMA, alias="schema")
    name: Text
    description: str = ""
    horizon: PositiveField
    drain: DurationField = default("1d")
    seed: Annotated[int, Field(strict=True)] = 1
    workers: Workers
    storage: StorageModel | None = None
    dependencies: tuple[Dependency, ...] = ()
    jobs: Annotated[tuple[JobClass, ...], Field(min_length=1)]
    limits: tuple[LimitTable, ...] = ()
    policies: _PoliciesField = default(DEFAULT_COMPARE)
    expect: ExpectationsField = default(())
    sweep: Matrix | None = None
    tune: Goal | None = None

    @field_validator("schema_", mode="before")
    @classmethod
    def _known_schema(cls, value: object) -> object:
        if isinstance(value, bool):
            raise ConfigError(f"must be {SCHEMA}, not {value}")
        if isinstance(value, int) and value > SCHEMA:
            raise ConfigError(f"{value} is newer than this version of jobsim, which reads {SCHEMA}")
        return value

    @field_validator("storage")
    @classmethod
    def _known_workers(cls, storage: StorageModel | None, info: ValidationInfo) -> StorageModel | None:
        workers = info.data.get("workers")
        if storage is not None and workers is not None:
            check_partitions(storage.partitions, workers)
        return storage

    @field_validator("dependencies", "jobs", mode="wrap")
    @classmethod
    def _known_by_name(
        cls, value: object, validate: ValidatorFunctionWrapHandler, info: ValidationInfo
    ) -> object:
        if info.field_name == "jobs":
            errors = [*repeated(value, "kind"), *not_there(value, info.data.get("dependencies"))]
        else:
            errors = [*repeated(value, "name")]
        checked = None
        try:
            checked = validate(value)
        except ValidationError as error:
            errors += [
                InitErrorDetails(type=e["type"], loc=e["loc"], input=e["input"], ctx=e.get("ctx", {}))
                for e in error.errors(include_url=False)
            ]
        if errors:
            raise ValidationError.from_exception_data(cls.__name__, errors)
        return checked

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        failures = _failures(self.dependencies, self.jobs)
        errors = [wrong(loc, name, error) for loc, name, error in disagreements(failures)]
        errors += queues_apart(self.workers, self.jobs)
        if errors:
            raise ValidationError.from_exception_data(type(self).__name__, errors)
        return self

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str]) -> Self:
        """Return the scenario that the file at `path` describes.

        Raises:
            ConfigError: the file cannot be read; or what is wrong in it, all at once, line by line.
        """
        return cls._from_source(TomlSource.read(path))

    @classmethod
    def from_text(cls, text: str, name: str = "<scenario>") -> Self:
        """Return the scenario that the TOML `text` describes; `name` is what errors call it.

        Raises:
            ConfigError: what is wrong in it, all at once, line by line.
        """
        return cls._from_source(TomlSource.parse(text, name))

    @staticmethod
    def from_history(source: Any, **options: Any) -> "Scenario":
        """Return a scenario that behaves as an event log did, fitted to it; with ``replay=True``, as it was.

        `source` is the URL of a store, an event log, the result of a simulation, or a table of events; for
        `options`, and for how near the scenario is to the log, see `jobsim.sim.history.fit.fit_history`.

        Raises:
            ConfigError: there is nothing to fit, or an option that cannot be used.
            StorageError: the store cannot be read.
        """
        from jobsim.sim.history.fit import fit_history  # late: only this needs it

        return fit_history(source, **options).scenario

    @classmethod
    def _from_source(cls, source: TomlSource) -> Self:
        data = dict(source.data)
        if not data:
            raise ConfigError(
                f"{source.name}: is empty; a scenario needs name, horizon, [workers] and [[jobs]]"
            )
        policies, found = read_policies(data.pop("compare", None), data.pop("policies", None))
        data["policies"] = policies or DEFAULT_COMPARE
        context = file_context(source.name)
        data, untraced = with_trace(data, context)
        if untraced:
            raise source.error([*found, *untraced])
        try:
            scenario = cls.model_validate(data, context=context)
        except ValidationError as error:
            raise source.error([*found, *problems(error, cls, also=("compare", TABLE))]) from None
        found += scenario.unusable()
        if found:
            raise source.error(found)
        return scenario

    def unusable(self) -> list[Problem]:
        """Return what is wrong with the tables `sweep` and `tune`, which refer to the others."""
        found = []
        try:
            if self.sweep is not None:
                self.sweep.cells(self, from_file=True)
        except ConfigError as error:
            found.append(Problem(("sweep",), str(error)))
        try:
            if self.tune is not None:
                self.tune.check({**PRESETS, **self.policies})
        except ConfigError as error:
            found.append(Problem(("tune",), str(error)))
        return found

    def to_toml(self) -> str:
        """Return the scenario as TOML text that `from_text` reads back as an equal one.

        Raises:
            ConfigError: a backoff, a jitter or a failure model is not one of jobsim's own.
        """
        from jobsim.sim.toml_text import toml_text  # late: only writing needs tomlkit

        return toml_text(self._tree())

    def with_(self, **changes: Any) -> Self:
        """Return the scenario with `changes`, by dotted keys: ``with_(**{"workers.count": 8})``.

        An entry of a list is named by its index, its kind, model or name, as in
        ``"jobs.charge-card.failures.outage.duration"``.

        Raises:
            ConfigError: a key that is not there, or what is wrong with the changed scenario.
        """
        return self.changed(changes)

    def changed(self, changes: Mapping[str, object], *, from_file: bool = False) -> Self:
        """Return the same as `with_`; `from_file`: the values come from a file, so they must name units.

        Raises:
            ConfigError: a key that is not there, or what is wrong with the changed scenario.
        """
        tree: Any = self._tree()
        for key, value in changes.items():
            check_path(key, self.policies)
            tree = put(tree, key, value)
        try:
            return type(self).model_validate(tree, context=file_context("") if from_file else None)
        except ValidationError as error:
            raise ConfigError("\n".join(map(str, problems(error, type(self))))) from None

    def _tree(self) -> dict[str, Any]:
        """Return what the constructor takes, as tables and lists; policies stay objects."""
        return self.model_dump(by_alias=True) | {"policies": self.policies}
