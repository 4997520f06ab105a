"""The names that people import."""

import subprocess
import sys

import pytest

import jobsim

HEAVY = {"joblib", "matplotlib", "numpy", "pandas", "pydantic", "rich", "scipy", "simpy", "tomlkit", "typer"}


def test_every_public_name_is_there() -> None:
    """What is listed can be had, and the list is in order."""
    assert all(getattr(jobsim, name) is not None for name in jobsim.__all__)
    assert dir(jobsim) == jobsim.__all__
    assert set(jobsim._HOMES) | {"budgets", "policies"} == set(jobsim.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """Asking for what is not there fails as everywhere."""
    with pytest.raises(AttributeError, match="no attribute 'Quueue'"):
        _ = jobsim.Quueue  # type: ignore[attr-defined]


def test_version_is_the_installed_one() -> None:
    """The package knows its version."""
    assert jobsim.__version__.count(".") == 2


def test_policies_read_back_from_their_repr() -> None:
    """With the public names every preset's repr evaluates to the preset."""
    names = {name: getattr(jobsim, name) for name in jobsim.__all__}
    for policy in jobsim.policies.PRESETS.values():
        assert eval(repr(policy), names) == policy


@pytest.mark.parametrize(
    "code",
    [
        "import jobsim",
        "import jobsim; jobsim.Queue('sqlite://')",
        "import jobsim\n@jobsim.Queue('sqlite://').job(retry=jobsim.policies.oban)\ndef f(n: int): pass",
    ],
    ids=["package", "queue", "handler"],
)
def test_importing_loads_nothing_heavy(code: str) -> None:
    """A process that only enqueues or works loads no tables, plots or simulation."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert HEAVY & set(done.stdout.split()) == set()
