"""docs/architecture.md against the code: its layout names every room, its ports and states are those of the code.

That the files which pages name exist is tested in tests/test_docs.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum

from gridbot.orders.order import OrderState
from supervisor.children.policy_types import ProcessState
from supervisor.status.model import AccountHealth, Freshness, StrategyState
from tests.house.source import DIVIDED, MODULES, ROOT, is_package, room

DOCS = ROOT / "docs"
ARCHITECTURE = (DOCS / "architecture.md").read_text(encoding="utf-8")
CODE = re.compile(r"`([^`\n]+)`")
ROW = re.compile(r"^\| (.+) \|$", re.MULTILINE)
# History: where things were, not where they are.
OF_THE_PAST = {"moved.md"}
PAGES = [ROOT / "README.md", *sorted(path for path in DOCS.glob("*.md") if path.name not in OF_THE_PAST)]


def _section(title: str) -> str:
    found = re.search(rf"^## \d+\. {title}$(.*?)(?=^## |\Z)", ARCHITECTURE, re.MULTILINE | re.DOTALL)
    assert found, f"expected a section {title!r} in docs/architecture.md"
    return found[1]


def _rows(text: str) -> Iterator[list[str]]:
    for row in ROW.findall(text):
        cells = [cell.strip() for cell in row.split(" | ")]
        if not set(cells[0]) <= set("-|"):
            yield cells


def _rooms_of_the_tree() -> set[str]:
    """Rooms as the page writes them: `gridbot/core/`, `gridbot/ports.py`."""
    found = set()
    for module in MODULES:
        here = room(module)
        if here in DIVIDED and here != "gridbot.paper":
            continue  # the packages' own faces
        folder = here.replace(".", "/")
        found.add(f"{folder}/" if is_package(here) else f"{folder}.py")
    return {name for name in found if not name.endswith("__main__.py")}


def _named_in_the_layout() -> dict[str, list[str]]:
    return {CODE.findall(cells[0])[0]: cells for cells in _rows(_section("Layout")) if CODE.match(cells[0])}


def test_the_layout_names_every_room_and_no_other():
    assert set(_named_in_the_layout()) == _rooms_of_the_tree()


def test_the_modules_named_beside_a_room_are_in_it():
    wrong = [
        f"{name}{module}"
        for name, cells in _named_in_the_layout().items()
        if len(cells) > 2
        for module in CODE.findall(cells[2])
        if not (ROOT / name / f"{module}.py").exists() and not (ROOT / name / module).is_dir()
    ]
    assert wrong == []


def test_the_ports_are_those_of_the_code():
    ports = {CODE.findall(cells[0])[0] for cells in _rows(_section("Ports")) if CODE.match(cells[0])}
    text = (ROOT / "gridbot" / "ports.py").read_text(encoding="utf-8")
    assert ports == set(re.findall(r"^class (\w+)\(Protocol\)", text, re.MULTILINE)) - {"Timer"}


def test_the_order_states_are_those_of_the_code():
    states = [CODE.findall(cells[0])[0] for cells in _rows(_section("Order lifecycle")) if CODE.match(cells[0])]
    assert states == [state.value for state in OrderState]


AXES: dict[str, type[StrEnum]] = {
    "ProcessState": ProcessState,
    "AccountHealth": AccountHealth,
    "StrategyState": StrategyState,
    "Freshness": Freshness,
}


def test_the_axes_of_status_are_those_of_the_code():
    rows = {
        CODE.findall(cells[2])[0]: CODE.findall(cells[1]) for cells in _rows(_section("Processes")) if "`" in cells[1]
    }
    assert rows == {name: [state.value for state in states] for name, states in AXES.items()}


def test_the_glossary_names_every_state():
    text = (DOCS / "glossary.md").read_text(encoding="utf-8")
    kinds: list[type[StrEnum]] = [OrderState, *AXES.values()]
    states = [state.value for kind in kinds for state in kind]
    assert [state for state in states if state.replace("_", " ") not in text and state not in text] == []


def test_states_that_do_not_exist_are_not_spoken_of():
    pages = {page.name: page.read_text(encoding="utf-8") for page in PAGES}
    assert [name for name, text in pages.items() if re.search("out_of_range", text)] == []


def test_pages_stay_short():
    """Reference pages that are made from the code may be longer."""
    made = {"tables.md", "configuration.md"}
    assert {path.name for path in PAGES if len(path.read_text().splitlines()) > 400} <= made
