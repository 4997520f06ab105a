"""The report is one page that needs nothing else, escapes all it shows, and appears whole or not at all."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from jobsim import policies
from jobsim.analysis.curves import Profiles
from jobsim.analysis.measures import MEASURES
from jobsim.analysis.report import card, overview_png, write_report
from jobsim.analysis.wording import heading
from jobsim.core.errors import ConfigError
from jobsim.core.policy import RetryPolicy

EVIL = '<script>alert("x")</script> & co'


@dataclass
class Small:
    """As little as a report can be made of."""

    runs: pd.DataFrame
    profiles: Profiles
    policies: Mapping[str, RetryPolicy]
    description: str = EVIL
    source: str = f"name = '{EVIL}'"
    facts: Mapping[str, object] = field(default_factory=lambda: {"scenario": EVIL, "seed": 7})


class Page(HTMLParser):
    """The tags and addresses of a page, and the end of every tag checked."""

    VOID = ("meta", "img", "br", "!doctype")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture
def small(table: Callable[..., pd.DataFrame], profiles: Callable[..., Profiles]) -> Small:
    labels = [EVIL, "none"]
    runs = table({EVIL: {}, "none": {"success_rate": 0.4}}, 4)
    return Small(runs, profiles(labels, 4), {EVIL: policies.oban, "none": policies.none})


def test_report_is_one_page_that_needs_nothing_else(small: Small, tmp_path: Path) -> None:
    """Its only picture is embedded, and it refers to nothing outside."""
    page = Page(write_report(small, tmp_path).read_text(encoding="utf-8"))
    assert page.open == []
    assert [address.split(",")[0] for address in page.addresses] == ["data:image/png;base64"]


def test_report_escapes_all_values(small: Small, tmp_path: Path) -> None:
    """Names, descriptions and sources are text, whatever they hold."""
    text = write_report(small, tmp_path).read_text(encoding="utf-8")
    assert "script" not in Page(text).tags
    assert text.count("&lt;script&gt;") >= 5


def test_report_holds_the_verdict_and_the_policies(small: Small, tmp_path: Path) -> None:
    """Verdict, intervals, each policy as it can be typed, and what the measures mean are there."""
    text = re.sub(r"\s+", " ", write_report(small, tmp_path).read_text(encoding="utf-8"))
    assert "Most jobs succeed with" in text
    assert "max_attempts=20" in text
    assert "common random numbers" in text


def test_report_holds_every_measure_that_is_known(small: Small, tmp_path: Path) -> None:
    """All of them with their intervals and what they mean, but none that had no value in any run."""
    small.runs["recovery_s"] = float("nan")
    text = write_report(small, tmp_path).read_text(encoding="utf-8")
    for name in MEASURES:
        assert text.count(f'<th scope="row">{heading(name)}</th>') == (0 if name == "recovery_s" else 2)


def test_report_is_the_same_for_the_same_comparison(small: Small, tmp_path: Path) -> None:
    """Equal comparisons give equal bytes, picture included."""
    one, two = write_report(small, tmp_path / "one"), write_report(small, tmp_path / "two")
    assert one.read_bytes() == two.read_bytes()
    assert (one.parent / "overview.png").read_bytes() == overview_png(small)


def test_report_leaves_only_its_two_files(small: Small, tmp_path: Path) -> None:
    """The directory is made where it is missing, and no partial file stays."""
    write_report(small, tmp_path / "deep" / "er")
    assert sorted(path.name for path in (tmp_path / "deep" / "er").iterdir()) == [
        "overview.png",
        "report.html",
    ]


@pytest.fixture
def failing_replace(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(Path, "replace", fail)


@pytest.mark.usefixtures("failing_replace")
def test_report_that_cannot_be_written_leaves_the_old_one(small: Small, tmp_path: Path) -> None:
    """A full disk gives one clear sentence; the old file is untouched and no partial one is left."""
    (tmp_path / "report.html").write_text("old")
    with pytest.raises(ConfigError, match="No space left on device; name another directory"):
        write_report(small, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert (tmp_path / "report.html").read_text() == "old"


def test_report_refuses_a_file_as_its_directory(small: Small, tmp_path: Path) -> None:
    """A path that is a file cannot hold a report."""
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ConfigError, match="cannot be written"):
        write_report(small, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_report_of_one_policy_compares_nothing(
    table: Callable[..., pd.DataFrame], profiles: Callable[..., Profiles], tmp_path: Path
) -> None:
    """A single policy has no table of differences."""
    small = Small(table({"none": {}}, 1), profiles(["none"], 1), {"none": policies.none})
    assert "Differences" not in write_report(small, tmp_path).read_text(encoding="utf-8")


def test_card_escapes_all_values() -> None:
    """Title, facts, verdict and table are text."""
    rows = pd.DataFrame({EVIL: [EVIL]}, index=pd.Index([EVIL], name=EVIL))
    text = card(EVIL, {EVIL: EVIL}, EVIL, rows)
    assert Page(text).open == []
    assert "script" not in Page(text).tags
    assert text.count("&lt;script&gt;") == 8
