"""Hints can be pasted as printed: each command that a text names comes from `gridbot.command_line.pasteable`.

Without it the line reaches the bot of the default data directory, or none: which `-c` and `--data-dir`, quoted how, and
by what name the program was called, only the helper knows. Prose may name a command as a word, without backticks.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from supervisor.cli.main import SUMMARIES
from tests.house.source import MODULES, tree, walk

HELPER = "gridbot.command_line"
COMMAND = "|".join(SUMMARIES)
HINT = re.compile(rf"gridbot-supervisor`? (?:{COMMAND})\b|`(?:{COMMAND})(?:`|$| [^`]*)")
# Pages and help texts, whose readers have no bot yet: what they name is explained there.
PAGES = {
    "gridbot.commands.command_table",
    "gridbot.config.account_models",
    "gridbot.config.reference",
    "supervisor.exit_codes",
}


def hints(source: ast.AST) -> Iterator[str]:
    """Commands named in texts that are neither docstrings nor arguments of the helper."""
    blocks = [block for node in walk(source) if isinstance(block := getattr(node, "body", None), list)]
    docstrings = {id(each.value) for block in blocks for each in block if isinstance(each, ast.Expr)}
    for node in walk(source):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield from (f"line {node.lineno}: {found}" for found in HINT.findall(node.value))


def test_no_text_names_a_command_that_cannot_be_pasted() -> None:
    others = [module for module in MODULES if module not in {HELPER, *PAGES}]
    assert {module: found for module in others if (found := list(hints(tree(module))))} == {}


def test_the_pages_are_not_stale() -> None:
    assert [module for module in PAGES if not list(hints(tree(module)))] == []


@pytest.mark.parametrize(
    "source",
    [
        "x = 'lost: gridbot-supervisor ledger check --exchange'",
        "x = f'ended by `gridbot-supervisor stop --data-dir {home}`'",
        "x = 'nothing is opened until `resume`'",
        "x = f'until `resume {name}`'",
        "x = f'`restart ' + name",
    ],
)
def test_what_counts_as_a_hint(source: str) -> None:
    assert list(hints(ast.parse(source)))


@pytest.mark.parametrize(
    "source",
    [
        "def f():\n    'As `status` shows it.'",
        "x = pasteable('ledger check --exchange', data_dir=home)",
        "x = 'then restart the account'",
        "x = f'another gridbot-supervisor (pid {pid}) works there'",
    ],
)
def test_what_does_not(source: str) -> None:
    assert not list(hints(ast.parse(source)))
