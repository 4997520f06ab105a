"""What the repository promises about its own form."""

import ast
import runpy
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = sorted((ROOT / "jobsim").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return (node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))


def lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the length of a function's body, its docstring excluded."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_architecture_shows_the_state_machine_as_it_is() -> None:
    """The diagram is what `make docs` would write."""
    script = runpy.run_path(str(ROOT / "docs" / "state_diagram.py"))
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    assert "stateDiagram-v2" in page
    assert script["with_diagram"](page) == page


def test_architecture_names_tests_that_exist() -> None:
    """Each `path::name` on the page is a function or class of that file."""
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    named = [code.partition("::") for code in page.split("`") if "::" in code and "\n" not in code]
    assert len(named) > 10
    for path, _, name in named:
        source = (ROOT / path).read_text(encoding="utf-8")
        assert f"def {name}(" in source or f"class {name}(" in source, f"{path}::{name}"


def test_functions_and_files_are_small() -> None:
    """Half of all functions have at most 8 lines, nine in ten 25, all 60; nine files in ten 300, all 400."""
    sizes = [lines(function) for path in PACKAGE for function in functions(path)]
    assert median(sizes) <= 8
    assert quantiles(sizes, n=10)[-1] <= 25
    assert max(sizes) <= 60
    files = [len(path.read_text(encoding="utf-8").splitlines()) for path in PACKAGE]
    assert quantiles(files, n=10)[-1] <= 300
    assert max(files) <= 400


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_test_says_what_it_holds(path: Path) -> None:
    """A test's docstring is the rule it holds, beginning with a sentence."""
    for function in functions(path):
        if function.name.startswith("test_"):
            rule = (ast.get_docstring(function) or "").partition("\n\n")[0]
            assert rule.endswith("."), function.name
