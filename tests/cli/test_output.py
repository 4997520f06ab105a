"""What is written, and how it fits."""

import io
import json
import math
import sys

import pytest

from jobsim.cli.output import (
    counted,
    iso,
    note,
    one_line,
    printable,
    write_json,
    write_table,
    write_wide_table,
)
from jobsim.core.time import Instant


def test_printable_escapes_what_would_steer_a_terminal() -> None:
    """Escape sequences and direction marks are shown, not obeyed; other languages stay as they are."""
    assert printable("\x1b[31mred\u202e né 日本\n") == "\\x1b[31mred\\u202e né 日本\n"


def test_note_is_written_where_a_handler_has_closed_stdout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A worker's last words do not depend on what its handlers did to the output for data."""
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stdout", closed)
    note("Worked for 1 s")
    assert capsys.readouterr().err == "Worked for 1 s\n"


def test_iso_is_utc_with_a_z() -> None:
    """Times are ISO 8601 in UTC, to the microsecond or as asked."""
    moment = Instant(1_700_000_000_000_001)
    assert iso(moment) == "2023-11-14T22:13:20.000001Z"
    assert iso(moment, "seconds") == "2023-11-14T22:13:20Z"
    assert iso(None) is None


def test_json_has_null_for_what_is_not_a_number(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON is one line that every reader accepts: no NaN, no infinity, at any depth."""
    write_json({"a": math.nan, "b": [math.inf, {"c": -math.inf}], "d": 1.5})
    out = capsys.readouterr().out
    assert json.loads(out) == {"a": None, "b": [None, {"c": None}], "d": 1.5}
    assert out.count("\n") == 1


def test_table_fits_eighty_columns_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    """A table is never wider than a pipe's 80 columns; its last column gives way, a line a row."""
    write_table(("ID", "TEXT"), [("x" * 36, "long " * 40), ("y", "[bold]not markup[/bold]")])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert max(map(len, lines)) <= 80
    assert "x" * 36 in lines[1]
    assert "…" in lines[1]
    assert "[bold]not markup[/bold]" in lines[2]


def test_table_wraps_its_last_column_where_asked(capsys: pytest.CaptureFixture[str]) -> None:
    """A wrapped column loses nothing."""
    write_table(("FIELD", "VALUE"), [("error", "z" * 200)], wrap=True)
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.count("z") for line in lines) == 200
    assert max(map(len, lines)) <= 80


def test_wide_table_comes_in_parts_that_fit(capsys: pytest.CaptureFixture[str]) -> None:
    """Every part is led by the first column, no part is cut, and every cell is there once."""
    headings = ["policy", *(f"measure {n}" for n in range(6))]
    rows = [[name, *(f"{name}-{n}-{'v' * 12}" for n in range(6))] for name in ("one", "two")]
    write_wide_table(headings, rows)
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert out.count("policy") > 1
    assert all(out.count(cell) == 1 for row in rows for cell in row[1:])


def test_wide_table_is_one_part_where_there_is_room(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With enough columns the table stays whole."""
    monkeypatch.setenv("COLUMNS", "300")
    write_wide_table(["policy", "a", "b"], [["one", "v" * 70, "w" * 70]])
    assert capsys.readouterr().out.count("policy") == 1


def test_wide_table_folds_its_headings(capsys: pytest.CaptureFixture[str]) -> None:
    """A heading of several words takes two lines, so that numbers decide the width."""
    write_wide_table(["policy", "attempts per job"], [["one", "1.0"]])
    first, second, row = (line.rstrip() for line in capsys.readouterr().out.splitlines()[:3])
    assert (first, second, row) == ("        attempts", "policy  per job", "one     1.0")


def test_wide_table_with_one_column_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """A table of labels alone is still a table."""
    write_wide_table(["policy"], [["one"]])
    assert "one" in capsys.readouterr().out


@pytest.mark.parametrize(("number", "text"), [(0, "0 jobs"), (1, "1 job"), (1234, "1,234 jobs")])
def test_counted_agrees_with_its_number(number: int, text: str) -> None:
    """A number has the word that agrees with it."""
    assert counted(number, "job", "jobs") == text


def test_one_line_joins_lines() -> None:
    """Text for a row has no line breaks."""
    assert one_line("a\n\tb  c") == "a b c"
    assert one_line(None) == ""
