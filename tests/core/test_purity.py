"""The core imports nothing that does I/O, reads a clock or an environment, or is random (DESIGN 2)."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.case_table import case_table

ALLOWED = {
    "__future__",
    "bisect",
    "collections",
    "collections.abc",
    "dataclasses",
    "datetime",  # to write a time; that nobody reads the clock with it is seen to by tests/house/test_pure_rooms.py
    "decimal",
    "enum",
    "fractions",
    "functools",
    "hashlib",
    "itertools",
    "re",
    "typing",
}
ALLOWED_MODELS = ALLOWED | {"pydantic", "gridbot.doors.strict_model"}
"""For what a strategy says about its own configuration keys."""
ROOT = Path(__file__).resolve().parents[2] / "gridbot"
READS_FLOATS = ("strict_numbers",)
"""What makes decimals of the floats that JSON has."""
MODULES = sorted(path for room in ("core", "strategies") for path in (ROOT / room).rglob("*.py"))


@case_table("module", MODULES, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_a_module_imports_only_pure_things(module):
    imported: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            imported.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where things come from"
            imported.add(node.module or "")
    outside = {name for name in imported if not name.startswith(("gridbot.core", "gridbot.strategies"))}
    describes_keys = module.parent.name != "core" and module.stem in ("base", "kind")
    assert outside <= (ALLOWED_MODELS if describes_keys else ALLOWED)


@case_table("module", MODULES, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_no_float_is_written_in_the_core(module):
    for node in ast.walk(ast.parse(module.read_text())):
        assert not (isinstance(node, ast.Constant) and isinstance(node.value, float)), f"line {node.lineno}"
        is_float = isinstance(node, ast.Name) and node.id == "float"
        assert not is_float or module.stem in READS_FLOATS, ast.unparse(node)
        assert not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and _whole(node)), (
            f"line {node.lineno}"
        )


def _whole(node: ast.BinOp) -> bool:
    """Two literal numbers: `1 / 2` is a float however exact its surroundings are."""
    return isinstance(node.left, ast.Constant) and isinstance(node.right, ast.Constant)
