"""What a measure is: one number that a run gives, how to show it, and what makes it."""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import NamedTuple

from jobsim.analysis.observed import Observed


class Scale(Enum):
    """What kind of number a measure is, which decides the interval that suits it."""

    COUNT = "count"
    """Events in one run, from 0."""
    JOBS_SHARE = "share of jobs"
    """Between 0 and 1, each job being one trial."""
    RUNS_SHARE = "share of runs"
    """0 or 1 in one run, so that the mean over runs is a share of them."""
    AMOUNT = "amount"
    """Any number from 0."""


class Better(Enum):
    """Which way a measure improves."""

    LOWER = "lower is better"
    HIGHER = "higher is better"
    NEITHER = "neither is better"


class Measure(NamedTuple):
    """How to show one measure; `unit` is empty for plain numbers."""

    label: str
    unit: str
    scale: Scale
    meaning: str
    better: Better = Better.LOWER


class Group(NamedTuple):
    """Measures computed together: `compute` gives a value for each name, NaN where it makes no sense."""

    compute: Callable[[Observed], Mapping[str, float]]
    measures: Mapping[str, Measure]
