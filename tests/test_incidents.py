"""docs/incidents*.md: every incident once, each held by tests that exist or said to be open, with the right counts."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.case_table import case_table

ROOT = next(folder for folder in Path(__file__).resolve().parents if (folder / "pyproject.toml").is_file())
FILES = sorted((ROOT / "docs").glob("incidents*.md"), key=lambda path: len(path.name))  # the one with the counts first
NUMBERS = range(1, 60)
HEADING = re.compile(r"^### L(\d+) \S.*$", re.MULTILINE)
VERDICT = re.compile(r"^(Held by|Open)[:.]", re.MULTILINE)
TEST = re.compile(r"`(tests/[\w./-]+\.py)::([^`]+)`")
ROW = re.compile(r"^\| (.+?) \| .+ \| (\d+) \| (\d+) \| (\d+) \|$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Incident:
    """One section of the document; `theme` is the heading of second order it stands under."""

    number: int
    theme: str
    text: str

    @property
    def verdicts(self) -> list[str]:
        return VERDICT.findall(self.text)

    @property
    def is_open(self) -> bool:
        return self.verdicts == ["Open"]

    @property
    def verdict(self) -> str:
        """What stands behind the verdict, up to the end of its paragraph."""
        _, _, rest = self.text.partition(f"\n{self.verdicts[0]}")
        return rest.partition("\n\n")[0]


def _themes(text: str) -> Iterator[tuple[str, str]]:
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        name, _, body = part.partition("\n")
        yield name, body


def _incidents() -> Iterator[Incident]:
    for path in FILES:
        for theme, body in _themes(path.read_text(encoding="utf-8")):
            for section in re.split(r"^(?=### )", body, flags=re.MULTILINE):
                found = HEADING.match(section)
                if found:
                    yield Incident(int(found[1]), theme, section)


INCIDENTS = list(_incidents())


@cache
def names_in(path: Path) -> frozenset[str]:
    """The names of a test file as pytest writes them: `test_x`, `TestY::test_x`, and classes made by assignment."""
    names: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8"), str(path)).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.ClassDef):
            names.update(
                f"{node.name}::{inner.name}"
                for inner in node.body
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef)
            )
        elif isinstance(node, ast.Assign):  # hypothesis: TestBook = Book.TestCase
            names.update(target.id for target in node.targets if isinstance(target, ast.Name))
    return frozenset(name for name in names if name.rpartition("::")[2].lower().startswith("test"))


def exists(root: Path, path: str, name: str) -> bool:
    """Whether a file has a test; a parameter in brackets is not looked at."""
    file = root / path
    return file.is_file() and name.partition("[")[0] in names_in(file)


def test_every_incident_is_told_exactly_once() -> None:
    assert Counter(incident.number for incident in INCIDENTS) == Counter(NUMBERS)


@case_table("incident", INCIDENTS, ids=lambda incident: f"L{incident.number}")
def test_an_incident_has_a_rule_and_is_held_or_open(incident: Incident) -> None:
    assert incident.text.count("**Rule:**") == 1
    assert len(incident.verdicts) == 1, "expected one line that starts with `Held by:` or `Open:`"
    if incident.is_open:
        assert re.search(r"\w", incident.verdict), "expected a few words about what is missing"
    else:
        assert TEST.search(incident.verdict), "expected at least one test"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_tests_named_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    named = TEST.findall(text)
    assert named
    assert [f"{file}::{name}" for file, name in named if not exists(ROOT, file, name)] == []
    assert text.count(".py::") == len(named), "a test is written `tests/....py::name`, whole and in backticks"


def test_the_counts_at_the_top_are_right() -> None:
    rows = [(name, *map(int, counts)) for name, *counts in ROW.findall(FILES[0].read_text(encoding="utf-8"))]
    counted = [
        (theme, sum(not i.is_open for i in of), sum(i.is_open for i in of), len(of))
        for theme in dict.fromkeys(incident.theme for incident in INCIDENTS)
        for of in [[incident for incident in INCIDENTS if incident.theme == theme]]
    ]
    open_ones = sum(incident.is_open for incident in INCIDENTS)
    assert rows == [*counted, ("**all**", len(NUMBERS) - open_ones, open_ones, len(NUMBERS))]


def test_the_open_ones_are_listed_at_the_top() -> None:
    [line] = re.findall(r"^Open are (.+?)\.$", FILES[0].read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert re.findall(r"L(\d+)", line) == [
        str(i.number) for i in sorted(INCIDENTS, key=lambda i: i.number) if i.is_open
    ]


def test_nothing_points_outside_of_the_repository() -> None:
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"reference/|lessons\.md|/work/", text)
        targets = [target for target in re.findall(r"\]\(([^)#]+)", text) if "://" not in target]
        assert [target for target in targets if not (path.parent / target).exists()] == []


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("test_plain", True),
        ("test_async", True),
        ("test_plain[3-a]", True),
        ("TestClass::test_method", True),
        ("TestClass::test_method[x::y]", True),
        ("TestMade", True),
        ("test_method", False),
        ("helper", False),
        ("TestClass::helper", False),
        ("test_gone", False),
    ],
)
def test_names_are_found_as_pytest_writes_them(tmp_path: Path, name: str, *, there: bool) -> None:
    (tmp_path / "test_a.py").write_text(
        "def test_plain(): ...\nasync def test_async(): ...\ndef helper(): ...\n"
        "class TestClass:\n    def test_method(self): ...\n    def helper(self): ...\nTestMade = Machine.TestCase\n"
    )
    assert exists(tmp_path, "test_a.py", name) is there
    assert not exists(tmp_path, "test_b.py", name)
