"""Every module that a page of docs/ names is there, and nothing in docs points outside the repository."""

from __future__ import annotations

import re
from pathlib import Path

from tests.case_table import case_table
from tests.test_incidents import TEST, exists

ROOT = next(parent for parent in Path(__file__).resolve().parents if (parent / "pyproject.toml").exists())
PAGES = [path for path in (*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md") if path.name != "moved.md"]
# A page may leave the package out: `core/pnl.py` is gridbot/core/pnl.py.
PREFIXES = ("", "gridbot", "gridbot/paper", "supervisor", "docs")
MOVED = re.findall(
    r"^\| `([^`]+)` \| (`[^|]+`) \|$", (ROOT / "docs" / "moved.md").read_text(encoding="utf-8"), re.MULTILINE
)


@case_table("page", PAGES, ids=lambda path: path.stem)
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    named = set(re.findall(r"[`(]([\w./-]+\.(?:py|md|sql|yaml))[`)#]", page.read_text(encoding="utf-8")))
    # `name.yaml` and the like stand for files of the reader's own.
    wanted = {name for name in named if "/" in name and not name.startswith(("/", "data/", "http"))}
    missing = {n for n in wanted if not any((ROOT / p / n).exists() or (page.parent / n).exists() for p in PREFIXES)}
    assert not missing


@case_table("page", PAGES, ids=lambda path: path.stem)
def test_no_page_points_outside_the_repository(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"\.\./shared|\breference/|lessons\.md|bybit-v5|/work/", text)


@case_table("page", PAGES, ids=lambda path: path.stem)
def test_tests_that_a_page_names_whole_exist(page: Path) -> None:
    named = TEST.findall(page.read_text(encoding="utf-8"))
    assert [
        f"{file}::{name}" for file, name in named if not name.endswith("...") and not exists(ROOT, file, name)
    ] == []


def test_whatever_nobody_knows_of_bybit_is_held_by_a_test() -> None:
    text = (ROOT / "docs" / "paper.md").read_text(encoding="utf-8")
    [table] = re.findall(r"^## Where nobody knows\n.*?^\|---.*?\n(.*?)\n\n", text, re.MULTILINE | re.DOTALL)
    rows = table.splitlines()
    assert len(rows) > 20
    assert [row for row in rows if not TEST.search(row.rpartition(" | ")[2])] == []


def test_cited_sections_exist() -> None:
    """Code and pages cite `docs/risk.md 4.2`; platform's list numbers and tables are not sections."""
    sections = {
        page.stem: set(re.findall(r"^#+ (\d+(?:\.\d+)?)\b", page.read_text(encoding="utf-8"), re.MULTILINE))
        for page in PAGES
    }
    sources = [path for top in ("gridbot", "supervisor", "tests", "benchmarks") for path in (ROOT / top).rglob("*.py")]
    cited = {
        (path.name, page, number)
        for path in (*sources, *PAGES)
        for page, number in re.findall(r"docs/(\w+)\.md (\d+(?:\.\d+)?)\b", path.read_text(encoding="utf-8"))
    }
    assert len(cited) > 20
    assert {cite for cite in cited if cite[2] not in sections[cite[1]]} == set()


def test_the_page_of_moves_names_modules_that_exist() -> None:
    assert len(MOVED) > 100
    places = {place for _, cell in MOVED for place in re.findall(r"`([^`]+)`", cell)}
    assert {place for place in places if not (ROOT / place).exists()} == set()
