"""From a log to a scenario and back: known worlds are recovered, and policies fare the same in them."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from jobsim.core.errors import ConfigError, StorageError
from jobsim.core.events import EventLog
from jobsim.core.job import State
from jobsim.core.time import SECOND, Instant
from jobsim.models import (
    ExponentialService,
    Independent,
    InOrder,
    Listed,
    Lognormal,
    Outage,
    Permanent,
    Poisson,
    Workers,
)
from jobsim.sim import world as world_module
from jobsim.sim.history.fit import Fit, fit_history
from jobsim.sim.result import SimResult
from jobsim.sim.scenario import JobClass, Scenario
from jobsim.sim.simulation import simulate
from jobsim.sim.stage import BEGAN
from jobsim.sim.streaming import record
from jobsim.storage.base import Storage
from jobsim.storage.sqlite import Durability, SqliteStorage

OUTAGE = Outage(start="20m", duration="10m", takes="1s", error="ConnectionError: down")

TRUTH = Scenario(
    name="truth",
    horizon="1h",
    workers=Workers(count=2, slots=8, lease="30s"),
    jobs=(
        JobClass(
            kind="charge",
            queue="money",
            priority=3,
            arrivals=Poisson(rate="1/s"),
            service=Lognormal(mean="400ms", cv=1.2),
            failures=(
                Permanent(share=0.03, error="LookupError: gone"),
                OUTAGE,
                Independent(probability=0.05, error="TimeoutError: slow"),
            ),
        ),
        JobClass(
            kind="mail",
            max_attempts=3,
            arrivals=Poisson(rate="30/min"),
            service=ExponentialService(mean="2s"),
            failures=(Independent(probability=0.1, error="OSError: relay"),),
        ),
    ),
    policies=["full_jitter", "sidekiq"],
)


@pytest.fixture(scope="module")
def original() -> SimResult:
    """One run of the truth."""
    return simulate(TRUTH, "full_jitter", seed=11)


@pytest.fixture(scope="module")
def fit(original: SimResult) -> Fit:
    """The fit of that run."""
    return fit_history(original, policies=["full_jitter", "sidekiq"])


@pytest.fixture(scope="module")
def replayed(original: SimResult) -> Fit:
    """The run as it was."""
    return fit_history(original, replay=True)


def test_known_scenario_is_recovered(fit: Fit) -> None:
    """Rates, means, shares, the outage's edges, workers, queues and limits are those of the truth, nearly."""
    charge, mail = fit.scenario.jobs
    assert isinstance(charge.arrivals, Poisson)
    assert float(charge.arrivals.rate) == pytest.approx(1, rel=0.07)
    assert isinstance(charge.service, Lognormal)
    assert charge.service.mean.seconds == pytest.approx(0.4, rel=0.08)
    assert charge.service.cv == pytest.approx(1.2, rel=0.1)
    permanent, outage, usual = charge.failures
    assert isinstance(permanent, Permanent)
    assert permanent.share == pytest.approx(0.03, abs=0.012)
    assert isinstance(outage, Outage)
    assert outage.start.seconds == pytest.approx(1_200, abs=5)
    assert (outage.start + outage.duration) / SECOND == pytest.approx(1_800, abs=5)
    assert (outage.takes, outage.error) == (SECOND, OUTAGE.error)
    assert isinstance(usual, Independent)
    assert usual.probability == pytest.approx(0.05, abs=0.015)
    assert isinstance(mail.service, ExponentialService)
    assert mail.service.mean.seconds == pytest.approx(2, rel=0.08)
    assert (charge.queue, charge.priority) == ("money", 3)
    assert (charge.max_attempts, mail.max_attempts) == (None, 3)
    assert fit.scenario.workers == TRUTH.workers


@pytest.mark.parametrize("replay", [False, True])
def test_same_policy_fares_the_same_in_the_fitted_world(
    replay: bool, original: SimResult, fit: Fit, replayed: Fit
) -> None:
    """Attempts, dead letters and latencies of the log come out again, on average over two runs."""
    world = (replayed if replay else fit).scenario
    runs = [simulate(world, "full_jitter", seed).runs.iloc[0] for seed in range(2)]
    truth = original.runs.iloc[0]
    tolerances = {
        "jobs": 0.001 if replay else 0.05,
        "attempts_per_job": 0.05,
        "dead_letter_rate": 0.3,
        "latency_p50_s": 0.1,
        "latency_p95_s": 0.15,
        "utilisation": 0.1,
    }
    for name, tolerance in tolerances.items():
        assert np.mean([run[name] for run in runs]) == pytest.approx(truth[name], rel=tolerance), name


