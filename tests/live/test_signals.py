"""Signals stop workers where they are this process's to heed."""

import signal
from collections.abc import Callable

import pytest

from jobsim.live.signals import heeding


def stopped(restore: Callable[[], None]) -> None:
    """Note nothing: it is enough to be called."""


def test_signals_mean_afterwards_what_they_meant_before() -> None:
    """Whoever had a handler has it again, and within `stop` may have it sooner."""
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    heard: list[bool] = []

    def stop(restore: Callable[[], None]) -> None:
        restore()
        heard.append((signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before)

    with heeding(stop):
        signal.raise_signal(signal.SIGTERM)
    assert heard == [True]
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


@pytest.mark.parametrize("handler", [signal.SIG_IGN, None])
def test_signals_that_are_not_ours_are_left_alone(
    monkeypatch: pytest.MonkeyPatch, handler: signal.Handlers | None
) -> None:
    """Neither one that is ignored is heeded, nor one whose handler a program around this Python has set."""
    there = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("signal.getsignal", lambda _: handler)
    with heeding(stopped):
        monkeypatch.undo()
        assert signal.getsignal(signal.SIGTERM) is there
    assert signal.getsignal(signal.SIGTERM) is there
