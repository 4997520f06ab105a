"""What holds for every text: where keys stand, and that only ConfigErrors come out."""

import re
import string
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from hypothesis import given, settings
from hypothesis import strategies as st

from jobsim.core.errors import ConfigError
from jobsim.sim.scenario import JobClass, Scenario
from jobsim.sim.toml_source import TomlSource

PAYMENT = Path(__file__).parents[2].joinpath("scenarios", "payment-api-outage.toml").read_text()

KEYS = [
    *(
        "schema name description horizon drain seed compare workers jobs policies count slots lease poll"
    ).split(),
    *("crash every restart_after kind queue priority max_attempts arrivals service failures process").split(),
    *("rate start times dist mean value cv model probability error duration recovery takes max_age").split(),
    *(
        "retry_on dead_letter_on backoff base cap factor first plus power step jitter up down upto grows"
    ).split(),
]
WORDS = [
    *("poisson deterministic list constant exponential lognormal independent outage permanent none").split(),
    *(
        "fixed linear polynomial decorrelated full equal proportional added range 5s 12/s OSError oban"
    ).split(),
]
PIECES = [*"abx019.-_+=[]{}\"'#,:\\ ", "\n", "\r\n", "\t", '"""', "'''", "[[", "]]", "inf", "nan", "true"]
PIECES += ["1979-05-27", "\n[workers]\n", "\n[[jobs]]\n", "\n[policies.a]\n", *(f"{key} = " for key in KEYS)]

scalars = st.one_of(
    st.sampled_from(WORDS),
    st.text(max_size=5),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.dates(),
    st.times(),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)
VALID = tomllib.loads(PAYMENT)


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of every key and list entry below `value`."""
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, entry in entries:
        yield (*path, key)
        yield from places(entry, (*path, key))


def replaced(tree: Any, path: tuple[str | int, ...], value: object) -> Any:
    """Return `tree` with `value` at `path`."""
    if not path:
        return value
    copy = tree.copy()
    copy[path[0]] = replaced(tree[path[0]], path[1:], value)
    return copy


def try_to_read(text: str) -> None:
    """Read `text`; any error but a ConfigError with a short text for each problem fails the test."""
    try:
        Scenario.from_text(text)
    except ConfigError as error:
        assert str(error).startswith("<scenario>:")
        assert all(len(line) < 1_000 for line in str(error).split("\n"))


@settings(max_examples=300, deadline=None)
@given(st.text() | st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_any_text_raises_only_config_errors(text: str) -> None:
    """Whatever the text is, it is a scenario or a ConfigError."""
    try_to_read(text)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_damage_raises_only_config_errors(data: st.DataObject) -> None:
    """A good file with a piece cut out and another put in is a scenario or a ConfigError."""
    start = data.draw(st.integers(0, len(PAYMENT)))
    end = data.draw(st.integers(start, min(start + 80, len(PAYMENT))))
    piece = data.draw(st.sampled_from(PIECES) | st.text(max_size=5))
    try_to_read(PAYMENT[:start] + piece + PAYMENT[end:])


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(list(places(VALID))), values)
def test_any_wrong_value_raises_only_config_errors(path: tuple[str | int, ...], value: object) -> None:
    """A good file with one value replaced by any other is a scenario or a ConfigError."""
    try_to_read(tomlkit.dumps(replaced(VALID, path, value)))


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(list(places(VALID))), values)
def test_any_change_in_python_raises_only_config_errors(path: tuple[str | int, ...], value: object) -> None:
    """The same holds for changes made in Python."""
    try:
        Scenario.from_text(PAYMENT).with_(**{".".join(map(str, path)): value})
    except ConfigError as error:
        assert str(error)


@settings(max_examples=100, deadline=None)
@given(values)
def test_any_argument_in_python_raises_only_config_errors(value: Any) -> None:
    """The same holds for the constructor."""
    with pytest.raises(ConfigError):
        JobClass(kind=value, arrivals=value, service=value, failures=value)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.text(string.ascii_letters + " .#'\"\\=[]{}é", max_size=6),
        st.recursive(
            scalars,
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
            ),
            max_leaves=15,
        ),
        max_size=5,
    )
)
def test_every_key_has_the_line_it_stands_on(data: dict[str, Any]) -> None:
    """Each key and list entry of any TOML text is found, on a line that shows it."""
    text = tomlkit.dumps(data)
    source = TomlSource.parse(text, "any.toml")
    assert set(source.lines) == set(places(source.data))
    for path, line in source.lines.items():
        shown = text.split("\n")[line - 1]
        if isinstance(path[-1], str):
            assert path[-1] in shown or re.search(r"\\", shown)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a = 1\n\n# c\nb = 2", {("a",): 1, ("b",): 4}),
        ("a.b = 1\na.c = 2", {("a",): 1, ("a", "b"): 1, ("a", "c"): 2}),
        ('"a b".\'c.d\' = 1', {("a b",): 1, ("a b", "c.d"): 1}),
        ("[a.b]\nc = 1\n[a]\nd = 2", {("a",): 1, ("a", "b"): 1, ("a", "b", "c"): 2, ("a", "d"): 4}),
        (
            "[[a]]\nx = 1\n[b]\ny = 1\n[[a]]\nx = 2",
            {
                ("a",): 1,
                ("a", 0): 1,
                ("a", 0, "x"): 2,
                ("b",): 3,
                ("b", "y"): 4,
                ("a", 1): 5,
                ("a", 1, "x"): 6,
            },
        ),
        (
            "[[a]]\n[[a.b]]\n[[a.b]]\nx = 1\n[a.c]\n[[a]]\n[[a.b]]",
            {
                ("a",): 1,
                ("a", 0): 1,
                ("a", 0, "b"): 2,
                ("a", 0, "b", 0): 2,
                ("a", 0, "b", 1): 3,
                ("a", 0, "b", 1, "x"): 4,
                ("a", 0, "c"): 5,
                ("a", 1): 6,
                ("a", 1, "b"): 7,
                ("a", 1, "b", 0): 7,
            },
        ),
        (
            "a = [ # 1, {\n  { b = 1 },\n\n  2, ]\nc = { d.e = [1] }",
            {
                ("a",): 1,
                ("a", 0): 2,
                ("a", 0, "b"): 2,
                ("a", 1): 4,
                ("c",): 5,
                ("c", "d"): 5,
                ("c", "d", "e"): 5,
                ("c", "d", "e", 0): 5,
            },
        ),
        (
            'a = """\n"b = 1" \\""" # c\n"""""\nb = \'\'\'\n[x]\n\'\'\'\'\'\nc = "#\\"]"\nd = \'\\\'',
            {("a",): 1, ("b",): 4, ("c",): 7, ("d",): 8},
        ),
        ("a = 1979-05-27 07:32:00 # x\nb = -1.5e+3\r\nc = [+inf, nan]",
         {("a",): 1, ("b",): 2, ("c",): 3, ("c", 0): 3, ("c", 1): 3}),
    ],
)  # fmt: skip
def test_lines_follow_the_order_of_the_text(text: str, lines: dict[tuple[str | int, ...], int]) -> None:
    """Tables may interrupt each other, values span lines, and strings and comments look like keys."""
    assert TomlSource.parse(text, "any.toml").lines == lines
