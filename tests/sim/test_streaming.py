"""Runs whose events are written or folded, and not kept."""

import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from jobsim.core.errors import ConfigError
from jobsim.core.events import RECORD, EventLog
from jobsim.policies import oban
from jobsim.sim.event_file import read_events, stream_events
from jobsim.sim.scenario import Scenario
from jobsim.sim.simulation import simulate
from jobsim.sim.streaming import record, summarise
from jobsim.sim.world import run_world

KIBIBYTE = 1024


def scenario(horizon: str = "5m", crash: str = "", resubmit: str = "") -> Scenario:
    return Scenario.from_text(
        f"""
        name = "stream"
        horizon = "{horizon}"
        compare = ["oban"]
        workers = {{ count = 2, slots = 4, lease = "5s"{crash} }}
        [[jobs]]
        kind = "mail"
        max_attempts = 3
        arrivals = {{ process = "poisson", rate = "5/s" }}
        service = {{ dist = "exponential", mean = "1s" }}
        failures = [{{ model = "independent", probability = 0.3 }}]
        {resubmit}
        """
    )


WORLDS = {
    "plain": scenario(),
    "crashes": scenario(crash=', crash = { every = "20s", restart_after = "5s" }'),
    "resubmits": scenario(resubmit='resubmit = { after = "30s", times = 2 }'),
}


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("storage", ["memory", "sqlite"])
def test_recording_is_the_log_that_a_simulation_keeps(world: str, storage: str, tmp_path: Path) -> None:
    """The file holds the very events, byte for byte, and so does the result that is read back from it."""
    kept = simulate(WORLDS[world], "oban", 3, storage)
    recording = record(WORLDS[world], tmp_path / "run.events", "oban", 3, storage)
    assert recording.events == len(kept.log)
    assert recording.run.ended == kept.run.ended
    assert read_events(recording.path).digest() == kept.log.digest()
    assert recording.result().summary().equals(kept.summary())
    assert [path.name for path in tmp_path.iterdir()] == ["run.events"]


@pytest.mark.parametrize("world", WORLDS)
def test_summary_counts_what_a_simulation_measures(world: str) -> None:
    """Counts and means are equal to those of the whole log, quantiles within half a percent."""
    kept, found = simulate(WORLDS[world], "oban", 3), summarise(WORLDS[world], "oban", 3)
    assert found.events == len(kept.log)
    measured = kept.summary()["value"]
    for name, value in found.measures.items():
        close = 0.005 if "_p" in name and name.startswith("latency") else 1e-12
        assert value == pytest.approx(measured[name], rel=close), name
    assert list(found.summary().columns) == ["value", "unit", "meaning"]


def test_summary_counts_jobs_that_have_not_ended() -> None:
    """A run that is over before its jobs are tells how many are not final."""
    late = scenario("2m").with_(drain="1s")
    kept, found = simulate(late, "oban", 3), summarise(late, "oban", 3)
    assert found.measures["unfinished"] == kept.summary()["value"]["unfinished"] > 0
    assert found.measures["attempts"] == kept.summary()["value"]["attempts"]


def peak(run: Callable[[], object]) -> int:
    """Return the most memory that `run` had at a time, in bytes."""
    tracemalloc.start()
    run()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


@pytest.mark.parametrize("way", ["record", "summarise"])
def test_memory_is_flat_however_long_a_run_is(way: str, tmp_path: Path) -> None:
    """Three times the jobs take no more memory, but for what a few thousand events vary by."""

    def run(horizon: str) -> object:
        if way == "record":
            return record(scenario(horizon), tmp_path / "run.events", "oban", 3)
        return summarise(scenario(horizon), "oban", 3)

    run("1m")  # what is imported and cached is not the run's
    short, long = peak(lambda: run("10m")), peak(lambda: run("30m"))
    assert long < short + 256 * KIBIBYTE


def test_full_log_takes_at_most_120_bytes_an_event() -> None:
    """With all that a run needs beside it, at its peak."""
    world, log = scenario("40m"), list[EventLog]()
    simulate(scenario("1m"), "oban", 3)

    def run() -> None:
        log.append(run_world(world, oban, 3).log)

    assert peak(run) <= 120 * len(log[0]) + 1024 * KIBIBYTE


def test_damaged_file_of_events_is_refused(tmp_path: Path) -> None:
    """One that is cut off, or is something else, is an error that says which file."""
    path = tmp_path / "run.events"
    record(scenario("1m"), path, "oban", 3)
    whole = path.read_bytes()
    for content in (whole[:-1], whole[:-9], whole[: len(whole) // 2], whole[:-9] + b"X" + whole[-8:]):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=r"run\.events is damaged, or was cut off"):
            read_events(path)
    path.write_bytes(b"name,at\n")
    with pytest.raises(ConfigError, match=r"run\.events is no file of events"):
        read_events(path)
    path.unlink()
    with pytest.raises(ConfigError, match=r"run\.events cannot be read: No such file"):
        read_events(path)


def test_recording_that_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    """Nothing is run for a folder that is not there, and a run that fails leaves the file of another."""
    with pytest.raises(ConfigError, match=r"gone/run\.events cannot be written: No such file"):
        record(scenario("1m"), tmp_path / "gone" / "run.events", "oban", 3)
    path = tmp_path / "run.events"
    path.write_text("another's")
    with pytest.raises(ConfigError, match="storage"):
        record(scenario("1m"), path, "oban", 3, "paper")
    assert path.read_text() == "another's"
    assert [found.name for found in tmp_path.iterdir()] == ["run.events"]


def test_file_of_events_is_read_in_parts(tmp_path: Path) -> None:
    """Event by event it is the log that is read whole, in memory that does not grow with it."""
    path = record(scenario("20m"), tmp_path / "run.events", "oban", 3).path
    whole = read_events(path)
    tracemalloc.start()
    assert all(one == other for one, other in zip(stream_events(path), whole, strict=True))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * path.stat().st_size


@pytest.mark.parametrize(
    "frame",
    [
        struct.pack("<cQ", b"R", 2**63),
        struct.pack("<cQ", b"R", 2**40) + b"x" * 41,
        struct.pack("<cQ", b"R", 41) + RECORD.pack(0, -1, 99, 1, 3, 1, 0, 0, 1),
        struct.pack("<cQ", b"R", 41) + RECORD.pack(0, -1, -1, 1, 3, 1, 0, 0, 1),
        struct.pack("<cQ", b"R", 41) + RECORD.pack(0, -1, 0, 1, 3, 1, 0, 0, 127),
        struct.pack("<cQ", b"J", 7) + b"7 bytes",
        struct.pack("<cQ", b"T", 5) + b"[[,]]",
        struct.pack("<cQ", b"T", 10) + b"[[1], [2]]",
        struct.pack("<cQ", b"T", 20_000) + b"[" * 20_000,
    ],
    ids=lambda frame: frame[9:19].hex(),
)
def test_frame_that_nobody_wrote_is_refused(tmp_path: Path, frame: bytes) -> None:
    """A length beyond the file's, a number that stands for nothing, and a table of something else."""
    path = tmp_path / "run.events"
    job = struct.pack("<cQ", b"J", 16) + bytes(16)
    path.write_bytes(b"jobsim events 1\n" + job + frame + struct.pack("<cQ", b"E", 0))
    with pytest.raises(ConfigError, match=r"run\.events is damaged"):
        read_events(path)
