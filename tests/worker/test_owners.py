"""One owner each: in the rooms of decisions an object's values are changed by its own methods, by nobody else.

A pause, a halt or a closed latch is therefore set in one place, and what it means stands there (`StrategyRiskState`,
`Gate`); everybody else calls a method or posts a request.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.case_table import case_table

ROOT = next(folder for folder in Path(__file__).resolve().parents if (folder / "pyproject.toml").is_file())
ROOMS = ("gridbot/worker", "gridbot/risk")
FILES = [
    *sorted(path for room in ROOMS for path in (ROOT / room).glob("*.py")),
    ROOT / "gridbot/execution/executor.py",  # an order is its owner's
]


def _targets(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.Assign | ast.Delete):
        return [part for target in node.targets for part in _parts(target)]
    if isinstance(node, ast.AugAssign | ast.AnnAssign):
        return [node.target]
    return []


def _parts(target: ast.expr) -> list[ast.expr]:
    return [part for item in target.elts for part in _parts(item)] if isinstance(target, ast.Tuple) else [target]


def changes_of_others(source: str) -> Iterator[str]:
    """Assignments to something that neither `self` nor a local name holds directly."""
    for node in ast.walk(ast.parse(source)):
        for target in _targets(node):
            held = target.value if isinstance(target, ast.Subscript) else target
            if not isinstance(held, ast.Attribute):
                continue  # a local name, or an element of one
            if not (isinstance(held.value, ast.Name) and held.value.id == "self"):
                yield f"line {node.lineno}: {ast.unparse(target)}"  # type: ignore[attr-defined]


@case_table("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_nobody_changes_the_values_of_another(path: Path) -> None:
    assert list(changes_of_others(path.read_text(encoding="utf-8"))) == []


@case_table(
    "line",
    [
        "runner.risk_state.paused = True",
        "self._gate.stopping = True",
        "runner.ready = True",
        "state.epoch += 1",
        "self.gate.legs[x] = y",
        "del self.gate.legs[x]",
        "a, gate.loss_latched = 1, ''",
    ],
)
def test_the_test_itself_finds_offenders(line: str) -> None:
    assert len(list(changes_of_others(line))) == 1


@case_table("line", ["self.paused = True", "self._legs[x] = y", "x = 1", "x[1] = 2", "self.a, b = 1, 2"])
def test_an_object_may_change_itself(line: str) -> None:
    assert list(changes_of_others(line)) == []
