"""The notebooks as they lie there: executed, small, and each from a question to what to do about it."""

import json
import re
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
PICTURE = "image/png"
LARGEST = 60_000
"""Bytes that one picture may have."""

notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)

Cell = dict[str, Any]


def cells(path: Path, kind: str = "code") -> list[Cell]:
    """Return the cells of one kind."""
    return [cell for cell in json.loads(path.read_text("utf-8"))["cells"] if cell["cell_type"] == kind]


def text(cell: Cell) -> str:
    """Return the source of a cell."""
    return "".join(cell["source"])


def shown(cell: Cell) -> Iterator[tuple[str, str]]:
    """Yield what a code cell has shown, by the type of the data."""
    for output in cell["outputs"]:
        for kind, value in output.get("data", {}).items():
            yield kind, "".join(value)


def headings(path: Path) -> list[str]:
    """Return the headings, in order."""
    prose = "\n".join(text(cell) for cell in cells(path, "markdown"))
    return re.findall(r"^#+ (.*)$", prose, re.MULTILINE)


@notebook
def test_notebook_opens_with_a_question(path: Path) -> None:
    """Its first cell has a title and one question in bold."""
    first = text(cells(path, "markdown")[0])
    assert first.startswith("# ")
    questions = re.findall(r"\*\*(.+?)\*\*", first, re.DOTALL)
    assert len(questions) == 1
    assert questions[0].endswith("?")


@notebook
def test_notebook_ends_with_what_to_do(path: Path) -> None:
    """The last heading is of what to do about it, and steps follow."""
    assert headings(path)[-1] == "What to do about it"
    last = text(cells(path, "markdown")[-1]).rpartition("# What to do about it")[2]
    assert len(re.findall(r"^\d\. ", last, re.MULTILINE)) >= 3


@notebook
def test_notebook_is_kept_as_it_ran(path: Path) -> None:
    """Every cell ran once, from top to bottom, without an error or a warning."""
    code = cells(path)
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    kinds = {output["output_type"] for cell in code for output in cell["outputs"]}
    assert kinds <= {"display_data", "execute_result"}


@notebook
def test_every_figure_is_seen(path: Path) -> None:
    """No cell shows a figure by its name alone."""
    for cell in cells(path):
        kinds = dict(shown(cell))
        assert not kinds.get("text/plain", "").startswith("<Figure") or PICTURE in kinds


@notebook
def test_pictures_are_small(path: Path) -> None:
    """There are pictures, and none of them makes the clone heavy."""
    sizes = [len(b64decode(data)) for cell in cells(path) for kind, data in shown(cell) if kind == PICTURE]
    assert sizes
    assert max(sizes) <= LARGEST


@notebook
def test_each_picture_is_followed_by_a_claim(path: Path) -> None:
    """Between a picture and the next, or in the picture's own cell, something is asserted."""
    waiting = False
    for cell in cells(path):
        has_picture = any(kind == PICTURE for kind, _ in shown(cell))
        assert not (has_picture and waiting), f"nothing is claimed of the picture before {text(cell)[:80]!r}"
        waiting = (waiting or has_picture) and not re.search(r"^\s*assert ", text(cell), re.MULTILINE)
    assert not waiting


@notebook
def test_notebook_begins_where_nothing_is_installed(path: Path) -> None:
    """Its first code cell installs jobsim where it is missing, and asks for the fast setting."""
    first = text(cells(path)[0])
    assert "except ImportError" in first
    assert "%pip install" in first
    assert "JOBSIM_FAST" in first


@notebook
def test_notebook_names_no_path_of_the_machine_it_ran_on(path: Path) -> None:
    """What it shows looks the same wherever it is run."""
    assert not re.search(r"/tmp/|/home/|/root/|/work/", path.read_text("utf-8"))


@notebook
def test_links_of_a_notebook_lead_somewhere(path: Path) -> None:
    """What it refers to is in the repository."""
    prose = "\n".join(text(cell) for cell in cells(path, "markdown"))
    for target in re.findall(r"\]\(([^)#:]+)\)", prose):
        assert (FOLDER / target).exists(), target
    for target in re.findall(r"`((?:tests|docs|scenarios)/[^`:]+)", prose):
        assert (FOLDER.parent / target).exists(), target


def test_every_notebook_is_in_the_gallery() -> None:
    """The page of the notebooks lists them all, in order, and nothing else."""
    listed = re.findall(r"\]\((\d\d-[^)]+)\)", (FOLDER / "README.md").read_text("utf-8"))
    assert listed == [path.name for path in NOTEBOOKS]
