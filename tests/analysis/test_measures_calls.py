"""What dependencies had to bear, from the calls they saw."""

import math

import pytest

from jobsim.analysis import frames
from jobsim.analysis.calls import FAILED, GOOD, NEVER, REFUSED, CallLog
from jobsim.analysis.measures import measures
from jobsim.analysis.measures_calls import CALLS, present
from jobsim.analysis.observed import Observed, Setting
from jobsim.core.events import EventLog
from jobsim.core.job import JobId
from jobsim.core.time import SECOND, Instant

S = SECOND
ROWS = [  # as `CallLog.add` takes them, and whether it is answered
    (1, (0, 1 * S, 1 * S, 3 * S), 0, GOOD, True),
    (1, (1 * S, 1 * S, 3 * S, 5 * S), 1, GOOD, False),
    (2, (2 * S, 2 * S, 5 * S, 6 * S), 2, FAILED, True),
    (2, (4 * S, 4 * S, NEVER, NEVER), 2, REFUSED, True),
    (1, (9 * S, 9 * S, 9 * S, 14 * S), 0, GOOD, True),
]


def log() -> CallLog:
    """Return the calls of the rows above, each of a job of its own."""
    found = CallLog()
    for number, (attempt, times, others, fate, answered) in enumerate(ROWS):
        assert found.add(JobId(number), attempt, times, others, fate) == number
        if answered:
            found.answer(number)
    return found


def observed(*logs: CallLog) -> Observed:
    """Return a run of ten seconds without jobs, and with the calls of some dependencies."""
    setting = Setting(Instant(0), Instant(20 * S), horizon_s=10)
    return Observed.of(EventLog(), setting, {str(n): log.calls() for n, log in enumerate(logs)})


def test_measures_of_calls_are_counted_by_hand() -> None:
    """Each measure is what one counts in the rows above."""
    found = measures(observed(log()))
    assert {name: found[name] for name in CALLS.measures if name != "calls_per_job"} == {
        "calls": 5,
        "peak_calls_per_s": 2,
        "peak_calls_present": 3,
        "abandoned_calls": 1,
        "refused_calls": 1,
        "wasted_work": pytest.approx(3 / 10),  # 2 s abandoned and 1 s failed, of 10 s
        "good_calls_per_s": 0.1,  # the last ends after the horizon
    }


def test_measures_of_several_dependencies_are_sums_and_peaks() -> None:
    """What is counted is added up; peaks are those of the dependency that had the highest."""
    one, two = measures(observed(log())), measures(observed(log(), log()))
    assert (two["calls"], two["abandoned_calls"]) == (10, 2)
    assert two["wasted_work"] == pytest.approx(one["wasted_work"])
    for peak in ("peak_calls_per_s", "peak_calls_present"):
        assert two[peak] == one[peak]


def test_measures_of_calls_are_zero_where_nothing_was_called() -> None:
    """Without calls there are none, and what share of the work was in vain is not known."""
    for run in (observed(), observed(CallLog())):
        found = measures(run)
        counted = [name for name in CALLS.measures if name not in {"calls_per_job", "wasted_work"}]
        assert [found[name] for name in counted] == [0] * len(counted)
        assert math.isnan(found["wasted_work"])


def test_calls_present_leave_out_those_refused() -> None:
    """A call is there from its arrival until it ends; one that is refused never is."""
    level = present(log().calls())
    assert (level.at / S).tolist() == [1, 2, 3, 5, 6, 9, 14]
    assert level.value.tolist() == [2, 3, 2, 1, 0, 1, 0]


def test_table_of_calls_has_a_row_a_call() -> None:
    """Times in seconds, NaN where nothing was worked on; equal columns and types without any call."""
    table = frames.calls({"api": log()})
    assert table["dependency"].unique().tolist() == ["api"]
    assert table["waited_s"].tolist()[:3] == [0, 2, 3]
    assert table["started_s"].isna().tolist() == [False, False, False, True, False]
    assert table["fate"].tolist() == ["good", "good", "failed", "refused", "good"]
    assert table["useful"].tolist() == [True, False, False, False, True]
    assert table["job"][1] == str(JobId(1))
    for nothing in (frames.calls({}), frames.calls({"api": CallLog()})):
        assert nothing.dtypes.to_dict() == table.dtypes.to_dict()
        assert len(nothing) == 0
