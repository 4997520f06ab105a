"""Runs of a sweep, as other processes make them."""

import pickle
import subprocess
import sys

from jobsim import policies
from jobsim.models import Constant, Poisson, Workers
from jobsim.sim.scenario import JobClass, Scenario
from jobsim.sim.sweep_task import Task, measured

MAKE = """
import pickle, sys
run, task = pickle.loads(sys.stdin.buffer.read())
made = run(3, task)
heavy = {"pandas", "matplotlib", "scipy.stats"} & set(sys.modules)
sys.stdout.buffer.write(pickle.dumps((made, heavy)))
"""


def test_process_makes_a_run_without_tables_and_plots() -> None:
    """It measures what this one does, and imports neither pandas nor matplotlib nor scipy's statistics."""
    job = JobClass(kind="a", arrivals=Poisson(rate="1/s"), service=Constant(value="1s"))
    world = Scenario(name="w", horizon="20s", workers=Workers(count=1, slots=2), jobs=(job,))
    task = Task(0, world, "oban", policies.oban, 0, 7, "memory", "")
    made = subprocess.run(
        [sys.executable, "-c", MAKE], input=pickle.dumps((measured, task)), stdout=subprocess.PIPE, check=True
    )
    (index, measures), heavy = pickle.loads(made.stdout)
    assert (index, heavy) == (3, set())
    assert repr(measures) == repr(measured(3, task)[1])
