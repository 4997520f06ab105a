"""What can be stored as arguments and results, and what is said of the rest."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from jobsim.core.errors import ConfigError, PayloadError
from jobsim.live.payload import DEPTH_LIMIT, SIZE_LIMIT, Arguments, check_size_limit, encode

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(st.characters(codec="ascii", min_codepoint=1)), inner)
    ),
)


class Colour(Enum):
    """A choice."""

    RED = "red"


class Order(BaseModel):
    """A model."""

    number: int
    placed: datetime


@dataclass
class Point:
    """A dataclass."""

    x: float
    y: float


class Address(TypedDict):
    """A mapping."""

    street: str


def anything(value: Any) -> None: ...


def order(order_id: int, note: str = "none", *, tags: list[str] = []) -> None: ...  # noqa: B006


def rich(
    when: datetime,
    day: date,
    price: Decimal,
    key: UUID,
    colour: Colour,
    order: Order,
    point: Point,
    address: Address,
    keys: dict[int, set[str]],
    pair: tuple[int, str],
    raw: bytes,
) -> None: ...


@given(JSON)
def test_json_comes_back_as_it_went(value: Any) -> None:
    """What JSON can say is stored and read back unchanged."""
    arguments = Arguments("anything", anything)
    assert arguments.decode(arguments.encode({"value": value})) == {"value": value}


def test_annotated_types_come_back_as_they_went() -> None:
    """Types with a JSON form are read back as what the annotations say."""
    arguments = Arguments("rich", rich)
    went = {
        "when": datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
        "day": date(2026, 1, 2),
        "price": Decimal("1.10"),
        "key": UUID(int=7),
        "colour": Colour.RED,
        "order": Order(number=1, placed=datetime(2026, 1, 2, tzinfo=UTC)),
        "point": Point(1.5, -2.0),
        "address": {"street": "Main"},
        "keys": {1: {"a"}},
        "pair": (1, "b"),
        "raw": b"bytes",
    }
    text = arguments.encode(went)
    assert arguments.decode(text) == went
    assert json.loads(text)["price"] == "1.10"


def test_payload_is_compact_and_in_the_order_of_the_parameters() -> None:
    """Equal calls give equal text, however they are written; defaults are left to the handler."""
    arguments = Arguments("order", order)
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((7, "é"), {}),
        ((), {"note": "é", "order_id": 7}),
        ((7,), {"note": "é"}),
    ]
    texts = {arguments.encode(arguments.bind(args, named)) for args, named in calls}
    assert texts == {'{"order_id":7,"note":"é"}'}


@pytest.mark.parametrize(
    ("args", "named", "said"),
    [
        ((), {}, "missing a required argument: 'order_id'"),
        ((1, "a", ["b"]), {}, "too many positional arguments"),
        ((1,), {"order_id": 2}, "multiple values for argument 'order_id'"),
        ((), {"oder_id": 1}, "no argument 'oder_id' (did you mean 'order_id'?)"),
        ((1,), {"tag": []}, "it takes (order_id: int, note: str = 'none', *, tags: list[str] = [])"),
    ],
)
def test_a_call_that_the_handler_cannot_take_is_told(
    args: tuple[Any, ...], named: dict[str, Any], said: str
) -> None:
    """A wrong call names the handler, what is wrong, and what it takes."""
    with pytest.raises(PayloadError) as error:
        Arguments("order", order).bind(args, named)
    assert str(error.value).startswith("order: ")
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"order_id": "seven"}, "argument order_id: Input should be a valid integer"),
        ({"order_id": 1, "note": None}, "argument note: Input should be a valid string"),
        ({"order_id": 1, "tags": ["a", 2]}, "argument tags.1: "),
    ],
)
def test_arguments_that_do_not_fit_are_told_by_name(named: dict[str, Any], said: str) -> None:
    """The annotation decides, and the argument that is wrong is named."""
    with pytest.raises(PayloadError) as error:
        Arguments("order", order).encode(named)
    assert said in str(error.value)


def test_errors_do_not_tell_values() -> None:
    """What is wrong with an argument is told without its value, which may be a secret."""

    def login(password: Any, code: int) -> None: ...

    with pytest.raises(PayloadError) as error:
        Arguments("login", login).encode({"password": "hunter2", "code": "hunter3"})
    assert "hunter" not in str(error.value)


def _cycle() -> list[Any]:
    inner: list[Any] = []
    inner.append(inner)
    return inner


def _nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (math.nan, "nan is no JSON number"),
        ([math.inf], "inf is no JSON number"),
        ({"a": (1, {-math.inf})}, "-inf is no JSON number"),
        (Point(0.0, math.nan), "nan is no JSON number"),
        (object(), "serialize unknown type"),
        (lambda: 1, "serialize unknown type"),
        (b"\xff", "utf-8"),
        ("\ud800", "surrogates not allowed"),
        ("a\0b", "NUL character"),
        ({"a\0": 1}, "NUL character"),
        (_cycle(), "ircular reference"),
        (_nested(DEPTH_LIMIT), "nested more than 64 levels deep"),
        (_nested(5000), "depth"),
        (10**5000, ""),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_json_form_is_refused(value: Any, said: str) -> None:
    """Nothing is stored that a reader or a store of JSON could not take; neither arguments nor results."""
    with pytest.raises(PayloadError) as error:
        Arguments("anything", anything).encode({"value": value})
    assert str(error.value).startswith("anything: ")
    assert said in str(error.value)
    with pytest.raises(PayloadError):
        encode({"value": value}, "the result")


@pytest.mark.parametrize("value", ["x" * 87, "é" * 43 + "x"])
def test_size_counts_bytes_up_to_the_limit(value: str) -> None:
    """The limit itself is good, a byte more is not; the error names both, and what to do."""
    arguments = Arguments("anything", anything)
    assert len(arguments.encode({"value": value}, 99).encode()) == 99
    with pytest.raises(PayloadError) as error:
        arguments.encode({"value": value}, 98)
    assert "anything: as JSON this is 99 bytes long; the limit is 98; store it elsewhere" in str(error.value)
    assert "payload_limit" in str(error.value)
    with pytest.raises(PayloadError, match="the limit is 86"):
        encode("x" * 85, "the result", 86)


def test_ten_million_bytes_are_the_limit_unless_told_otherwise() -> None:
    """A payload of five million bytes passes, one of more than ten does not."""
    arguments = Arguments("anything", anything)
    large = {"value": "x" * 5_000_000}
    assert arguments.decode(arguments.encode(large)) == large
    with pytest.raises(PayloadError, match="10,000,012 bytes long; the limit is 10,000,000"):
        arguments.encode({"value": "x" * SIZE_LIMIT})


@pytest.mark.parametrize("limit", [0, -1, True, 1.5, "1MB", 500_000_001])
def test_a_limit_that_cannot_be_kept_is_refused(limit: Any) -> None:
    """It is a number of bytes that every store can keep."""
    with pytest.raises(ConfigError, match="payload_limit: must be a whole number of bytes"):
        check_size_limit(limit)


def test_complete_arguments_have_defaults() -> None:
    """What was left to the handler is what the handler would take."""
    arguments = Arguments("order", order)
    assert arguments.complete('{"order_id":1}') == {"order_id": 1, "note": "none", "tags": []}
    assert arguments.complete('{"order_id":"1","note":"a"}')["note"] == "a"


def test_the_deepest_that_is_allowed_can_be_read() -> None:
    """The limit itself is still good."""
    arguments = Arguments("anything", anything)
    deep = {"value": _nested(DEPTH_LIMIT - 1)}
    assert arguments.decode(arguments.encode(deep)) == deep


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[1]",
        "null",
        "{}",
        '{"order_id": "seven"}',
        '{"order_id": 1, "more": 2}',
        '{"order_id": NaN}',
        '{"order_id": 1, "note": ' + "[" * 5000 + "]" * 5000 + "}",
    ],
    ids=lambda text: text[:20],
)
def test_payloads_of_other_writers_are_checked(text: str) -> None:
    """What cannot be decoded is a PayloadError, whatever wrote it."""
    with pytest.raises(PayloadError, match=r"^order: "):
        Arguments("order", order).decode(text)


def test_a_value_that_would_not_come_back_is_refused_when_it_is_enqueued() -> None:
    """Text that was written is known to be read: what its type writes and does not read is refused."""

    class Strict(BaseModel):
        number: int = Field(exclude=True)

    def odd(value: Strict) -> None: ...

    with pytest.raises(PayloadError, match=r"argument value\.number: Field required"):
        Arguments("odd", odd).encode({"value": Strict(number=1)})


def _star(*values: int) -> None: ...
def _stars(**values: int) -> None: ...
def _positional(value: int, /) -> None: ...


@pytest.mark.parametrize("fn", [_star, _stars, _positional])
def test_parameters_without_a_name_are_refused(fn: Callable[..., None]) -> None:
    """Arguments are stored by name, so each must have one."""
    with pytest.raises(ConfigError, match="stored by name"):
        Arguments("kind", fn)


class Socket:
    """Nothing that JSON could give."""


def _unreadable(connection: Socket) -> None: ...
def _unresolved(later: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize(
    ("fn", "said"),
    [(_unreadable, "cannot be read from JSON: .*Socket"), (_unresolved, "'Nowhere' is not defined")],
)
def test_annotations_that_cannot_be_read_are_told(fn: Callable[..., None], said: str) -> None:
    """A type that JSON cannot give, or a name that is not there, is an error of the declaration."""
    with pytest.raises(ConfigError, match=f"^kind: .*{said}"):
        Arguments("kind", fn).check()


def test_annotations_may_name_what_comes_later() -> None:
    """Annotations are resolved when they are first needed."""
    arguments = Arguments("late", _late)
    assert arguments.decode('{"value":{"a":1}}') == {"value": Later(a=1)}


def _late(value: "Later") -> None: ...


class Later(BaseModel):
    """Defined after the handler that names it."""

    a: int


def test_parameters_may_have_names_that_models_use() -> None:
    """No name is taken by the machinery underneath."""

    def handler(copy: int, json: int, model_fields: int, _hidden: int, self: int) -> None: ...

    arguments = Arguments("kind", handler)
    values = dict.fromkeys(["copy", "json", "model_fields", "_hidden", "self"], 1)
    assert arguments.decode(arguments.encode(values)) == values
