"""The import rules of docs/architecture.md, section 2, read from the syntax tree of every module.

1. `gridbot` never imports `supervisor`.
2. pybit is imported in `gridbot/bybit/` only.
3. The pure modules import nothing that does I/O, reads a clock, an environment or randomness, and nothing of ours
   that does.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Whole packages are pure, so that a new module of them is until it is named here as a shell.
PURE_PACKAGES = (
    "gridbot.bybit.parse_account",
    "gridbot.bybit.parse_market",
    "gridbot.bybit.raw_fields",
    "gridbot.bybit.ret_codes",
    "gridbot.bybit.watchdog",
    "gridbot.core",
    "gridbot.exchange",
    "gridbot.execution.latency_trace",
    "gridbot.execution.rate_budget",
    "gridbot.execution.send_queue",
    "gridbot.orders",
    "gridbot.paper.accounts",
    "gridbot.paper.api",
    "gridbot.paper.calls",
    "gridbot.paper.engine",
    "gridbot.paper.ledger",
    "gridbot.paper.market",
    "gridbot.paper.params",
    "gridbot.paper.rows",
    "gridbot.paper.stops",
    "gridbot.ports",
    "gridbot.risk",
    "gridbot.strategies",
    "gridbot.rolling_limit",
    "supervisor.children.policy",
)
SHELLS: frozenset[str] = frozenset()
# Of the paper exchange; its servers, feeds and streams are shells (tests/paper/test_pure.py goes into more detail).
PURE_PAPER = frozenset({"gridbot.paper.api_error", "gridbot.paper.faults.fault_plan"})
IMPURE = frozenset(
    """
    asyncio aiohttp concurrent ctypes duckdb fcntl glob gzip http io logging mmap multiprocessing os platform psutil
    pybit queue requests sched secrets select selectors shelve shutil signal socket socketserver sqlite3 ssl subprocess
    tempfile threading time urllib3 urllib.request uuid websocket yaml
    """.split()  # noqa: SIM905 - a list of fifty strings is no easier to read
)
IMPURE_CALLS = frozenset({"open", "print", "input", "exec", "eval"})
CLOCKS = frozenset({"now", "utcnow", "today"})


@dataclass(frozen=True, slots=True)
class Import:
    """One imported name (`a.b.c`) and where."""

    name: str
    line: int
    for_types: bool


def _modules(*packages: str) -> dict[str, Path]:
    found = {}
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = _modules("gridbot", "supervisor")


def _is_pure(module: str) -> bool:
    inside = any(module == package or module.startswith(f"{package}.") for package in PURE_PACKAGES)
    return (inside and module not in SHELLS) or module in PURE_PAPER


def _is_impure(name: str) -> bool:
    return name in IMPURE or name.partition(".")[0] in IMPURE or ".".join(name.split(".")[:2]) in IMPURE


PURE = sorted(module for module in MODULES if _is_pure(module))


def _imports(tree: ast.Module, module: str, path: Path) -> Iterator[Import]:
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    guarded = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
        for child in node.body
        for inner in ast.walk(child)
    }
    for node in ast.walk(tree):
        for_types = node in guarded
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno, for_types) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            yield from (Import(f"{base}.{alias.name}", node.lineno, for_types) for alias in node.names)


def _parsed(module: str) -> tuple[ast.Module, list[Import]]:
    path = MODULES[module]
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return tree, list(_imports(tree, module, path))


def _impurities(module: str) -> Iterator[str]:
    tree, imports = _parsed(module)
    for item in imports:
        top = item.name.partition(".")[0]
        if _is_impure(item.name) and not item.for_types:
            yield f"line {item.line}: imports {item.name}"
        if top in ("gridbot", "supervisor") and not item.for_types:
            owner = item.name if item.name in MODULES else item.name.rpartition(".")[0]
            if owner in MODULES and not _is_pure(owner) and owner in _known_impure():
                yield f"line {item.line}: imports {item.name}, which is not pure"
        if item.name.startswith("random.") and item.name != "random.Random":
            yield f"line {item.line}: imports {item.name}"
    for node in ast.walk(tree):
        # `random.Random(seed)` answers the same every time and is a value; the module's own generator is not.
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "random" and node.attr != "Random":
            yield f"line {node.lineno}: uses random.{node.attr}"
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        if isinstance(called, ast.Name) and called.id in IMPURE_CALLS:
            yield f"line {node.lineno}: calls {called.id}()"
        if isinstance(called, ast.Attribute) and called.attr in CLOCKS and "date" in ast.unparse(called.value):
            yield f"line {node.lineno}: reads the clock by {ast.unparse(called)}()"


def _known_impure() -> frozenset[str]:
    """Modules of ours that import something impure themselves, whatever they are called."""
    if not _CACHE:
        _CACHE.append(
            frozenset(
                module
                for module in MODULES
                if any(_is_impure(item.name) and not item.for_types for item in _parsed(module)[1])
            )
        )
    return _CACHE[0]


_CACHE: list[frozenset[str]] = []


def test_the_lists_are_up_to_date():
    assert [module for module in SHELLS | PURE_PAPER if module not in MODULES] == []
    assert {
        "gridbot.strategies.grid.engine",
        "gridbot.risk.gate",
        "gridbot.paper.ledger.matching",
        "supervisor.children.policy",
    } <= set(PURE)


@pytest.mark.parametrize("module", [module for module in MODULES if module.partition(".")[0] == "gridbot"])
def test_gridbot_never_imports_supervisor(module):
    found = [item for item in _parsed(module)[1] if item.name.partition(".")[0] == "supervisor"]
    assert not found


@pytest.mark.parametrize("module", [module for module in MODULES if not module.startswith("gridbot.bybit")])
def test_pybit_is_known_in_one_place(module):
    found = [item for item in _parsed(module)[1] if item.name.partition(".")[0] == "pybit"]
    assert not found


@pytest.mark.parametrize("module", PURE)
def test_pure_modules_are_pure(module):
    assert list(_impurities(module)) == []


def test_nobody_depends_on_the_tests():
    names = {item.name.partition(".")[0] for module in MODULES for item in _parsed(module)[1]}
    assert not names & {"tests", "benchmarks", "pytest", "hypothesis"}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import time", "imports time"),
        ("from os import environ", "imports os.environ"),
        ("import random\nx = random.random()", "uses random.random"),
        ("from random import choice", "imports random.choice"),
        ("import urllib.request", "imports urllib.request"),
        ("from gridbot.records import journal", "imports gridbot.records.journal, which is not pure"),
        ("def f():\n    import socket", "imports socket"),
        ("import datetime\nx = datetime.datetime.now()", "reads the clock by datetime.datetime.now()"),
        ("print(1)", "calls print()"),
    ],
)
def test_the_test_itself_finds_offenders(tmp_path, monkeypatch, source, found):
    path = tmp_path / "offender.py"
    path.write_text(source)
    monkeypatch.setitem(MODULES, "gridbot.core.offender", path)
    assert any(found in line for line in _impurities("gridbot.core.offender"))


def test_imports_for_types_only_are_allowed(tmp_path, monkeypatch):
    path = tmp_path / "typed.py"
    path.write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import asyncio\n")
    monkeypatch.setitem(MODULES, "gridbot.core.typed", path)
    assert not list(_impurities("gridbot.core.typed"))


def test_the_configuration_can_be_read_without_pybit_or_a_server():
    import subprocess

    program = (
        "import sys, gridbot.config.loading; print([m for m in ('pybit', 'aiohttp', 'duckdb') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


# incident L13: one gate stands between any producer of an order and the wire, and these are all producers there are.
PRODUCERS = {
    "gridbot.worker.placement.act": "the strategy",
    "gridbot.worker.order_manager.retry": "the retry queue",
    "gridbot.worker.shutdown._close": "an operator's stop",
}


def _calls(function: ast.AST, owner: str, name: str) -> bool:
    """Whether a function calls `...owner.name(...)`."""
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == name
        and ast.unparse(node.func.value).rsplit(".", 1)[-1].lstrip("_") == owner
        for node in ast.walk(function)
    )


def _functions_that_call(owner: str, name: str) -> dict[str, ast.AST]:
    found: dict[str, ast.AST] = {}
    for module, path in _modules("gridbot").items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _calls(node, owner, name):
                found[f"{module}.{node.name}"] = node
    return found


@pytest.mark.parametrize("request_now", ["execute_place", "execute_cancel", "execute_batch"])
def test_only_the_executor_sends_past_its_queue(request_now: str) -> None:
    assert _functions_that_call("self", request_now).keys() == {"gridbot.execution.executor._execute"}
    assert _functions_that_call("executor", request_now).keys() == set()


def test_every_producer_of_an_order_asks_the_gate() -> None:
    sends = _functions_that_call("executor", "place")
    assert sends.keys() == {"gridbot.worker.order_manager.submit", "gridbot.worker.order_manager.retry"}
    submits = _functions_that_call("orders", "submit")
    producers = {**submits, "gridbot.worker.order_manager.retry": sends["gridbot.worker.order_manager.retry"]}
    assert producers.keys() == PRODUCERS.keys()
    assert all(_calls(function, "gate", "admit") for function in producers.values())