def test_replay_keeps_every_arrival_and_service_time(original: SimResult, replayed: Fit) -> None:
    """Job by job, what came and how long it took is the same under another policy."""
    world = replayed.scenario
    (charge, _) = world.jobs
    assert isinstance(charge.arrivals, Listed)
    assert isinstance(charge.service, InOrder)
    then, now = original.jobs, simulate(world, "none").jobs
    assert then["created_s"].tolist() == now["created_s"].tolist()
    attempts = original.attempts
    done = attempts[(attempts["outcome"] == "succeeded") & (attempts["kind"] == "charge")]
    took = dict(zip(done["job"], done["duration_s"], strict=True))
    order = then.loc[then["kind"] == "charge", "job"]
    known = [
        (took[job], value.seconds)
        for job, value in zip(order, charge.service.values, strict=True)
        if job in took
    ]
    assert len(known) > 2_500
    assert all(a == pytest.approx(b, abs=2e-6) for a, b in known)


def test_replayed_outage_strikes_whoever_meets_it(replayed: Fit) -> None:
    """Under another policy, attempts that fall into the outage fail, and its error is met nowhere else."""
    attempts = simulate(replayed.scenario, "sidekiq").attempts
    own = attempts[attempts["kind"] == "charge"]
    inside = own[(own["started_s"] > 1_205) & (own["started_s"] < 1_795)]
    assert len(inside) > 600
    assert (inside["outcome"] == "failed").all()
    met = own.loc[own["error"] == "ConnectionError: down", "started_s"]
    assert met.between(1_195, 1_805).all()


def test_fitted_scenario_survives_writing(fit: Fit) -> None:
    """The result is a scenario like any other, written and read back as an equal one."""
    assert Scenario.from_text(fit.scenario.to_toml()) == fit.scenario
    short = simulate(TRUTH.with_(horizon="3m"), "none", seed=2)
    again = Scenario.from_history(short, replay=True, name="again")
    assert Scenario.from_text(again.to_toml()) == again
    assert again.name == "again"


def test_summary_names_every_fit_with_its_distance(fit: Fit) -> None:
    """Each kind has its arrivals, service, failures and outages in the table, and the workers theirs."""
    table = fit.summary()
    parts = table.groupby("kind", sort=False)["part"].apply(list).to_dict()
    assert parts["charge"] == ["arrivals", "service", "failures", "outage"]
    assert parts["mail"] == ["arrivals", "service", "failures"]
    assert parts[""] == ["workers"]
    assert (table.loc[table["part"].isin(["arrivals", "service"]), "distance"] < 0.06).all()
    assert "2 with 8 slots, lease 30s" in table["chosen"].tolist()
    assert any("slots" in remark for remark in fit.remarks)


def test_fit_has_a_card_with_what_is_to_be_known_of_it(fit: Fit) -> None:
    """Its parts are rows, and its remarks are sentences."""
    card = fit._repr_html_()
    assert fit.scenario.name in card
    assert card.count("<tr>") == 1 + len(fit.summary())
    assert "nan" not in card
    assert repr(fit) == f"Fit({fit.scenario.name!r}, kinds={[kind.record.kind for kind in fit.kinds]})"
    assert "Workers may have had more slots than were ever in use" in card


def test_plot_shows_each_kind_beside_its_data(fit: Fit) -> None:
    """A row a kind: arrivals, service times, failures; each with the data and the fit."""
    figure = fit.plot()
    assert isinstance(figure, Figure)
    assert len(figure.axes) == 6
    assert len(fit.plot(["mail"]).axes) == 3
    with pytest.raises(ConfigError, match=r"the fit has no kind 'male' \(did you mean 'mail'\?\)"):
        fit.plot(["male"])


