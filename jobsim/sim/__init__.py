"""Simulated worlds: scenarios in, tables, measures and pictures out.

Names are imported when first used, so that a process that only runs replications stays light. No
module is called what its function is called: importing it would put the module in the function's place.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from jobsim.sim.calibration import equal_risk
    from jobsim.sim.comparison import Comparison
    from jobsim.sim.equal_risk_result import EqualRisk
    from jobsim.sim.experiment import compare
    from jobsim.sim.history.fit import Fit, fit_history
    from jobsim.sim.result import SimResult
    from jobsim.sim.scenario import Scenario
    from jobsim.sim.simulation import simulate
    from jobsim.sim.streaming import Recording, RunSummary, record, summarise
    from jobsim.sim.sweep_result import Sweep
    from jobsim.sim.sweeping import sweep
    from jobsim.sim.tuned import Tuned
    from jobsim.sim.tuning import tune

__all__ = [
    "Comparison",
    "EqualRisk",
    "Fit",
    "Recording",
    "RunSummary",
    "Scenario",
    "SimResult",
    "Sweep",
    "Tuned",
    "compare",
    "equal_risk",
    "fit_history",
    "record",
    "simulate",
    "summarise",
    "sweep",
    "tune",
]

_HOMES: Final = {
    "Comparison": "comparison",
    "EqualRisk": "equal_risk_result",
    "Fit": "history.fit",
    "Recording": "streaming",
    "RunSummary": "streaming",
    "Scenario": "scenario",
    "SimResult": "result",
    "Sweep": "sweep_result",
    "Tuned": "tuned",
    "compare": "experiment",
    "equal_risk": "calibration",
    "fit_history": "history.fit",
    "record": "streaming",
    "simulate": "simulation",
    "summarise": "streaming",
    "sweep": "sweeping",
    "tune": "tuning",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
