"""Simulations say nothing of the faults that they were asked to play."""

import logging

import pytest

from jobsim import Scenario, simulate

WORLD = Scenario.from_text(
    """
    name = "faults"
    horizon = "2m"
    workers = { count = 2, slots = 2, lease = "5s", crash = { every = "30s", restart_after = "1s" } }
    storage = { busy = { probability = 0.2 } }
    [[jobs]]
    kind = "work"
    arrivals = { process = "poisson", rate = "1/s" }
    service = { dist = "constant", value = "1s" }
    """
)


def test_faults_that_are_played_are_not_news(caplog: pytest.LogCaptureFixture) -> None:
    """A simulation of failing workers and stores logs nothing; the same loggers are heard afterwards."""
    with caplog.at_level(logging.INFO):
        assert simulate(WORLD).run.log
        assert caplog.records == []
        logging.getLogger("jobsim.worker").warning("live")
    assert caplog.messages == ["live"]
