"""What comes in from outside, damaged: the strategies and the judge that all fuzz tests share."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from jobsim.cli.app import app
from jobsim.cli.program import ExitCode

_EVERYDAY: Final = 100
"""How many examples the everyday profile has."""

_PARTS: Final = 2**20

PIECES: Final = [
    *(
        b"\x00",
        b"\xff",
        b"\n",
        b"\r\n",
        b'"',
        b"'",
        b"[",
        b"]",
        b"{",
        b"}",
        b"=",
        b",",
        b"#",
        b"\\",
        b"\\ud800",
    ),
    *(
        b"nan",
        b"NaN",
        b"Infinity",
        b"-1",
        b"0",
        b"1e999",
        b"9" * 25,
        b"9" * 5_000,
        b"null",
        b"true",
        b"\xed\xa0\x80",
    ),
    *(b"[" * 3_000, b'{"a":' * 3_000, b"[[", b'"""', b"1979-05-27", b"../../x", b"%s%n", b"$(id)"),
]


def examples(number: int) -> settings:
    """Return settings for so many examples a day, and as many times more in a campaign as its profile has."""
    more = max(1, settings.default.max_examples // _EVERYDAY) if settings.default else 1
    return settings(max_examples=number * more, suppress_health_check=[HealthCheck.too_slow])


Accidents = Sequence[tuple[str, float, bytes]]
"""What happened to a file: what, how far from its beginning (0 to 1), and to or by which bytes."""


def accidents(most: int = 4) -> st.SearchStrategy[Accidents]:
    """Return a strategy for up to `most` accidents: bytes changed, cut, doubled, put in, or an early end."""
    far = st.integers(0, _PARTS - 1).map(lambda part: part / _PARTS)
    some = st.integers(1, 400).map(bytes)
    change = st.integers(0, 255).map(lambda byte: bytes([byte]))
    kinds = {
        "change": change,
        "put in": st.sampled_from(PIECES),
        "cut": some,
        "double": some,
        "end": st.just(b""),
    }
    each = st.one_of(*(st.tuples(st.just(kind), far, piece) for kind, piece in kinds.items()))
    return st.lists(each, min_size=1, max_size=most)


def damaged(data: bytes, accidents: Accidents) -> bytes:
    """Return `data` after `accidents`."""
    for what, far, piece in accidents:
        place = int(far * len(data))
        end = place + len(piece)
        match what:
            case "change":
                data = data[:place] + piece + data[end:]
            case "put in":
                data = data[:place] + piece + data[place:]
            case "cut":
                data = data[:place] + data[end:]
            case "double":
                data = data[:end] + data[place:end] + data[end:]
            case _:
                data = data[:place]
    return data


def contents(place: Path) -> dict[str, bytes]:
    """Return all files below a directory."""
    return {str(file.relative_to(place)): file.read_bytes() for file in place.rglob("*") if file.is_file()}


@contextmanager
def unchanged(place: Path, *but: str) -> Iterator[None]:
    """See that nothing is written below `place`, except to files of the names in `but`."""

    def seen() -> dict[str, bytes]:
        return {name: data for name, data in contents(place).items() if name not in but}

    before = seen()
    yield
    assert seen() == before


def told(*arguments: str, **environment: str) -> Result:
    """Run a command line that nobody would write, and see that it ends as documented, in a sentence."""
    done = CliRunner().invoke(app, list(arguments), env=environment, prog_name="jobsim")
    said = done.stdout + done.stderr
    assert done.exit_code in set(ExitCode), (arguments, done.exit_code, said, done.exception)
    assert "unexpected error" not in said, (arguments, said)
    assert "Traceback" not in said, (arguments, said)
    assert done.exit_code in {ExitCode.OK, ExitCode.UNSOUND} or said.strip(), arguments
    return done
