"""Nothing ends in silence: `gridbot.background` starts all tasks, and each process watches its loop and threads."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.house.source import MODULES, dotted, tree, walk

HOME = "gridbot.background"
# The paper exchange is another process, for tests and for practice; it has a loop of its own.
INSIDE = [module for module in MODULES if module != HOME and not module.startswith("gridbot.paper")]
STARTS = frozenset({"create_task", "ensure_future", "TaskGroup"})
# Entries of processes with an asyncio loop.
LOOPS = {
    *("gridbot.worker.entry", "gridbot.rescue.rescue_entry", "supervisor.process.loop", "supervisor.web.web_process"),
    "supervisor.notify.notify_process",
    "supervisor.telegram.telegram_process",
    "gridbot.rehearsal",
}


def starts(source: ast.AST) -> Iterator[str]:
    """Tasks started past the helper, also by a name that was imported."""
    for node in walk(source):
        if isinstance(node, ast.Attribute) and node.attr in STARTS:
            yield f"line {node.lineno}: {ast.unparse(node)}"
        if isinstance(node, ast.ImportFrom):
            yield from (f"line {node.lineno}: imports {name.name}" for name in node.names if name.name in STARTS)


def test_tasks_are_started_by_the_helper() -> None:
    assert {module: found for module in INSIDE if (found := list(starts(tree(module))))} == {}


def test_the_helper_starts_them() -> None:
    assert len(list(starts(tree(HOME)))) == 2


@pytest.mark.parametrize(
    "source",
    [
        "import asyncio\nasyncio.create_task(f())",
        "import asyncio\nasyncio.get_running_loop().create_task(f())",
        "import asyncio\nasyncio.ensure_future(f())",
        "import asyncio\nasync def f():\n    async with asyncio.TaskGroup():\n        pass",
        "from asyncio import create_task\ncreate_task(f())",
    ],
)
def test_the_test_itself_finds_offenders(source: str) -> None:
    assert list(starts(ast.parse(source)))


def test_each_process_with_a_loop_watches_it() -> None:
    def calls(module: str, name: str) -> bool:
        return any(isinstance(node, ast.Call) and dotted(node.func) == name for node in walk(tree(module)))

    assert {module for module in INSIDE if calls(module, "background.watch")} == LOOPS
