"""The simulated world: when jobs arrive, how long attempts take, what befalls them, who works.

Frozen values, written in a scenario file or in Python alike. Each turns uniform numbers it is handed
into times and faults; none makes randomness of its own.
"""

from jobsim.models.arrivals import Arrivals, Batches, Deterministic, Listed, Poisson, Recorded
from jobsim.models.arrivals_varying import Diurnal, Mmpp, OnOff, Piecewise, Ramp, Spike
from jobsim.models.clocks import Clocks, ClockSteps
from jobsim.models.contention import Row
from jobsim.models.dependency import Dependency, Overload, Server
from jobsim.models.enqueuers import Resubmit
from jobsim.models.failures import Brownout, FailureModel, Independent, Outage, Permanent
from jobsim.models.failures_base import Condition, Failure, Fault, Narrowing, Slowing
from jobsim.models.failures_phased import Alternating, GilbertElliott
from jobsim.models.recorded import InOrder, Replayed, ReplayedService, TraceFile
from jobsim.models.service import (
    Constant,
    Erlang,
    ExponentialService,
    Gamma,
    Lognormal,
    Normal,
    Service,
    Weibull,
)
from jobsim.models.service_base import Distribution
from jobsim.models.service_bounded import BoundedPareto, Empirical, Quantiles
from jobsim.models.storage import CallFailures, Partition, StorageModel
from jobsim.models.traces import Trace
from jobsim.models.workers import Autoscale, Crashes, Group, Pauses, Workers

__all__ = [
    "Alternating",
    "Arrivals",
    "Autoscale",
    "Batches",
    "BoundedPareto",
    "Brownout",
    "CallFailures",
    "ClockSteps",
    "Clocks",
    "Condition",
    "Constant",
    "Crashes",
    "Dependency",
    "Deterministic",
    "Distribution",
    "Diurnal",
    "Empirical",
    "Erlang",
    "ExponentialService",
    "Failure",
    "FailureModel",
    "Fault",
    "Gamma",
    "GilbertElliott",
    "Group",
    "InOrder",
    "Independent",
    "Listed",
    "Lognormal",
    "Mmpp",
    "Narrowing",
    "Normal",
    "OnOff",
    "Outage",
    "Overload",
    "Partition",
    "Pauses",
    "Permanent",
    "Piecewise",
    "Poisson",
    "Quantiles",
    "Ramp",
    "Recorded",
    "Replayed",
    "ReplayedService",
    "Resubmit",
    "Row",
    "Server",
    "Service",
    "Slowing",
    "Spike",
    "StorageModel",
    "Trace",
    "TraceFile",
    "Weibull",
    "Workers",
]
