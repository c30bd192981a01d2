"""Nobody changes the code of another module while it runs, except for what a simulated run looks at, in a few places.

A fix that is taken out again is replaced by `gridbot.simulation.taken_out` alone: it refuses what cannot be called as
the fix is, and notes what Python raises there. A mock takes whatever it is called with, and a plain patch fits nothing:
a run that then fails says nothing of the fix.
"""

from __future__ import annotations

import ast

from tests.house.source import MODULES, dotted, imports, tree, walk

# Modules that may patch, each with its reason.
PATCHING = {
    "gridbot.simulation.forbidden": "clocks and threads of Python itself, for a run",
    "gridbot.simulation.step_checks": "looks at what goes into pure steps, and what comes out",
    "gridbot.simulation.taken_out": "fixes, each by what can be called as it is",
    "gridbot.simulation.tape": "hears what streams bring",
    "gridbot.simulation.way_checks": "looks at what leaves for the exchange",
}


def _changes_others(syntax: ast.Module) -> list[int]:
    """Lines in which an imported module or class gets other attributes or entries, also by `setattr` and `vars`."""
    nodes = walk(syntax)
    imported = {
        (alias.asname or alias.name).partition(".")[0]
        for node in nodes
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    found = []
    for node in nodes:
        if isinstance(node, ast.Call) and dotted(node.func) in ("setattr", "delattr", "vars"):
            found.append(node.lineno)
        elif isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
            root: ast.AST = node
            while isinstance(root, ast.Attribute | ast.Subscript):
                root = root.value
            if isinstance(root, ast.Name) and root.id in imported:
                found.append(node.lineno)
    return sorted(found)


def _patches(module: str) -> list[str]:
    return [f"{module}:{each.line}" for each in imports(module) if each.name.partition(".")[0] == "unittest"]


def test_few_patch_and_none_is_named_in_vain() -> None:
    found = {module for module in MODULES if _patches(module)}
    assert found == PATCHING.keys()


def test_a_fix_is_taken_out_in_one_way() -> None:
    reverts = [module for module in MODULES if module.startswith("gridbot.simulation.reverts")]
    assert len(reverts) > 5
    assert [f"{module}:{line}" for module in reverts for line in _changes_others(tree(module))] == []


def test_the_check_sees_each_way() -> None:
    text = """
import gridbot.orders.life as life
from gridbot.orders.book import OrderBook
def revert(book):
    OrderBook.move = None
    life._HANDLERS["a"] = None
    life._HANDLERS["a"].most += 1
    del OrderBook.move
    setattr(book, "move", None)
    vars(book)["move"] = None
    book.levels["a"] -= 1
    book.most = 3
"""
    assert _changes_others(ast.parse(text)) == [5, 6, 7, 8, 9, 10]
