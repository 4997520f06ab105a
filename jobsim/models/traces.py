"""Traces: jobs as they were recorded elsewhere, for a simulation to meet as they were."""

import os
from array import array
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from jobsim.core.errors import ConfigError, did_you_mean
from jobsim.core.events import Numbers
from jobsim.core.time import MAX_DURATION, SECOND, Duration, DurationLike, duration

if TYPE_CHECKING:
    import pandas as pd

Ints = NDArray[np.int64]
Path = str | os.PathLike[str]
Unit = Literal["us", "ms", "s", "min", "h"]

UNKNOWN: Final = -1
"""Stands for what a trace does not tell: a duration, whether a job succeeded, how many attempts it took."""


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """Jobs in the order of their submission, one entry a job in each column; shape of each: (jobs,).

    `submit` and `duration` are microseconds, the former from the beginning of the trace; `kind` numbers
    `kinds`; `ok` is 1 or 0. What is not known is `UNKNOWN`. `skipped` counts the lines that told of no job.
    """

    kinds: tuple[str, ...]
    submit: Ints
    duration: Ints
    kind: Ints
    ok: Ints
    attempts: Ints
    skipped: int = 0

    @classmethod
    def swf(cls, path: Path, kind: str = "queue") -> Self:
        """Return the jobs of a log in the Standard Workload Format 2.2, plain or compressed by gzip.

        A job's kind is made of its field `kind`: queue, user, group, executable or partition; ``"all"``
        makes them one. Lines of partial executions (status 2 to 4) are skipped, since another sums them
        up, and so are jobs that were cancelled before they ran. A job counts as ok where its status is
        1, as failed where it is 0; of one cancelled while it ran nothing is known.
        Source: Parallel Workloads Archive, "The Standard Workload Format" 2.2.

        Raises:
            ConfigError: the file cannot be read; or what is wrong in it, with its line and field.
        """
        from jobsim.models.trace_readers import swf

        return cls._of(swf(path, kind))

    @classmethod
    def azure_2021(cls, path: Path, kind: str = "function") -> Self:
        """Return the invocations of the Azure Functions trace of 2021, plain or compressed by gzip.

        It tells when an invocation ended: it was submitted its duration before. `kind` is ``"function"``
        (written app/func, since a func is unique within its app alone), ``"app"`` or ``"all"``.
        Source: Azure/AzurePublicDataset, AzureFunctionsInvocationTrace2021.md, revision 1.

        Raises:
            ConfigError: the file cannot be read; or what is wrong in it, with its line and column.
        """
        from jobsim.models.trace_readers import azure_2021

        return cls._of(azure_2021(path, kind))

    @classmethod
    def azure_2019(
        cls,
        counts: Path | Sequence[Path],
        durations: Path | Sequence[Path],
        kind: str = "function",
        trigger: str | None = None,
        begin: DurationLike = 0,
        length: DurationLike | None = None,
    ) -> Self:
        """Return invocations as the Azure Functions trace of 2019 counts them, minute by minute.

        `counts` and `durations` are the files ``invocations_per_function_md`` and
        ``function_durations_percentiles``, or one of each a day, in order. Of each minute only the number of
        invocations is known: they are spread over it as a Poisson process would be, by numbers that are
        the same each time. Durations are drawn from the percentiles, between which the quantile
        function is taken as straight. Those are percentiles of averages over 30 seconds, so that
        the spread is less than that of single invocations; cold starts are not in them.

        `kind` is ``"function"``, ``"app"``, ``"trigger"`` or ``"all"``; only functions of `trigger` count
        where it is given, and only minutes that begin within `length` from `begin`, from the first midnight.
        The whole trace has billions of invocations, so that more than ten million are refused.
        Source: Azure/AzurePublicDataset, AzureFunctionsDataset2019.md, revision 2.

        Raises:
            ConfigError: a file cannot be read; what is wrong in it, with its line and column; or too many
                invocations.
        """
        from jobsim.models.trace_azure import azure_2019

        until = MAX_DURATION if length is None else duration(length, "length")
        return cls._of(azure_2019(counts, durations, kind, trigger, duration(begin, "begin"), until))

    @classmethod
    def csv(cls, path: Path, columns: Mapping[str, str] | None = None, unit: Unit = "s") -> Self:
        """Return the jobs of a CSV file with a header, plain or compressed by gzip.

        Commas, tabs or semicolons part the columns. `columns` says what the file calls ``submit`` (or
        ``end``, from which the duration is then taken off), ``duration``, ``kind``, ``ok`` and
        ``attempts``; only the first must be there, and by default they are called so. Times are numbers of
        `unit`, ISO 8601 (UTC where no time zone is told), or durations with their unit. What an empty
        cell tells is not known.

        Raises:
            ConfigError: the file cannot be read; or what is wrong in it, with its line and column.
        """
        from jobsim.models.trace_readers import csv_file

        return cls._of(csv_file(path, columns, unit))

    @classmethod
    def parquet(cls, path: Path, columns: Mapping[str, str] | None = None, unit: Unit = "s") -> Self:
        """Return the jobs of a Parquet file; see `csv` for `columns` and `unit`. It is read in batches.

        Raises:
            ConfigError: the file cannot be read, or pyarrow is not installed; or what is wrong in it, with
                its row (from 1) and column.
        """
        from jobsim.models.trace_readers import parquet_file

        return cls._of(parquet_file(path, columns, unit))

    @classmethod
    def _of(cls, recorder: "Recorder") -> Self:
        """Return what was collected, by submission; jobs submitted together keep the file's order."""
        submit = np.array(recorder.submit)
        order = np.argsort(submit, kind="stable")
        zero = recorder.zero if recorder.zero is not None else submit.min(initial=np.iinfo(np.int64).max)
        columns = {
            name: np.array(getattr(recorder, name), np.int64)[order]
            for name in ("duration", "kind", "ok", "attempts")
        }
        kinds = tuple(recorder.kinds)
        return cls(kinds=kinds, submit=submit[order] - zero, skipped=recorder.skipped, **columns)

    def __len__(self) -> int:
        return len(self.submit)

    def __repr__(self) -> str:
        return f"<Trace of {len(self):,} jobs of {len(self.kinds)} kinds in {self.length}>"

    @property
    def length(self) -> Duration:
        """From the beginning until just after the last submission."""
        return Duration(int(self.submit[-1]) + 1 if len(self) else 0)

    def window(self, begin: DurationLike = 0, length: DurationLike | None = None) -> Self:
        """Return the jobs submitted within `length` from `begin`, which is where the new trace begins."""
        start = duration(begin, "begin")
        end = start + (MAX_DURATION if length is None else duration(length, "length"))
        inside = slice(*np.searchsorted(self.submit, [start, end]).tolist())
        return self._rows(inside, self.submit[inside] - start)

    def of(self, kinds: Collection[str]) -> Self:
        """Return the jobs of some kinds.

        Raises:
            ConfigError: there is no such kind.
        """
        wanted = [self.number(kind) for kind in dict.fromkeys(kinds)]
        return self._rows(np.isin(self.kind, wanted), self.submit[np.isin(self.kind, wanted)])

    def faster(self, factor: float) -> Self:
        """Return the trace with `factor` times the arrivals a second; each job takes as long as it did.

        Raises:
            ConfigError: the factor is not a number above zero.
        """
        if not 0 < factor < float("inf"):
            raise ConfigError(f"speed: must be a number above zero, not {factor!r}")
        return replace(self, submit=np.rint(self.submit / factor).astype(np.int64))

    def _rows(self, which: "slice | NDArray[np.bool_]", submit: Ints) -> Self:
        """Return some of the jobs; of their kinds, those that are left."""
        left, kind = np.unique(self.kind[which], return_inverse=True)
        return replace(
            self,
            kinds=tuple(self.kinds[number] for number in left),
            submit=submit,
            duration=self.duration[which],
            kind=kind.astype(np.int64),
            ok=self.ok[which],
            attempts=self.attempts[which],
        )

    def number(self, kind: str) -> int:
        """Return the place of `kind` in `kinds`.

        Raises:
            ConfigError: there is no such kind.
        """
        if kind in self.kinds:
            return self.kinds.index(kind)
        some = ", ".join(self.kinds[:5]) + (", ..." if len(self.kinds) > 5 else "")
        raise ConfigError(
            f"the trace has no kind {kind!r}{did_you_mean(kind, self.kinds)}; there are: {some}"
        )

    def frame(self) -> "pd.DataFrame":
        """Return one row a job: `submit_s`, `duration_s`, `kind`, `ok`, `attempts`; NaN or NA: not known."""
        import pandas as pd

        return pd.DataFrame(
            {
                "submit_s": self.submit / SECOND,
                "duration_s": np.where(self.duration == UNKNOWN, np.nan, self.duration / SECOND),
                "kind": np.array(self.kinds, dtype=object)[self.kind],
                "ok": pd.Series(self.ok == 1, dtype="boolean").mask(self.ok == UNKNOWN),
                "attempts": pd.Series(self.attempts, dtype="Int64").mask(self.attempts == UNKNOWN),
            }
        )


class Recorder:
    """Collects the jobs of a trace one by one, in 25 bytes each; `zero` is where it begins, if known."""

    def __init__(self, zero: int | None = None) -> None:
        self.zero = zero
        self.skipped = 0
        self.kinds: list[str] = []
        self.kind_numbers: Final = Numbers(self.kinds)
        self.submit, self.duration = array("q"), array("q")
        self.kind, self.attempts, self.ok = array("i"), array("i"), array("b")

    def add(self, submit: int, duration: int, kind: str, ok: int, attempts: int) -> None:
        """Add a job; times in microseconds, submitted at a moment on any scale."""
        self.submit.append(submit)
        self.duration.append(duration)
        self.kind.append(self.kind_numbers[kind])
        self.ok.append(ok)
        self.attempts.append(attempts)

    def extend(self, submit: Ints, duration: Ints, kind: str) -> None:
        """Add many jobs of one kind, of which nothing else is known."""
        count = len(submit)
        self.submit.frombytes(submit.astype(np.int64).tobytes())
        self.duration.frombytes(duration.astype(np.int64).tobytes())
        self.kind.extend([self.kind_numbers[kind]] * count)
        self.ok.extend([UNKNOWN] * count)
        self.attempts.extend([UNKNOWN] * count)