@contextmanager
def _file(path: Path) -> Iterator[Storage]:
    with closing(SqliteStorage(path, durability=Durability.NORMAL)) as store:
        yield store


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a SQLite file, written by the engine in virtual time: six minutes of the truth."""
    path = tmp_path_factory.mktemp("fit") / "jobs.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world_module, "_opened", lambda *_, **__: _file(path))
        changes = {"horizon": "6m", "jobs.charge.failures.outage.start": "2m"}
        changes["jobs.charge.failures.outage.duration"] = "1m"
        simulate(TRUTH.with_(**changes), "full_jitter", seed=5, storage="sqlite")
    return f"sqlite:///{path}"


def test_database_is_fitted_by_its_url(database: str) -> None:
    """What stands in a file of the live engine is fitted, with queues and priorities from its jobs."""
    fit = fit_history(database)
    charge, mail = sorted(fit.scenario.jobs, key=lambda job: job.kind)
    assert (charge.queue, charge.priority) == ("money", 3)
    assert isinstance(charge.arrivals, Poisson)
    assert float(charge.arrivals.rate) == pytest.approx(1, rel=0.2)
    assert mail.service.mean.seconds == pytest.approx(2, rel=0.25)
    (outage,) = (failure for failure in charge.failures if isinstance(failure, Outage))
    assert outage.start.seconds == pytest.approx(120, abs=8)
    assert outage.duration.seconds == pytest.approx(60, abs=10)
    assert fit.scenario.horizon / SECOND == pytest.approx(360, abs=10)


def test_window_of_a_database_can_be_chosen(database: str) -> None:
    """Only what came in the window counts, from its beginning; what was there before is said."""
    whole = fit_history(database)
    began = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=whole.window.began)
    fit = fit_history(database, since=began + timedelta(minutes=3), until=began + timedelta(minutes=5))
    assert fit.scenario.horizon == 120 * SECOND
    assert sum(len(kind.record.arrivals_s) for kind in fit.kinds) == pytest.approx(180, rel=0.25)
    assert any("were there already" in remark for remark in fit.remarks)


def test_pruned_jobs_are_missed(database: str, tmp_path: Path) -> None:
    """A log that lost jobs is not taken for the whole: the gaps in its numbers are told."""
    path = tmp_path / "pruned.db"
    path.write_bytes(Path(database.removeprefix("sqlite:///")).read_bytes())
    with closing(SqliteStorage(path)) as store:
        ended = Instant(BEGAN + 300 * SECOND)
        assert store.prune([State.SUCCEEDED], ended, 100) == 100
        (remark,) = [text for text in fit_history(store).remarks if "missing" in text]
    assert "where jobs were pruned" in remark


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "parquet"])
def test_table_of_events_is_a_log(tmp_path: Path, suffix: str) -> None:
    """What a run writes as a table is read back as the same log, and fitted as it."""
    run = simulate(TRUTH.with_(horizon="5m"), "full_jitter", seed=4)
    path = tmp_path / f"events.{suffix}"
    run.events.to_parquet(path) if suffix == "parquet" else run.events.to_csv(path, index=False)
    written, direct = fit_history(path), fit_history(run.log)
    assert [kind.failures for kind in written.kinds] != []
    for one, other in zip(written.kinds, direct.kinds, strict=True):
        assert one.job.arrivals == other.job.arrivals
        assert one.job.service == other.job.service
        assert one.job.failures == other.job.failures
    assert written.scenario.name == "events" if suffix != "csv.gz" else "events.csv"


def test_recorded_run_is_a_log(tmp_path: Path) -> None:
    """A run whose events went to a file is fitted as one in memory, by its recording or by the file."""
    world, path = TRUTH.with_(horizon="3m"), tmp_path / "run.events"
    recording = record(world, path, "full_jitter", seed=4)
    direct = fit_history(simulate(world, "full_jitter", seed=4))
    assert fit_history(recording).scenario == direct.scenario
    assert [kind.service.model for kind in fit_history(path).kinds] == [k.service.model for k in direct.kinds]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", r"events\.csv:1: is no table of events: there is no column 'seq'"),
        ("{header}\n1,x,{job},a,enqueue,0,5,0,,0,,,\n", r"events\.csv:2: column 'at_s': "),
        ("{header}\n1,0,{job},a,enquue,0,5,0,,0,,,\n", r"events\.csv:2: column 'event': "),
        ("{header}\n1,0,nobody,a,enqueue,0,5,0,,0,,,\n", r"events\.csv:2: column 'job': "),
    ],
)
def test_table_that_is_no_log_is_refused_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    """A column that is missing or a cell that cannot be read is told with its line."""
    header = "seq,at_s,job,kind,event,attempt,max_attempts,token,worker,due_s,outcome,reason,error"
    path = tmp_path / "events.csv"
    path.write_text(text.format(header=header, job="01920000-0000-7000-8000-000000000000"), encoding="utf-8")
    with pytest.raises(ConfigError, match=said):
        fit_history(path)


def test_what_is_no_log_is_refused(tmp_path: Path) -> None:
    """Nothing is made of an empty log, of what is none, of no store, of a time without zone."""
    with pytest.raises(ConfigError, match=r"log: no job arrives in that time; there is nothing to fit"):
        fit_history(EventLog())
    with pytest.raises(ConfigError, match=r"7 is no event log; give an EventLog, the result of"):
        fit_history(7)
    with pytest.raises(ConfigError, match=r"names no store that anything is kept in"):
        fit_history("sqlite://")
    with pytest.raises(StorageError):
        fit_history(f"sqlite:///{tmp_path}/none.db")
    with pytest.raises(ConfigError, match=r"has no time zone"):
        fit_history(EventLog(), since=datetime(2026, 1, 1))  # noqa: DTZ001
    with pytest.raises(ConfigError, match=r"'2026-01-01' is no datetime"):
        fit_history(EventLog(), since="2026-01-01")  # type: ignore[arg-type]  # what a caller may get wrong


def test_workers_can_be_named() -> None:
    """Who knows their workers need not rely on what the log shows of them."""
    own = Workers(count=7, slots=1)
    short = simulate(TRUTH.with_(horizon="1m"), "none", seed=1)
    assert fit_history(short, workers=own).scenario.workers == own
