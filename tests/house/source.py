"""The source of `gridbot` and `supervisor` as the tests of the house see it: modules, rooms, and who imports whom."""

from __future__ import annotations

import ast
import contextlib
import gc
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# These packages are divided further: a room is a folder inside them.
DIVIDED = ("gridbot", "gridbot.paper", "supervisor")
OUTSIDE = frozenset(
    """
    concurrent ctypes fcntl glob io mmap multiprocessing os platform psutil sched secrets select selectors shutil signal
    socket ssl subprocess tempfile threading time urllib3 uuid
    """.split()  # noqa: SIM905 - a list of strings is no easier to read
)
"""Modules of others that reach files, clocks, threads, randomness or the network."""
CLOCKS = frozenset({"now", "utcnow", "today"})
# Path objects are values; these methods of theirs touch a disk. Other things have some of the second ones, too.
FILE_METHODS = frozenset(
    {"read_text", "read_bytes", "write_text", "write_bytes", "mkdir", "unlink", "iterdir", "rglob"}
)
PERHAPS_OF_FILES = frozenset(
    """
    chmod exists glob is_dir is_file open rename replace resolve rmdir stat touch
    """.split()  # noqa: SIM905
)


@dataclass(frozen=True, slots=True)
class Import:
    """One imported name (`a.b.c`) and where. `for_types`: it stands behind TYPE_CHECKING."""

    name: str
    line: int
    for_types: bool


def find_modules(*packages: str) -> dict[str, Path]:
    """Every module of the packages by its dotted name."""
    found = {}
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = find_modules("gridbot", "supervisor")


def is_package(module: str) -> bool:
    return MODULES[module].name == "__init__.py"


def room(module: str) -> str:
    """The room of a module: its folder inside `gridbot`, `gridbot.paper` or `supervisor`; a file beside those folders
    is a room of its own."""
    parts = module.split(".")
    for depth in range(1, len(parts)):
        if ".".join(parts[:depth]) not in DIVIDED:
            return ".".join(parts[:depth])
    return module


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@contextlib.contextmanager
def _without_looking_for_garbage() -> Iterator[None]:
    """There is none in what is kept: to look for it while a thousand modules are parsed, or between two of them, took
    three times as long. What there is by then is kept for good."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.freeze()
            gc.enable()


@cache
def tree(module: str) -> ast.Module:
    with _without_looking_for_garbage():
        return parse(MODULES[module])


@cache
def walk(node: ast.AST) -> tuple[ast.AST, ...]:
    """The node and all below it: of a whole module half a dozen tests ask for them."""
    with _without_looking_for_garbage():
        return tuple(ast.walk(node))


def find_imports(syntax: ast.Module, package: str) -> Iterator[Import]:
    """All imports of a file, wherever they stand in it. `package` is the one it is in, for relative imports."""
    nodes = walk(syntax)
    guarded = {
        inner
        for node in nodes
        if isinstance(node, ast.If) and dotted(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
        for child in node.body
        for inner in ast.walk(child)
    }
    for node in nodes:
        for_types = node in guarded
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno, for_types) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            yield from (Import(f"{base}.{alias.name}", node.lineno, for_types) for alias in node.names)


@cache
def imports(module: str) -> tuple[Import, ...]:
    return tuple(find_imports(tree(module), module if is_package(module) else module.rpartition(".")[0]))


def owner(name: str) -> str | None:
    """The module of ours that an imported name is, or is in; None when it is not ours."""
    if name in MODULES:
        return name
    parent = name.rpartition(".")[0]
    return parent if parent in MODULES else None


@cache
def imported_modules(module: str) -> frozenset[str]:
    """The modules of ours that a module imports, for types too."""
    found = (owner(item.name) for item in imports(module))
    return frozenset(name for name in found if name is not None and name != module)


@cache
def arrows() -> dict[str, frozenset[str]]:
    """Room -> the other rooms that its modules import."""
    found: dict[str, set[str]] = {}
    for module in MODULES:
        here = room(module)
        found.setdefault(here, set()).update(room(other) for other in imported_modules(module))
    return {here: frozenset(others - {here}) for here, others in found.items()}


def circles(graph: dict[str, frozenset[str]]) -> list[list[str]]:
    """The groups of nodes that can all reach each other, each sorted."""
    reach: dict[str, set[str]] = {}
    for start in graph:
        seen: set[str] = set()
        todo = list(graph[start])
        while todo:
            node = todo.pop()
            if node not in seen:
                seen.add(node)
                todo.extend(graph.get(node, ()))
        reach[start] = seen
    groups = {
        tuple(sorted(other for other in reach[node] if node in reach.get(other, ())))
        for node in graph
        if node in reach[node]
    }
    return [list(group) for group in sorted(groups)]


def dotted(node: ast.AST) -> str:
    """`a.b.c` for a chain of plain names, else ""; a cheap `ast.unparse`."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def reads_the_clock(called: ast.Attribute) -> bool:
    """Whether a method that is called is one of `date` or `datetime` that reads the wall clock."""
    return called.attr in CLOCKS and "date" in ast.unparse(called.value)


def has_paths(module: str) -> bool:
    """Whether a module makes paths itself."""
    return any(item.name.startswith("pathlib") for item in imports(module) if not item.for_types)


def touches_a_file(called: ast.Attribute, *, with_paths: bool) -> bool:
    """Whether a method that is called reaches a disk: of any name where a module makes paths, else of a clear one."""
    return called.attr in FILE_METHODS or (with_paths and called.attr in PERHAPS_OF_FILES)
