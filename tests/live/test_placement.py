"""Where and when a job is put on the queue."""

from datetime import UTC, datetime, timedelta

import pytest

from jobsim.core.errors import ConfigError
from jobsim.core.job import Conflict
from jobsim.core.time import SECOND, Instant
from jobsim.live.placement import RESERVED, Placement, conflict


def test_placement_says_when_a_job_starts() -> None:
    """Now, after a delay, or at a moment, which may have passed."""
    present = Instant(1_000 * SECOND)
    assert Placement().start(present) == present
    assert Placement(delay="1.5s").start(present) == present + 1_500_000
    assert Placement(delay=timedelta(minutes=1)).start(present) == present + 60 * SECOND
    assert Placement(run_at=datetime(1970, 1, 1, 0, 0, 7, tzinfo=UTC)).start(present) == 7 * SECOND


def test_what_a_conflict_means_is_a_word_or_its_value() -> None:
    """Text and the member are alike; nothing said is nothing."""
    assert conflict("replace") is conflict(Conflict.REPLACE) is Conflict.REPLACE
    assert conflict(None) is None


@pytest.mark.parametrize("word", ["SKIP", "overwrite", 3])
def test_a_conflict_that_is_none_is_told(word: str) -> None:
    """All the words there are stand in the error."""
    with pytest.raises(ConfigError, match=r"on_conflict: .* is none of 'skip', 'replace', 'raise'"):
        conflict(word)


def test_options_are_what_a_placement_has() -> None:
    """What `enqueue` keeps for itself and what is understood are the same names."""
    assert frozenset(Placement.__dataclass_fields__) == RESERVED
