"""Tidy tables from an event log of either world; a store's are those of `EventLog.of(store.events())`.

Times are float seconds since the first moment (`began`; of a live log, its first event), NaN where
something has not happened. Text columns hold `None`/NaN where there is nothing to say. Columns and
dtypes are the same for every log, an empty one included.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jobsim.analysis import arrays
from jobsim.analysis.arrays import NEVER, Flags, History
from jobsim.analysis.calls import FATES, CallLog
from jobsim.core.events import CODE, KINDS, EventLog
from jobsim.core.job import UNLIMITED
from jobsim.core.time import SECOND, Instant
from jobsim.core.transitions import Kind

_STATES: Final = np.array([s.value for s in arrays.STATES], dtype=object)
_OUTCOMES: Final = np.array(arrays.OUTCOMES, dtype=object)
_KINDS: Final = np.array([k.value for k in KINDS], dtype=object)
_TEXT: Final = pd.Series(["text"]).dtype
"""The text dtype that this version of pandas infers: `str` from 3.0, `object` before."""

Texts = NDArray[np.object_]


def events(log: EventLog, began: Instant | None = None) -> pd.DataFrame:
    """Return one row an event, in log order.

    Columns: `seq` (int, from 1), `at_s`, `job` (id as text), `kind` (the job's), `event` (what happened:
    claim, retry, ...), `attempt`, `max_attempts` (float, infinite without limit), `token` (int), `worker`
    (text), `due_s` (end of the lease, or earliest next start), `outcome`, `reason`, `error` (text).
    """
    found = arrays.records(log)
    zero = first_moment(log) if began is None else began
    is_enqueue = found["kind"] == CODE[Kind.ENQUEUE]
    kinds = _job_kinds(History.of(log))
    return pd.DataFrame(
        {
            "seq": np.arange(1, len(found) + 1),
            "at_s": _seconds(found["at"], zero),
            "job": _text(_ids(log)[found["job"]]),
            "kind": _text(kinds[found["job"]]),
            "event": _text(_KINDS[found["kind"]]),
            "attempt": found["attempt"].astype(np.int64),
            "max_attempts": _limit(found["max_attempts"]),
            "token": found["token"].astype(np.int64),
            "worker": _text(_objects(log.workers)[found["worker"]]),
            "due_s": _seconds(found["due"], zero),
            "outcome": _text(_whys(log, "outcome")[found["why"]]),
            "reason": _text(_whys(log, "reason")[found["why"]], missing=is_enqueue),
            "error": _text(_whys(log, "error")[found["why"]]),
        }
    )


def attempts(log: EventLog, began: Instant | None = None) -> pd.DataFrame:
    """Return one row an attempt, in the order in which they started.

    Columns: `job` (id as text), `kind` (the job's), `attempt`, `token` (int), `worker` (text), `started_s`,
    `finished_s`, `duration_s`, `outcome` (succeeded, failed, timed_out, lost, released, snoozed,
    cancelled, or running at the end of the log), `reason`, `error` (text), `retry_delay_s` (from
    its end until the job might start again; NaN where it may not). A lost attempt finishes when its
    loss is noticed, not when its worker died.
    """
    history = History.of(log)
    found = history.attempts
    zero = first_moment(log) if began is None else began
    started, finished = _seconds(found.started, zero), _seconds(found.ended, zero)
    return pd.DataFrame(
        {
            "job": _text(_ids(log)[found.job]),
            "kind": _text(_job_kinds(history)[found.job]),
            "attempt": found.number,
            "token": found.token,
            "worker": _text(_objects(log.workers)[found.worker]),
            "started_s": started,
            "finished_s": finished,
            "duration_s": _difference(found.ended, found.started),
            "outcome": _text(_OUTCOMES[found.outcome]),
            "reason": _text(_whys(log, "reason")[found.why]),
            "error": _text(_whys(log, "error")[found.why]),
            "retry_delay_s": np.where(found.delay == NEVER, np.nan, found.delay / SECOND),
        }
    )


def jobs(log: EventLog, began: Instant | None = None) -> pd.DataFrame:
    """Return one row a job, in the order in which they first appear.

    Columns: `job` (id as text), `kind`, `state` (text), `created_s`, `started_s` (first attempt),
    `finished_s` (final states only), `latency_s` (created until succeeded; NaN for any other job),
    `wait_s` (created until the first attempt), `attempts` (int; started ones, released included),
    `max_attempts` (float, infinite without limit), `reason` and `error` (text; of the last event, for
    dead letters, cancelled and failed jobs).
    """
    history = History.of(log)
    found = history.jobs
    zero = first_moment(log) if began is None else began
    untold = ~np.isin(_STATES[found.state], ["dead_letter", "cancelled", "failed"])
    return pd.DataFrame(
        {
            "job": _text(_ids(log)),
            "kind": _text(_job_kinds(history)),
            "state": _text(_STATES[found.state]),
            "created_s": _seconds(found.created, zero),
            "started_s": _seconds(found.started, zero),
            "finished_s": _seconds(found.finished, zero),
            "latency_s": np.where(
                _STATES[found.state] == "succeeded", _difference(found.finished, found.created), np.nan
            ),
            "wait_s": _difference(found.started, found.created),
            "attempts": found.attempts.astype(np.int64),
            "max_attempts": _limit(found.max_attempts),
            "reason": _text(_whys(log, "reason")[found.last_why], missing=untold),
            "error": _text(_whys(log, "error")[found.last_why], missing=untold),
        }
    )


def calls(logs: Mapping[str, CallLog]) -> pd.DataFrame:
    """Return one row a call that arrived at a dependency, by dependency and arrival; `logs` are by name.

    Columns: `dependency`, `job` (ids as text), `attempt` (int), `sent_s`, `arrived_s`, `started_s`, `ended_s`
    (of the work on it; NaN where it was refused), `waited_s` (arrival until start), `present` (int; how
    many others were there when it arrived), `fate` (good, failed or refused), `answered` (whether the
    reply found its caller), `useful` (good and answered). Times count from the beginning of the run.
    """
    tables = [_calls(name, log) for name, log in logs.items()] or [_calls("", CallLog())]
    return pd.concat(tables, ignore_index=True)


def _calls(name: str, log: CallLog) -> pd.DataFrame:
    found, zero = log.calls(), Instant(0)
    return pd.DataFrame(
        {
            "dependency": _text(np.full(len(log), name, dtype=object)),
            "job": _text(_objects(log.jobs)),
            "attempt": found.attempt,
            "sent_s": _seconds(found.sent, zero),
            "arrived_s": _seconds(found.arrived, zero),
            "started_s": _seconds(found.started, zero),
            "ended_s": _seconds(found.ended, zero),
            "waited_s": _difference(found.started, found.arrived),
            "present": found.present,
            "fate": _text(np.array(FATES, dtype=object)[found.fate]),
            "answered": found.answered,
            "useful": found.useful,
        }
    )


def first_moment(log: EventLog) -> Instant:
    """Return when the first event of `log` happened; 0 for an empty log."""
    found = arrays.records(log)["at"]
    return Instant(int(found.min()) if len(found) else 0)


def _seconds(at: Any, zero: Instant) -> NDArray[np.float64]:
    """Return moments as seconds since `zero`, NaN for those that have not come."""
    return np.where(at == NEVER, np.nan, (at - zero) / SECOND)


def _difference(later: Any, earlier: Any) -> NDArray[np.float64]:
    """Return the seconds between two moments, NaN where either has not come."""
    return np.where((later == NEVER) | (earlier == NEVER), np.nan, (later - earlier) / SECOND)


def _limit(max_attempts: Any) -> NDArray[np.float64]:
    return np.where(max_attempts >= UNLIMITED, np.inf, max_attempts)


def _objects(values: Iterable[object]) -> Texts:
    """Return `values` as texts; an empty one is a missing one."""
    return np.array([None if value in (None, "") else str(value) for value in values], dtype=object)


def _ids(log: EventLog) -> Texts:
    return _objects(log.jobs)


def _whys(log: EventLog, part: str) -> Texts:
    return _objects(getattr(why, part) for why in log.whys)


def _job_kinds(history: History) -> Texts:
    return _whys(history.log, "reason")[history.jobs.enqueue_why]


def _text(values: Texts, missing: Flags | None = None) -> "pd.Series[str]":
    """Return a column of text, without the values that are `missing`."""
    if missing is not None:
        values[missing] = None
    return pd.Series(values, dtype=_TEXT)
