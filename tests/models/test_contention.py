"""Rows with a version."""

from hypothesis import given
from hypothesis import strategies as st

from jobsim.models.contention import Version

visits = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=30)


def counted(writes: list[tuple[int, int]]) -> list[bool]:
    """Return which of the writes (read, at) succeed, by numbering versions as a database would."""
    version, read = 0, dict[int, int]()
    won = [False] * len(writes)
    steps = [(at, 0, n) for n, (_, at) in enumerate(writes)] + [
        (at, 1, n) for n, (at, _) in enumerate(writes)
    ]
    for _, is_read, n in sorted(steps):  # at one moment writes come first
        if is_read:
            read[n] = version
        elif read[n] == version:
            version += 1
            won[n] = True
    return won


@given(visits)
def test_write_succeeds_where_the_version_is_as_it_was_read(stays: list[tuple[int, int]]) -> None:
    """The moment of the last write tells as much as a number that each write raises."""
    writes = sorted(((read, read + stay) for read, stay in stays), key=lambda write: write[1])
    version = Version()
    assert [version.write(*write) for write in writes] == counted(writes)
