"""Groups of workers: queues of their own, and what befalls them."""

from typing import Any

import pandas as pd
import pytest

from jobsim.core.errors import ConfigError
from jobsim.models import (
    Autoscale,
    Constant,
    Crashes,
    Deterministic,
    Group,
    Partition,
    Pauses,
    StorageModel,
    Workers,
)
from jobsim.sim.replication import slots_of
from jobsim.sim.result import SimResult
from jobsim.sim.scenario import JobClass, Scenario
from jobsim.sim.simulation import simulate

MAIL = JobClass(kind="mail", arrivals=Deterministic(every="1s", jobs=600), service=Constant(value="500ms"))
IMPORT = JobClass(
    kind="import",
    queue="imports",
    arrivals=Deterministic(start="2min", every="1ms", jobs=40),
    service=Constant(value="10s"),
)
CLOSED = Partition(start="2min", duration="1min", groups=("imports",))


def world(*groups: Group, storage: StorageModel | None = None, **workers: Any) -> Scenario:
    """Return a world in which short jobs come every second, and long ones all at once."""
    return Scenario(
        name="a",
        horizon="10min",
        workers=Workers(**{"count": 2, "slots": 2, "groups": groups, **workers}),
        storage=storage,
        jobs=(MAIL, IMPORT),
        policies=["full_jitter"],
    )


def imports(**fields: Any) -> Group:
    """Return a group of workers for imports alone."""
    return Group(**{"name": "imports", "queues": ("imports",), "count": 1, "slots": 4, **fields})


def attempts(ran: SimResult, kind: str) -> pd.DataFrame:
    """Return the attempts of one kind, whose run has checked itself; all of them succeeded in the end."""
    assert set(ran.jobs["state"]) == {"succeeded"}
    found = ran.attempts
    return found[found["kind"] == kind].reset_index(drop=True)


def workers(found: pd.DataFrame) -> set[str]:
    """Return who made these attempts, in whichever of their lives."""
    return {name.partition(".")[0] for name in found["worker"]}


@pytest.mark.parametrize("rough", [{}, {"pause": Pauses(every="1h", length=Constant(value="1s"))}], ids=str)
def test_workers_serve_their_queues_alone(rough: dict[str, Any]) -> None:
    """Each group's workers run the jobs of its queues, and no others."""
    ran = simulate(world(imports(count=2, **rough), queues=("default",)))
    assert workers(attempts(ran, "mail")) == {"worker-1", "worker-2"}
    assert workers(attempts(ran, "import")) == {"worker-imports-1", "worker-imports-2"}


def test_group_beside_workers_of_all_queues_helps_them() -> None:
    """A queue that two groups serve has the workers of both."""
    ran = simulate(world(imports()))
    assert workers(attempts(ran, "mail")) == {"worker-1", "worker-2"}
    assert workers(attempts(ran, "import")) == {"worker-1", "worker-2", "worker-imports-1"}


def test_queue_with_workers_of_its_own_holds_nobody_up() -> None:
    """Jobs of other queues wait for those that came in bulk only where they share workers."""
    shared = simulate(world())
    apart = simulate(world(imports(), queues=("default",)))
    waits = [ran.jobs.query("kind == 'mail'")["wait_s"].max() for ran in (shared, apart)]
    assert waits[0] > 60
    assert waits[1] == 0


def test_what_befalls_workers_does_not_depend_on_other_groups() -> None:
    """However many another group has, the same workers crash at the same times."""
    crash = Crashes(every="2min", restart_after="10s")
    worlds = [world(imports(count=n, crash=crash), queues=("default",), crash=crash) for n in (1, 3)]
    one, three = (attempts(simulate(each), "mail") for each in worlds)
    pd.testing.assert_frame_equal(one, three)
    assert set(one["worker"]) > {"worker-1.1", "worker-1.2"}


def test_group_is_scaled_by_its_own_backlog() -> None:
    """Jobs of queues that a group does not serve do not call for more of it."""
    scale = Autoscale(per_worker=10, min=1, max=9, every="5s", patience="1min")
    slow = world(imports(autoscale=scale), queues=("default",), count=1, slots=1)
    ran = simulate(slow.with_(**{"jobs.mail.service.value": "1500ms"}))
    assert len(workers(attempts(ran, "import"))) == 4


def test_partition_cuts_a_group_off() -> None:
    """No call of that group's workers arrives, and those of all others do."""
    ran = simulate(world(imports(), queues=("default",), storage=StorageModel(partitions=(CLOSED,))))
    assert attempts(ran, "import")["started_s"].min() >= 180
    assert attempts(ran, "mail").query("120 < started_s < 180")["worker"].nunique() == 2


def test_utilisation_is_of_all_slots() -> None:
    """The slots are those of all groups."""
    assert slots_of(simulate(world(imports(count=3))).run) == 2 * 2 + 3 * 4


def test_group_is_read_and_written_and_varied_by_its_name() -> None:
    """A scenario with groups is the same when written as TOML and read again; a key names a group."""
    scenario = world(imports(crash=Crashes(every="1h")), storage=StorageModel(partitions=(CLOSED,)))
    assert Scenario.from_text(scenario.to_toml()) == scenario
    assert scenario.with_(**{"workers.groups.imports.count": 5}).workers.groups[0].count == 5


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        ({"queues": ("default",)}, "jobs.1.queue: no worker serves 'imports'; served are: default"),
        (
            {"queues": ("default", "improts"), "groups": (imports(),)},
            "workers.queues.1: no job is on a queue called 'improts' .did you mean 'imports'",
        ),
        (
            {"groups": (imports(), imports(name="b", queues=("x",)))},
            "workers.groups.1.queues.0: no job is on a queue called 'x'; there are: default, imports",
        ),
        ({"groups": (imports(), imports())}, "groups: two are called 'imports'"),
        ({"queues": ()}, "queues: must have at least one entry"),
        (
            {"storage": StorageModel(partitions=(CLOSED,))},
            "no group of workers is called 'imports'; there are: none",
        ),
    ],
    ids=["unserved", "misspelt", "unused", "twice", "none", "partition"],
)
def test_groups_fit_the_jobs(parts: dict[str, Any], problem: str) -> None:
    """Every queue is served by somebody, and every one that is named has jobs, before anything runs."""
    with pytest.raises(ConfigError, match=problem):
        world(*parts.pop("groups", ()), **parts)
