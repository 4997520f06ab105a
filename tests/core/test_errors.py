import inspect

import pytest

from jobsim.core import errors
from jobsim.core.errors import JobsimError, did_you_mean

CLASSES = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if cls.__module__ == errors.__name__]


@pytest.mark.parametrize("cls", CLASSES)
def test_error_has_one_base_and_is_rebuilt_from_its_text(cls: type[Exception]) -> None:
    """All but the end of a machine are JobsimErrors, and cloned by type and args as frameworks do."""
    assert issubclass(cls, JobsimError) or not issubclass(cls, Exception)
    error = cls("the store is busy")
    assert str(type(error)(*error.args)) == "the store is busy"


def test_errors_of_values_are_value_errors() -> None:
    """Code that knows nothing of jobsim catches bad values as it always does."""
    assert issubclass(errors.ConfigError, ValueError)
    assert issubclass(errors.PayloadError, ValueError)
    assert issubclass(errors.NotFound, LookupError)
    assert issubclass(errors.UnknownKind, LookupError)


@pytest.mark.parametrize(
    ("word", "hint"),
    [("obann", " (did you mean 'oban'?)"), ("river", " (did you mean 'river'?)"), ("zzz", ""), ("", "")],
)
def test_did_you_mean_names_the_nearest_word(word: str, hint: str) -> None:
    """A near miss gets a hint that can follow any sentence; what is far from all gets none."""
    assert did_you_mean(word, ["oban", "river", "sidekiq"]) == hint
