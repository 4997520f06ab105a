"""What a run of pytest says of crash tests."""

import pytest

from jobsim.core.errors import ConfigError
from jobsim.testing.options import Options, in_force, put_in_force


def test_nothing_said_is_the_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    """All crashes, in memory, under the first seed; a server may be named by the environment."""
    monkeypatch.setenv("JOBSIM_TEST_POSTGRES_DSN", "postgresql:///tests")
    assert Options.of() == Options(dsn="postgresql:///tests")
    monkeypatch.delenv("JOBSIM_TEST_POSTGRES_DSN")
    assert Options.of() == Options()
    assert str(Options()) == "storage memory, crash all, seed 1"


def test_what_is_said_is_read() -> None:
    """Each in the form in which it is told again."""
    options = Options.of(storage="sqlite, postgres", crash="sample:20", seed="7", replay="x")
    assert options == Options(("sqlite", "postgres"), 20, 7, "x", options.dsn)
    assert str(options) == "storage sqlite,postgres, crash sample:20, seed 7, replay x"
    assert Options.of(crash="off").crashes == 0


@pytest.mark.parametrize("crash", ["none", "all:1", "sample", "sample:", "sample:x", "sample:-1", "off:"])
def test_nonsense_is_refused(crash: str) -> None:
    """The error quotes it."""
    with pytest.raises(ConfigError, match=f"'{crash}' is neither all nor off nor sample:N"):
        Options.of(crash=crash)


def test_run_within_a_run_has_options_of_its_own() -> None:
    """Afterwards those of the outer one are in force again."""
    outer = in_force()
    with put_in_force(Options(seed=7)):
        assert in_force().seed == 7
    assert in_force() is outer
