"""What has grown too large: long functions, classes, modules and parameter lists, names used twice, circles of imports.

    python -m tests.house.sizes [--all]

Prints one table for `gridbot` and `supervisor`; `--all` adds what is just below each limit. Only modules over 400 lines
fail a test (tests/house/test_sizes.py): the other limits are aims.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.house.source import MODULES, circles, imported_modules, is_package, tree, walk

FUNCTION_LINES = 50
CLASS_METHODS = 15
MODULE_LINES = 400
PARAMETERS = 7
# With `--all`, what reaches this part of a limit is listed too.
NEAR = 0.8
# The same thing in each place: where a package is started with `python -m`.
SAME_THING = frozenset({"__main__"})

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Size:
    """One thing that is counted. `limit` is the most that is wanted."""

    kind: str
    name: str
    count: int
    limit: int

    @property
    def too_large(self) -> bool:
        return self.count > self.limit


def parameters(function: Function) -> int:
    """How many parameters, without `self` and `cls`; `*args` and `**kwargs` count as one each."""
    given = function.args
    named = [*given.posonlyargs, *given.args]
    if named and named[0].arg in ("self", "cls"):
        named = named[1:]
    return len(named) + len(given.kwonlyargs) + (given.vararg is not None) + (given.kwarg is not None)


def methods(cls: ast.ClassDef) -> int:
    """How many methods, without `__init__` and its like."""
    named = [node.name for node in cls.body if isinstance(node, Function)]
    return sum(not (name.startswith("__") and name.endswith("__")) for name in named)


def module_lines(module: str) -> int:
    return len(MODULES[module].read_text(encoding="utf-8").splitlines())


def sizes() -> Iterator[Size]:
    """Everything that has a limit."""
    for module in MODULES:
        yield Size("module lines", module, module_lines(module), MODULE_LINES)
        for node in walk(tree(module)):
            if isinstance(node, Function):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                yield Size("function lines", f"{module}.{node.name}", lines, FUNCTION_LINES)
                yield Size("parameters", f"{module}.{node.name}", parameters(node), PARAMETERS)
            elif isinstance(node, ast.ClassDef):
                yield Size("class methods", f"{module}.{node.name}", methods(node), CLASS_METHODS)


def names_used_twice() -> dict[str, list[str]]:
    """Module names that stand in more than one place, except those that are the same thing on both sides."""
    names: dict[str, list[str]] = {}
    for module in MODULES:
        if not is_package(module):
            names.setdefault(module.rpartition(".")[2], []).append(module)
    return {name: where for name, where in names.items() if len(where) > 1 and name not in SAME_THING}


def import_circles() -> list[list[str]]:
    """Circles of imports, module by module, with imports inside functions and behind TYPE_CHECKING."""
    return circles({module: imported_modules(module) for module in MODULES})


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.house.sizes", description="what has grown too large")
    parser.add_argument("--all", action="store_true", help="also what is just below a limit")
    options = parser.parse_args(arguments)
    found = sorted(sizes(), key=lambda size: (size.kind, -size.count, size.name))
    for kind in dict.fromkeys(size.kind for size in found):
        of_kind = [size for size in found if size.kind == kind]
        print(f"{kind} over {of_kind[0].limit}: {sum(size.too_large for size in of_kind)} of {len(of_kind)}")
        for size in of_kind:
            if size.too_large or (options.all and size.count >= NEAR * size.limit):
                print(f"  {size.count:5}  {size.name}")
    twice = names_used_twice()
    print(f"names used twice: {len(twice)}")
    for where in twice.values():
        print(f"         {', '.join(where)}")
    rounds = import_circles()
    print(f"circles of imports: {len(rounds)}")
    for group in rounds:
        print(f"         {', '.join(group)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
