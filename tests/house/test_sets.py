"""Sets have an order that nobody chose: that of the hashes. Of objects without a hash of their own it is the order of
their addresses, another in each process, so two runs of one seed would differ. Such objects are kept in a dict, in the
order in which they came. (Strings differ too, by their hash seed: the simulator's test compares two of those.)
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.house.source import MODULES, dotted, tree, walk

SETS = frozenset({"set", "frozenset", "Set", "AbstractSet", "MutableSet", "WeakSet"})
VALUES = frozenset(
    {"str", "int", "bytes", "float", "bool", "Decimal", "Path", "None", "tuple", "frozenset", "Literal", "date"}
)
ENUMS = frozenset({"Enum", "StrEnum", "IntEnum", "NamedTuple"})
ASKED_ONLY = frozenset({"WantedEvent"})
"""Sets of these are asked whether they have something, never gone through."""


def is_value(node: ast.ClassDef) -> bool:
    """Whether objects of a class are hashed by what they are: an enum, a named tuple, a frozen dataclass."""
    if any(dotted(base).rpartition(".")[2] in ENUMS for base in node.bases):
        return True
    return any(
        isinstance(mark, ast.Call)
        and dotted(mark.func).rpartition(".")[2] in ("dataclass", "quick_value")
        and any(word.arg == "frozen" and ast.unparse(word.value) == "True" for word in mark.keywords)
        and not any(word.arg == "eq" for word in mark.keywords)
        for mark in node.decorator_list
    )


def values_of(source: ast.AST) -> set[str]:
    """The value classes that a file defines."""
    return {node.name for node in walk(source) if isinstance(node, ast.ClassDef) and is_value(node)}


def offenders(source: ast.AST, values: frozenset[str]) -> Iterator[str]:
    """Sets, by their type, of what is hashed by its address."""
    for node in walk(source):
        if isinstance(node, ast.Subscript) and dotted(node.value).rpartition(".")[2] in SETS:
            names = [dotted(part).rpartition(".")[2] for part in ast.walk(node.slice) if dotted(part)]
            bad = [name for name in names if name not in values]
            if bad:
                yield f"line {node.lineno}: {ast.unparse(node)} (of {bad[0]}); take a dict"


def test_no_set_of_what_is_hashed_by_its_address() -> None:
    values = (VALUES | ASKED_ONLY).union(*(values_of(tree(module)) for module in MODULES))
    assert {module: found for module in MODULES if (found := list(offenders(tree(module), values)))} == {}


@pytest.mark.parametrize(
    "source",
    [
        "tasks: set[asyncio.Task[None]] = set()",
        "by_topic: dict[str, set[Connection]] = {}",
        "tasks = weakref.WeakSet[Task]()",
        "ended: set[object] = set()",
        "def f(x: frozenset[tuple[str, Order]]) -> None: ...",
    ],
)
def test_the_test_itself_finds_offenders(source: str) -> None:
    assert list(offenders(ast.parse(source), VALUES))


def test_the_test_itself_knows_values() -> None:
    source = ast.parse(
        "@dataclass(frozen=True, slots=True)\nclass A: ...\n@dataclass\nclass B: ...\nclass C(StrEnum): ...\n"
        "@dataclass(frozen=True, eq=False)\nclass D: ..."
    )
    assert values_of(source) == {"A", "C"}
    assert list(offenders(ast.parse("x: set[A | None] = set()"), VALUES | values_of(source))) == []
