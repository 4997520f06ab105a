"""Traces recorded elsewhere: every format leads to the same columns."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from jobsim.core.errors import ConfigError
from jobsim.core.time import SECOND, Duration
from jobsim.models.traces import UNKNOWN, Trace

File = Callable[..., Path]

SWF = """\
; Version: 2.2
; UnixStartTime: 850000000
; Note: \xe9crit \xe0 la main
    1  10  5  120  8  -1.5 -1  8  200 -1  1  3  1  7  0  1 -1 -1
    2  10  0   30  1  -1   -1  1   60 -1  0  4  1  7  2  1 -1 -1
    3  40  0   -1  1  -1   -1  1   60 -1  5  4  1  7  2  1 -1 -1
    4  41  0    9  1  -1   -1  1   60 -1  5  4  1  7  2  1  2 17

    5  42  0    8  1  -1   -1  1   60 -1  2  4  1  7  2  1 -1 -1
    5  42  0    9  1  -1   -1  1   60 -1  3  4  1  7  2  1 -1 -1
    5  42  0   17  1  -1   -1  1   60 -1  1  4  1  7  2  1 -1 -1
    6  70  0   -1  1  -1   -1  1   60 -1 -1  4  1  7 -1  1 -1 -1
"""


@pytest.fixture
def file(tmp_path: Path) -> File:
    """Write a text to a file, in the gzip format where its name says so."""

    def write(name: str, text: str, encoding: str = "utf-8") -> Path:
        path = tmp_path / name
        data = text.encode(encoding)
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return write


def seconds(trace: Trace) -> list[tuple[float, float, str, int, int]]:
    """Return the jobs of a trace as tuples, times in seconds."""
    columns = (trace.submit / SECOND, trace.duration / SECOND, trace.kind, trace.ok, trace.attempts)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return [(at, takes, trace.kinds[kind], ok, tries) for at, takes, kind, ok, tries in rows]


@pytest.mark.parametrize("name", ["log.swf", "log.swf.gz"])
def test_swf_takes_each_field_from_its_place(file: File, name: str) -> None:
    """Submission, run time, status and queue are fields 2, 4, 11 and 15; -1 is not known."""
    trace = Trace.swf(file(name, SWF, "latin-1"))
    assert seconds(trace) == [
        (0, 120, "queue-0", 1, UNKNOWN),
        (0, 30, "queue-2", 0, UNKNOWN),
        (31, 9, "queue-2", UNKNOWN, UNKNOWN),
        (32, 17, "queue-2", 1, UNKNOWN),
        (60, UNKNOWN / SECOND, "queue-unknown", UNKNOWN, UNKNOWN),
    ]


def test_swf_skips_what_is_no_job_of_its_own(file: File) -> None:
    """Partial executions are summed up by another line; what was cancelled before it ran took nothing."""
    assert Trace.swf(file("log.swf", SWF, "latin-1")).skipped == 3


@pytest.mark.parametrize(
    ("kind", "kinds"),
    [
        ("user", {"user-3", "user-4"}),
        ("group", {"group-1"}),
        ("executable", {"executable-7"}),
        ("partition", {"partition-1"}),
        ("all", {"job"}),
    ],
)
def test_swf_kind_is_the_field_asked_for(file: File, kind: str, kinds: set[str]) -> None:
    """Each of the fields that tell jobs apart can be the kind; one asks for none with all."""
    assert set(Trace.swf(file("log.swf", SWF, "latin-1"), kind).kinds) == kinds


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1 2 3", "has 3 fields, not the format's 18"),
        ("1 x 0 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "field 2 (submit time): 'x' is not a number"),
        ("1 -1 0 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "field 2 (submit time): is not known"),
        ("1 1 0 -7 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "field 4 (run time): -7.0 is negative"),
        ("1 1 0 9s 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "field 4 (run time): '9s' is not a number"),
        ("1 inf 0 9 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "field 2 (submit time): 'inf' is not a time"),
        ("1 1 0 1 1 1 1 1 1 1 1 1 1 1 q 1 1 1", "field 15 (queue): invalid literal"),
    ],
)
def test_swf_error_names_file_line_and_field(file: File, line: str, said: str) -> None:
    """What cannot be read is told with its place, and nothing is made of the rest."""
    path = file("bad.swf", f"; a comment\n{line}\n")
    with pytest.raises(ConfigError) as caught:
        Trace.swf(path)
    assert str(caught.value).startswith(f"{path}:2: {said}")


AZURE_2021 = """\
app,func,end_timestamp,duration
a1,f1,10.5,0.5
a2,f1,10.25,2
a1,f2,12,0
"""


@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_azure_2021_invocation_is_submitted_its_duration_before_its_end(file: File, delimiter: str) -> None:
    """Start is end minus duration, which changes the order; a func is a kind within its app."""
    trace = Trace.azure_2021(file("trace.txt.gz", AZURE_2021.replace(",", delimiter)))
    assert seconds(trace) == [
        (0, 2, "a2/f1", UNKNOWN, UNKNOWN),
        (1.75, 0.5, "a1/f1", UNKNOWN, UNKNOWN),
        (3.75, 0, "a1/f2", UNKNOWN, UNKNOWN),
    ]


def test_azure_2021_kind_may_be_the_app_or_one_for_all(file: File) -> None:
    """The functions of an app, or all, can be taken together."""
    path = file("trace.txt", AZURE_2021)
    assert set(Trace.azure_2021(path, "app").kinds) == {"a1", "a2"}
    assert Trace.azure_2021(path, "all").kinds == ("job",)


def test_azure_2021_needs_its_durations(file: File) -> None:
    """An invocation of which only the end is known cannot be placed."""
    path = file("trace.txt", AZURE_2021 + "a1,f1,13,\n")
    with pytest.raises(ConfigError, match=r":5: .*only the end is known needs its duration"):
        Trace.azure_2021(path)


def azure_2019(
    file: File, counts: dict[str, dict[int, int]], percentiles: str = "0,1,25,50,75,99,100"
) -> tuple[Path, Path]:
    """Write a day of the trace of 2019: invocations by function and minute (from 1)."""
    head = "HashOwner,HashApp,HashFunction,Trigger," + ",".join(map(str, range(1, 1441)))
    rows = [
        f"o,a,{name.partition(':')[0]},{name.partition(':')[2]},"
        + ",".join(str(by.get(m, 0)) for m in range(1, 1441))
        for name, by in counts.items()
    ]
    names = ",".join(f"percentile_Average_{p}" for p in (0, 1, 25, 50, 75, 99, 100))
    known = [
        f"HashOwner,HashApp,HashFunction,Average,Count,Minimum,Maximum,{names}",
        f"o,a,f1,1,1,1,1,{percentiles}",
    ]
    return file("counts.csv", "\n".join([head, *rows, ""])), file("durations.csv", "\n".join([*known, ""]))


def test_azure_2019_invocations_fall_into_their_minutes(file: File) -> None:
    """Each minute, counted from 1, has as many submissions as the file says."""
    trace = Trace.azure_2019(*azure_2019(file, {"f1:queue": {1: 3, 1440: 2}, "f2:http": {2: 1}}))
    minutes = np.bincount(trace.submit // (60 * SECOND), minlength=1440)
    assert minutes[[0, 1, 1439]].tolist() == [3, 1, 2]
    assert trace.kinds == ("f1", "f2")


def test_azure_2019_submissions_spread_evenly_over_their_minute(file: File) -> None:
    """Within a minute they come as a Poisson process of that number would."""
    trace = Trace.azure_2019(*azure_2019(file, {"f1:queue": {1: 2_000}}))
    assert stats.kstest(trace.submit / (60 * SECOND), "uniform").pvalue > 0.01


def test_azure_2019_durations_follow_the_percentiles(file: File) -> None:
    """They are milliseconds, straight between the percentiles; a function without them has none."""
    files = azure_2019(file, {"f1:queue": {1: 4_000}, "f2:queue": {1: 1}}, "100,200,400,800,1600,3200,6400")
    trace = Trace.azure_2019(*files)
    takes = trace.of(["f1"]).duration / 1_000
    assert np.quantile(takes, [0.25, 0.5, 0.75]) == pytest.approx([400, 800, 1600], rel=0.1)
    assert takes.min() >= 100
    assert takes.max() <= 6400
    assert trace.of(["f2"]).duration.tolist() == [UNKNOWN]


def test_azure_2019_window_and_trigger_choose(file: File) -> None:
    """Only minutes that begin in the window count, from its beginning, and only functions of the trigger."""
    files = azure_2019(file, {"f1:queue": {1: 9, 61: 3, 121: 9}, "f2:http": {61: 5}})
    trace = Trace.azure_2019(*files, trigger="queue", begin="1h", length="1h")
    assert len(trace) == 3
    assert trace.submit.max() < 60 * SECOND


def test_azure_2019_days_follow_each_other(file: File) -> None:
    """A second pair of files is the second day."""
    counts, durations = azure_2019(file, {"f1:queue": {1: 1}})
    trace = Trace.azure_2019([counts, counts], [durations, durations])
    assert (trace.submit // (60 * SECOND)).tolist() == [0, 1440]


def test_azure_2019_is_the_same_whenever_it_is_read(file: File) -> None:
    """What the trace leaves open is filled by the same numbers each time."""
    files = azure_2019(file, {"f1:queue": {1: 50}})
    assert seconds(Trace.azure_2019(*files)) == seconds(Trace.azure_2019(*files))


def test_azure_2019_refuses_more_than_fits(file: File) -> None:
    """Billions of invocations are refused before they fill the memory, with what to do."""
    files = azure_2019(file, {"f1:queue": {1: 9_999_999, 2: 2}})
    with pytest.raises(ConfigError, match=r"more than 10,000,000 invocations; choose some by trigger"):
        Trace.azure_2019(*files)


def test_azure_2019_errors_name_line_and_column(file: File) -> None:
    """A count that is none, and a duration that is none, are told with their place."""
    counts, durations = azure_2019(file, {"f1:queue": {2: 1}})
    broken = file("broken.csv", counts.read_text(encoding="utf-8").replace("queue,0,1,", "queue,0,x,"))
    with pytest.raises(ConfigError, match=r"broken\.csv:2: column '2': 'x' is not a number of invocations"):
        Trace.azure_2019(broken, durations)
    worse = file("worse.csv", durations.read_text(encoding="utf-8").replace(",25,", ",many,"))
    with pytest.raises(ConfigError, match=r"worse\.csv:2: column 'percentile_Average_25': 'many' is not a"):
        Trace.azure_2019(counts, worse)
    with pytest.raises(ConfigError, match=r"durations\.csv:1: there is no column 'Trigger'"):
        Trace.azure_2019(durations, durations)


def test_csv_columns_may_have_any_name_and_unit(file: File) -> None:
    """What the file calls a column, and in which unit it counts, is told once."""
    path = file("jobs.csv", "id;created;ms;queue;fine;tries\n1;5000;250;mail;yes;2\n2;4000;;sms;no;\n")
    columns = {"submit": "created", "duration": "ms", "kind": "queue", "ok": "fine", "attempts": "tries"}
    assert seconds(Trace.csv(path, columns, unit="ms")) == [
        (0, UNKNOWN / SECOND, "sms", 0, UNKNOWN),
        (1, 0.25, "mail", 1, 2),
    ]


def test_csv_needs_no_more_than_submissions(file: File) -> None:
    """A list of moments is a trace, of one kind, of which nothing else is known."""
    trace = Trace.csv(file("jobs.csv", "submit\n3.5\n1\n"))
    assert seconds(trace) == [(0, UNKNOWN / SECOND, "job", -1, -1), (2.5, UNKNOWN / SECOND, "job", -1, -1)]


def test_csv_times_may_be_dates_and_durations_texts(file: File) -> None:
    """ISO 8601 with and without time zone, and durations with their unit, are read as such."""
    rows = ("submit,duration", "2026-03-01T12:00:00Z,1m30s", "2026-03-01 12:00:01.5,250ms")
    path = file("jobs.csv", "\n".join((*rows, "2026-03-01T14:00:02+02:00,0")))
    assert [row[:2] for row in seconds(Trace.csv(path))] == [(0, 90), (1.5, 0.25), (2, 0)]


@pytest.mark.parametrize(
    ("text", "columns", "said"),
    [
        ("", None, ":1: there is no column 'submit'"),
        ("submitted\n1\n", None, ":1: there is no column 'submit' (did you mean 'submitted'?)"),
        ("submit\n1\nx\n", None, ":3: column 'submit': 'x' is neither a number nor a date and time"),
        ("submit,ok\n1,true\n2,maybe\n", None, ":3: column 'ok': 'maybe' is neither true nor false"),
        ("submit,duration\n1,5 parsecs\n", None, ":2: column 'duration': '5 parsecs' is not a duration"),
        ("submit,duration\n1\n", None, ":2: column 'duration': is missing; the row has 1 columns"),
        ("submit,attempts\n1,1.5\n", None, ":2: column 'attempts': '1.5' is not a number of attempts"),
        ("submit,kind\n1,\n", None, ":2: column 'kind': is empty"),
        ('submit,kind\n1,"a\n', None, ":2: not CSV"),
        ("t\n1\n", {"start": "t"}, "columns: 'start' is not one of submit, end, duration"),
        ("t\n1\n", {"end": "t"}, "columns: with end, duration is needed"),
        ("t\n1\n", {"duration": "t"}, "columns: must name either submit or end"),
    ],
)
def test_csv_error_says_where_and_what(
    file: File, text: str, columns: dict[str, str] | None, said: str
) -> None:
    """What is wrong is told with file, line and column, or the option that is."""
    path = file("jobs.csv", text)
    with pytest.raises(ConfigError) as caught:
        Trace.csv(path, columns)
    assert str(caught.value).removeprefix(str(path)).startswith(said)


def test_parquet_reads_what_pandas_writes(tmp_path: Path) -> None:
    """Timestamps, durations, booleans and missing values come as the types that Parquet has."""
    path = tmp_path / "jobs.parquet"
    table = pd.DataFrame(
        {
            "at": pd.to_datetime(["2026-03-01T12:00:01Z", "2026-03-01T12:00:00.25Z"], format="ISO8601"),
            "took": pd.to_timedelta([1500, None], unit="ms"),
            "what": ["b", "a"],
            "fine": pd.array([True, None], dtype="boolean"),
        }
    )
    table.to_parquet(path)
    trace = Trace.parquet(path, {"submit": "at", "duration": "took", "kind": "what", "ok": "fine"})
    assert seconds(trace) == [(0, UNKNOWN / SECOND, "a", -1, -1), (0.75, 1.5, "b", 1, -1)]


def test_parquet_error_names_row_and_column(tmp_path: Path) -> None:
    """A value that cannot be read is told with its row, from 1, and its column."""
    path = tmp_path / "jobs.parquet"
    pd.DataFrame({"submit": [1.0, 2.0], "duration": [1.0, -3.0]}).to_parquet(path)
    with pytest.raises(ConfigError, match=r"jobs\.parquet: row 2: column 'duration': -3\.0 is negative"):
        Trace.parquet(path)
    path.write_bytes(b"no parquet at all")
    with pytest.raises(ConfigError, match=r"jobs\.parquet: is not a Parquet file"):
        Trace.parquet(path)


@pytest.mark.parametrize("read", [Trace.swf, Trace.azure_2021, Trace.csv, Trace.parquet])
def test_trace_that_is_not_there_is_named(tmp_path: Path, read: Callable[[Path], Trace]) -> None:
    """A missing file is told by name, with the one that was likely meant."""
    (tmp_path / "trace.dat").touch()
    with pytest.raises(
        ConfigError, match=r"trce\.dat: there is no such file \(did you mean 'trace\.dat'\?\)"
    ):
        read(tmp_path / "trce.dat")


def test_trace_that_is_cut_off_is_refused(file: File) -> None:
    """A gzip file that ends too early is no shorter trace."""
    path = file("log.swf.gz", SWF * 50, "latin-1")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ConfigError, match=r"log\.swf\.gz: its gzip data is cut off"):
        Trace.swf(path)


def test_trace_that_is_no_text_is_refused(file: File) -> None:
    """A file in another encoding is said to be one."""
    with pytest.raises(ConfigError, match=r"is not UTF-8 text \(byte 0xe9\)"):
        Trace.csv(file("jobs.csv", "submit,kind\n1,\xe9\n", "latin-1"))


@pytest.fixture
def trace(file: File) -> Trace:
    """Six jobs of two kinds, ten seconds apart."""
    rows = "".join(f"{10 * i},{i},{'ab'[i % 2]}\n" for i in range(6))
    return Trace.csv(file("jobs.csv", f"submit,duration,kind\n{rows}"))


def test_window_begins_anew_and_ends_before_its_end(trace: Trace) -> None:
    """A window has the jobs from its beginning until just before its end, counted from the former."""
    window = trace.window("10s", "20s")
    assert [row[:3] for row in seconds(window)] == [(0, 1, "b"), (10, 2, "a")]
    assert trace.window("1h").kinds == ()


def test_kinds_can_be_chosen(trace: Trace) -> None:
    """Only jobs of the chosen kinds are left, at their times; an unknown kind is named."""
    assert [row[0] for row in seconds(trace.of(["b"]))] == [10, 30, 50]
    with pytest.raises(ConfigError, match=r"the trace has no kind 'c'.*; there are: a, b"):
        trace.of(["c"])


def test_faster_brings_the_same_jobs_in_less_time(trace: Trace) -> None:
    """Twice the speed is half the gaps and the same durations."""
    fast = trace.faster(2)
    assert (fast.submit * 2 == trace.submit).all()
    assert (fast.duration == trace.duration).all()
    assert fast.length == Duration(25 * SECOND + 1)
    with pytest.raises(ConfigError, match=r"speed: must be a number above zero, not 0"):
        trace.faster(0)


def test_frame_has_the_canonical_columns(file: File) -> None:
    """The table has a row a job, with NaN and NA for what is not known."""
    table = Trace.csv(file("jobs.csv", "submit,ok,attempts\n1,yes,3\n2,,\n")).frame()
    assert list(table) == ["submit_s", "duration_s", "kind", "ok", "attempts"]
    assert table["ok"].tolist() == [True, pd.NA]
    assert table["attempts"].tolist() == [3, pd.NA]
    assert table["duration_s"].isna().all()
