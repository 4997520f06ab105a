"""The simulated world: when jobs arrive, how long attempts take, what befalls them, who works.

Frozen values, written in a scenario file or in Python alike. Each turns uniform numbers it is handed
into times and faults; none makes randomness of its own.
"""

from jobsim.models.arrivals import Arrivals, Deterministic, Listed, Poisson
from jobsim.models.failures import Brownout, FailureModel, Independent, Outage, Permanent
from jobsim.models.failures_base import Condition, Failure, Fault, Slowing
from jobsim.models.service import Constant, ExponentialService, Lognormal, Service
from jobsim.models.workers import Crashes, Workers

__all__ = [
    "Arrivals",
    "Brownout",
    "Condition",
    "Constant",
    "Crashes",
    "Deterministic",
    "ExponentialService",
    "Failure",
    "FailureModel",
    "Fault",
    "Independent",
    "Listed",
    "Lognormal",
    "Outage",
    "Permanent",
    "Poisson",
    "Service",
    "Slowing",
    "Workers",
]
