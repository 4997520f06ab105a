"""The log of a worker, for people and for programs."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from jobsim.cli.logs import Format, Level, announce, log_to_stderr

LOG = logging.getLogger("jobsim.test")


@contextmanager
def logging_again(form: Format) -> Iterator[None]:
    """Let logging be set up inside as in a new process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    try:
        log_to_stderr(Level.INFO, form)
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


def test_what_a_handler_raises_does_not_steer_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """The log escapes control characters, in tracebacks too, and keeps their lines."""
    with logging_again(Format.TEXT):
        LOG.warning("failed", exc_info=ValueError("\x1b[31mred"))
    err = capsys.readouterr().err
    assert "\x1b" not in err
    assert err.splitlines()[-1] == "ValueError: \\x1b[31mred"


def test_json_has_a_line_a_record_with_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    """What is given as `extra` stands beside time, level, logger and message, whatever its type."""
    with logging_again(Format.JSON):
        LOG.info("job %d\nfailed", 7, extra={"job_id": "7", "attempt": 2, "what": {1}})
        LOG.debug("not wanted")
    (line,) = capsys.readouterr().err.splitlines()
    record = json.loads(line)
    assert record.pop("time").endswith("Z")
    assert record == {
        "level": "info",
        "logger": "jobsim.test",
        "message": "job 7\nfailed",
        "job_id": "7",
        "attempt": 2,
        "what": "{1}",
    }


def test_json_carries_tracebacks(capsys: pytest.CaptureFixture[str]) -> None:
    """The whole of one is a field of its record's line."""
    with logging_again(Format.JSON):
        LOG.warning("failed", exc_info=ValueError("no"))
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["exception"].endswith("ValueError: no")


@pytest.mark.parametrize(("form", "lines"), [(Format.TEXT, ["two", "lines"]), (Format.JSON, None)])
def test_what_is_said_to_people_is_a_record_to_programs(
    capsys: pytest.CaptureFixture[str], form: Format, lines: list[str] | None
) -> None:
    """A program that reads stderr finds nothing but JSON there."""
    with logging_again(form):
        announce("two\nlines", form)
    said = capsys.readouterr().err.splitlines()
    if lines is None:
        assert [json.loads(line)["message"] for line in said] == ["two\nlines"]
    else:
        assert said == lines
