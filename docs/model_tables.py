"""Writes the tables of models.md from the code: ``python docs/model_tables.py``."""

import tomllib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import get_args

from policy_tables import Tables, described, with_tables

from jobsim.models import Arrivals, Dependency, FailureModel, Service

PAGE = Path(__file__).parent / "models.md"

ARRIVALS = """
process = "poisson", rate = "12/s"
process = "deterministic", every = "10ms", start = "25m", jobs = 400
process = "list", times = ["0s", "1.5s", "2s"]
process = "trace", file = "arrivals.csv"
process = "replay", kind = "charge", trace = { format = "csv", path = "jobs.csv" }
process = "diurnal", rate = "40/min", amplitude = 0.7, period = "1d", peak = "14h"
process = "ramp", rate = "2/s", to = "30/s", start = "10m", duration = "5m"
process = "spike", rate = "40/s", to = "80/s", start = "20s", duration = "5s"
process = "piecewise", rates = [["0s", "5/s"], ["8h", "40/s"], ["18h", "5/s"]], between = "steps"
process = "mmpp", rates = ["2/s", "20/s"], sojourns = ["10m", "1m"]
process = "on_off", rate = "50/s", on = "30s", off = "5m"
process = "batches", of = { process = "poisson", rate = "1/min" }, mean_size = 50.0
"""
SERVICE = """
dist = "constant", value = "250ms"
dist = "exponential", mean = "250ms"
dist = "lognormal", mean = "250ms", cv = 1.5
dist = "normal", mean = "250ms", sd = "20ms"
dist = "erlang", mean = "250ms", k = 3
dist = "gamma", mean = "250ms", cv = 0.5
dist = "weibull", mean = "2h", shape = 0.7
dist = "bounded_pareto", alpha = 1.1, low = "10ms", high = "5m"
dist = "empirical", values = ["120ms", "180ms", "2.4s"]
dist = "in_order", values = ["120ms", "180ms", "2.4s"]
dist = "replay", kind = "charge", trace = { format = "csv", path = "jobs.csv" }
dist = "quantiles", points = [[0, "20ms"], [0.5, "80ms"], [0.95, "400ms"], [1, "5s"]]
"""
FAILURES = """
model = "independent", probability = 0.02, error = "TimeoutError: mail relay"
model = "outage", start = "20m", duration = "10m", recovery = "5m", takes = "1s"
model = "brownout", start = "20m", duration = "10m", factor = 5.0, probability = 0.1
model = "permanent", share = 0.003, error = "LookupError: 410 Gone"
model = "alternating", name = "api", up = { dist = "weibull", mean = "8h", shape = 0.7 }, \
down = { dist = "lognormal", mean = "5m", cv = 1.5 }
model = "gilbert_elliott", good = "10m", bad = "20s", failure_good = 0.001, failure_bad = 0.6
"""
DEPENDENCIES = """
model = "server", name = "api", capacity = 10, service = { dist = "exponential", mean = "50ms" }, \
failures = [{ model = "brownout", start = "20m", duration = "10m", capacity = 0.3 }]
model = "row", name = "account", network = { dist = "normal", mean = "10ms", sd = "2ms" }
"""


def rows(key: str, union: object, examples: str) -> Iterator[Sequence[str]]:
    """Yield the rows of the table of a union's models, which `key` tells apart."""
    yield f"`{key} =`", "what it is", "source"
    models = {model.model_fields[key].default: model for model in get_args(get_args(union)[0])}
    for line in examples.strip().splitlines():
        model = models.pop(tomllib.loads(f"written = {{ {line} }}")["written"][key])
        yield f"`{{ {line} }}`<br>`{model.__name__}`", *described(model)
    if models:
        raise LookupError(f"no example of {', '.join(models)}")


TABLES: Tables = {
    "arrivals": partial(rows, "process", Arrivals, ARRIVALS),
    "service": partial(rows, "dist", Service, SERVICE),
    "failures": partial(rows, "model", FailureModel, FAILURES),
    "dependencies": partial(rows, "model", Dependency, DEPENDENCIES),
}


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8"), TABLES), encoding="utf-8")
