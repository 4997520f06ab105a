"""A scenario that behaves as an event log says the world did."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from jobsim.core.errors import ConfigError
from jobsim.core.job import DEFAULT_QUEUE
from jobsim.core.policy import RetryPolicy
from jobsim.core.time import SECOND, Duration, Instant, instant
from jobsim.models.failures_phased import GilbertElliott
from jobsim.models.recorded import InOrder
from jobsim.models.service import Service
from jobsim.models.workers import Workers
from jobsim.sim.history.arrivals import ArrivalFit, fit_arrivals, listed
from jobsim.sim.history.crews import WorkersFit, fit_workers
from jobsim.sim.history.failures import FailureFit, fit_failures
from jobsim.sim.history.lives import Attempts, Observed, Record, Window
from jobsim.sim.history.logs import Place, Told, told
from jobsim.sim.history.recurrence import FEWEST, recurring
from jobsim.sim.history.service import ServiceFit, fit_service
from jobsim.sim.policy_tables import DEFAULT_COMPARE
from jobsim.sim.scenario import JobClass, Scenario

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PoliciesLike = Mapping[str, RetryPolicy | str] | Iterable[RetryPolicy | str] | RetryPolicy | str

_GOLDEN: Final = 0.6180339887498949


@dataclass(frozen=True, slots=True)
class KindFit:
    """What describes one kind of job, and the data that it describes."""

    record: Record
    arrivals: ArrivalFit
    service: ServiceFit
    failures: FailureFit
    job: JobClass


@dataclass(frozen=True, slots=True)
class Fit:
    """A `scenario` made of a log, and how near to the log it is.

    Raises:
        ConfigError: there is no arrival in the log.
    """

    scenario: Scenario
    kinds: tuple[KindFit, ...]
    workers: WorkersFit
    window: Window
    remarks: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Fit({self.scenario.name!r}, kinds={[kind.record.kind for kind in self.kinds]})"

    def summary(self) -> pd.DataFrame:
        """Return a row for each thing fitted: `kind`, `part`, `data`, `chosen`, `distance` and `others`.

        `data` is how many observations there were, `distance` the Kolmogorov-Smirnov distance of what was
        chosen from them, on 0 to 1; `others` are what else was tried, with the distance of each. The
        dispersion of arrivals is the variance of counts over their mean: 1 at random, more in bursts.
        """
        workers = self.workers.model
        crashes = f"; one dies every {workers.crash.every}" if workers.crash else ""
        chosen = f"{workers.count} with {workers.slots} slots, lease {workers.lease}{crashes}"
        rows = [row for kind in self.kinds for row in _rows(kind)]
        rows.append(("", "workers", self.workers.seen, chosen, np.nan, ""))
        return pd.DataFrame(rows, columns=["kind", "part", "data", "chosen", "distance", "others"])

    def _repr_html_(self) -> str:
        from jobsim.analysis.report import card

        facts = {"scenario": self.scenario.name, "length": Duration(self.window.ended - self.window.began)}
        shown = self.summary().set_index("kind").drop(columns="others")
        shown["distance"] = ["" if np.isnan(one) else f"{one:.3f}" for one in shown["distance"]]
        return card("A scenario fitted", facts, self._said(), shown)

    def _said(self) -> str:
        return " ".join(f"{remark[0].upper()}{remark[1:]}." for remark in self.remarks)

    def plot(self, kinds: Iterable[str] | None = None) -> "Figure":
        """Draw a row for each of `kinds` (`None`: the six with most attempts): each fit against its data.

        Raises:
            ConfigError: there is no such kind.
        """
        from jobsim.sim.history.pictures import draw
        from jobsim.sim.pictures import shown

        return shown(draw(self, kinds))


def fit_history(
    source: Any,
    *,
    replay: bool = False,
    recur: bool = False,
    since: datetime | None = None,
    until: datetime | None = None,
    name: str = "",
    workers: Workers | None = None,
    policies: PoliciesLike = DEFAULT_COMPARE,
) -> Fit:
    """Return a scenario that behaves as the log did which `source` is or names, and how near it is.

    What would last Tuesday have looked like under another policy?

        fit = fit_history("postgresql://queue@db/jobs", since=tuesday, until=wednesday, replay=True)
        print(fit.summary())
        compare(fit.scenario, ["full_jitter", "oban", mine]).verdict()

    `source` is the URL of a store, a `Storage`, an `EventLog`, the result of a simulation, or the path of a
    file of events or a table of them. Jobs that arrive, and attempts that start, from `since` until `until`
    count (aware datetimes; by default all).

    Arrivals, service times and failures are fitted kind by kind, each by what suits it best. With `replay`,
    every job comes when it came and takes as long as it took; what never succeeded takes as long as others
    did. In both, outages are where they were, so that an attempt fails that falls into one, whichever policy
    makes it; between them attempts fail by chance, and some jobs always do, as often as in the log. With
    `recur`, outages come and go at random instead, other ones in each run, as often and for as long on
    average as in the log (`GilbertElliott`), where a kind had three or more. `workers` stand in for those
    that the log shows, which may have had more slots than were ever in use.

    Raises:
        ConfigError: `source` is no log; it has no arrivals in the window; or a time without time zone.
        StorageError: the store cannot be read.
    """
    found = told(source)
    start, end = _instant(since), _instant(until)
    seen = Observed.of(found.log, start or found.began, end, None if end else found.ended)
    kinds = tuple(_fitted(seen, found, replay=replay, recur=recur))
    if not kinds:
        raise ConfigError(f"{found.name}: no job arrives in that time; there is nothing to fit")
    crew = fit_workers(found.log)
    scenario = Scenario(
        name=name or found.name,
        description=_description(found, seen.window, replay=replay),
        horizon=Duration(max(1, seen.window.ended - seen.window.began)),
        workers=workers or crew.model,
        jobs=tuple(kind.job for kind in kinds),
        policies=policies,
    )
    return Fit(
        scenario, kinds, crew, seen.window, tuple(_remarks(found, seen, kinds, replay=replay, recur=recur))
    )


def _instant(moment: datetime | None) -> Instant | None:
    return None if moment is None else instant(moment)


def _fitted(seen: Observed, found: Told, *, replay: bool, recur: bool) -> Iterator[KindFit]:
    usual = _usual_limit(seen.kinds)
    befell = fit_failures({record.kind: record.attempts for record in seen.kinds}, seen.window, seen.log)
    if recur:
        befell = recurring(befell, seen.window.whole_s)
    for record in seen.kinds:
        if not len(record.arrivals_s):
            continue
        arrivals = fit_arrivals(record.arrivals_s, seen.window.length_s)
        service = fit_service(record.attempts)
        failures = befell[record.kind]
        place = found.places.get(record.kind, Place(DEFAULT_QUEUE, 0))
        limit = _commonest(record.limits)
        job = JobClass(
            kind=record.kind,
            queue=place.queue,
            priority=place.priority,
            max_attempts=None if limit == usual else limit,
            arrivals=listed(record.arrivals_s) if replay else arrivals.model,
            service=_as_it_was(record, service.model) if replay else service.model,
            failures=failures.models,
        )
        yield KindFit(record, arrivals, service, failures, job)


def _usual_limit(kinds: Iterable[Record]) -> int:
    """Return the limit of attempts that most jobs had: that is the policy's; another is the kind's own."""
    limits = [record.limits for record in kinds]
    return _commonest(np.concatenate(limits)) if limits else 0


def _commonest(values: Any) -> int:
    return int(Counter(values.tolist()).most_common(1)[0][0])


def _as_it_was(record: Record, model: Service) -> Service:
    """Return the service times in the order of the arrivals.

    A life's is that of its success. What never succeeded takes what the fit says for the places of a
    low-discrepancy sequence, but no less than its longest attempt that was cut short.
    """
    takes = np.full(len(record.arrived), np.nan)
    attempts = record.attempts
    _put(takes, record, attempts, "succeeded")
    cut = np.zeros(len(takes))
    _put(cut, record, attempts, "lost", "timed_out", "released", "running")
    values = [
        Duration(round(taken * SECOND)) if taken == taken else _drawn(model, place, least)  # noqa: PLR0124  # NaN
        for place, (taken, least) in enumerate(zip(takes.tolist(), cut.tolist(), strict=True))
    ]
    return InOrder(values=values)


def _put(into: Any, record: Record, attempts: Attempts, *outcomes: str) -> None:
    """Write how long attempts lasted that ended so, each at the place of its life among the arrivals."""
    chosen = attempts[attempts.ended(*outcomes)]
    order = np.argsort(record.arrived, kind="stable")
    ordered = record.arrived[order]
    place = np.minimum(np.searchsorted(ordered, chosen.life), len(ordered) - 1)
    there = ordered[place] == chosen.life
    np.fmax.at(into, order[place[there]], chosen.lasted_s[there])


def _drawn(model: Service, place: int, least_s: float) -> Duration:
    drawn = model.draw((0.5 + place * _GOLDEN) % 1)
    return Duration(max(drawn, round(least_s * SECOND)))


def _description(found: Told, window: Window, *, replay: bool) -> str:
    how = "Replayed as it was" if replay else "Fitted to what happened"
    return f"{how}: {Duration(window.ended - window.began)} of {found.name}"


def _remarks(
    found: Told, seen: Observed, kinds: Iterable[KindFit], *, replay: bool, recur: bool
) -> Iterator[str]:
    """Yield what is to be known of the data, in sentences."""
    if found.missing:
        yield (
            f"{found.missing:,} events are missing in the log's numbering: where jobs were pruned, those "
            "that are left need not be like those that are gone"
        )
    if seen.untold:
        yield f"{seen.untold:,} jobs were enqueued before the log begins; nothing of them is used"
    for kind in kinds:
        label = kind.record.kind
        if kind.record.waiting:
            yield f"{label}: {kind.record.waiting:,} jobs were there already; they are not among the arrivals"
        if kind.service.remark:
            yield f"{label}: {kind.service.remark}"
        if kind.arrivals.chosen == "as they were" and not replay:
            yield f"{label}: no process describes the arrivals; they are listed as they were"
        outages = len(kind.failures.outages)
        if outages >= _MANY and not recur:
            yield f"{label}: {outages} outages stand where they were; with `recur` they come and go at random"
        if recur and 0 < outages < FEWEST:
            yield f"{label}: outages stand where they were; they are too few to tell how often they come"
    yield "workers may have had more slots than were ever in use; give `workers` where you know them"


_MANY: Final = 6


def _rows(kind: KindFit) -> Iterator[tuple[str, str, int, str, float, str]]:
    label, record = kind.record.kind, kind.record
    arrivals, service, failures = kind.arrivals, kind.service, kind.failures
    chosen = arrivals.chosen + (
        "" if np.isnan(arrivals.dispersion) else f"; dispersion {arrivals.dispersion:.3g}"
    )
    yield (label, "arrivals", len(record.arrivals_s), chosen, arrivals.distance, _others(arrivals))
    yield (label, "service", len(service.seen_s), _brief(service), service.distance, _others(service))
    yield (label, "failures", failures.trials, _told_of(failures), np.nan, "")
    for model in failures.models:
        if isinstance(model, GilbertElliott):
            text = (
                f"up for {model.good}, down for {model.bad} on average: {100 * model.failure_bad:.3g} % fail"
            )
            yield (label, "outages", len(failures.outages), text, np.nan, "")
    for outage in failures.outages:
        text = f"{outage.start_s:,.1f} s to {outage.end_s:,.1f} s"
        healing = outage.healed_s - outage.end_s
        text += f", healing for {healing:,.1f} s" if healing > 0 else ""
        yield (label, "outage", failures.trials, f"{text}: {100 * outage.probability:.3g} % fail", np.nan, "")


def _others(fit: ArrivalFit | ServiceFit) -> str:
    return ", ".join(f"{c.name} {c.distance:.3f}" for c in fit.candidates if c.name != fit.chosen)


def _brief(fit: ServiceFit) -> str:
    cut = f"; {len(fit.cut_s):,} cut short" if len(fit.cut_s) else ""
    return f"{fit.chosen}, mean {fit.model.mean}{cut}"


def _told_of(fit: FailureFit) -> str:
    parts = [f"{100 * fit.rate:.3g} % of attempts"] if fit.rate else []
    parts += [f"{100 * fit.permanent:.3g} % of jobs always"] if fit.permanent else []
    return " and ".join(parts) or "none between outages"
