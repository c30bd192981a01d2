"""What a worker needs of the outside comes through `gridbot.ports`: nobody else reads a clock, starts a thread, draws
randomness or touches a file. So a test can run a whole worker under virtual time.

This covers the rooms that a worker is made of. The paper exchange, the database and the supervisor are other processes.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.house.source import (
    MODULES,
    OUTSIDE,
    dotted,
    has_paths,
    imports,
    reads_the_clock,
    room,
    touches_a_file,
    tree,
    walk,
)

WORKER_ROOMS = {
    f"gridbot.{name}"
    for name in (
        *(
            "atomic_file",
            "background",
            "budget",
            "bybit",
            "commands",
            "config",
            "core",
            "exchange",
            "execution",
            "fault_words",
            "hidden_words",
            "incidents",
            "log_lines",
            "logging_setup",
            "orders",
        ),
        *(
            "private_files",
            "process_guard",
            "records",
            "risk",
            "rolling_limit",
            "shortage",
            "state",
            "strategies",
            "system_ports",
            "version",
            "why",
            "worker",
        ),
    )
}
# Rooms and modules that are the outside: what implements the ports, the journal, and the entry of the process.
SHELLS = {
    "gridbot.bybit": "the exchange: requests, streams and their threads",
    "gridbot.state": "the files that survive a restart, and the locks",
    "gridbot.records.journal": "the journal's segments",
    "gridbot.records.journal_reader": "the journal's segments",
    "gridbot.records.journal_recovery": "the journal's segments",
    "gridbot.records.journal_sync": "the journal's thread",
    "gridbot.records.journal_compaction": "the journal's segments, in the writer",
    "gridbot.records.journal_forms": "the ends of a journal's segments, for a start",
    "gridbot.records.journal_listing": "the journal's segments, for `journal show`",
    "gridbot.records.record_queue": "the queue to the writer",
    "gridbot.background": "hears of threads that have ended",
    "gridbot.atomic_file": "the one way to replace a file, for state and journal",
    "gridbot.worker.entry": "the entry of the process",
    "gridbot.system_ports": "clock, randomness and memory of a real process",
    "gridbot.worker.supervisor_pipe": "the end of the process's pipe",
    "gridbot.process_guard": "ends a process whose loop is stuck, so it cannot use that loop's clock",
    "gridbot.config.paper_secrets": "makes the seed of the paper accounts' secrets, before a worker exists",
    "gridbot.private_files": "how files and directories are made, for all that make some",
    "gridbot.config.loading": "reads the configuration once, before a worker exists",
    "gridbot.config.paths": "finds the configuration, before a worker exists",
    "gridbot.config.secret_files": "looks at the rights of files, before a worker exists",
    "gridbot.config.keyring_child": "asks the system keyring, in a process of its own",
    "gridbot.config.system_keyring": "starts that process, before a worker exists",
    "gridbot.config.variables": "reads what the configuration names, once, before a worker exists",
    "gridbot.logging_setup": "log files and their thread; log lines carry real time in any case",
}
# Offenders of today with their reasons. A stale line fails, so this can only shrink.
KNOWN: dict[str, str] = {}

# asyncio's own ways to wait for a time or to use a thread.
ASYNCIO = frozenset({"sleep", "timeout", "timeout_at", "wait_for", "to_thread", "open_connection", "start_server"})
LOOP = frozenset({"time", "call_later", "call_at", "run_in_executor"})


def _called(node: ast.Call, *, with_paths: bool) -> str | None:
    """What a call asks of the outside, if anything."""
    if isinstance(node.func, ast.Name):
        return "opens a file" if node.func.id == "open" else None
    if not isinstance(node.func, ast.Attribute):
        return None
    name, holder = node.func.attr, ast.unparse(node.func.value)
    if holder == "asyncio":
        waits = name in ASYNCIO or (name == "wait" and any(given.arg == "timeout" for given in node.keywords))
        return "waits on the loop's clock or uses a thread" if waits else None
    if name in LOOP and ("loop" in holder.rpartition(".")[2]):
        return "uses the loop's clock or threads"
    if reads_the_clock(node.func):
        return "reads the wall clock"
    if "files" not in holder and touches_a_file(node.func, with_paths=with_paths):
        return "touches a file"
    return None


def _offences(module: str) -> Iterator[str]:
    for item in imports(module):
        if not item.for_types and item.name.partition(".")[0] in {"random", *OUTSIDE}:
            yield f"line {item.line}: imports {item.name}"
    with_paths = has_paths(module)
    for node in walk(tree(module)):
        if isinstance(node, ast.Call) and (what := _called(node, with_paths=with_paths)):
            yield f"line {node.lineno}: {what} by {ast.unparse(node.func)}()"
        if isinstance(node, ast.Name | ast.Attribute) and dotted(node) in ("asyncio.sleep", "asyncio.timeout"):
            yield f"line {node.lineno}: uses {dotted(node)}"


def _inside(module: str) -> bool:
    return room(module) in WORKER_ROOMS and room(module) not in SHELLS and module not in SHELLS


INSIDE = sorted(module for module in MODULES if _inside(module))


def test_the_outside_comes_through_the_ports():
    found = {module: list(_offences(module)) for module in INSIDE if module not in KNOWN}
    assert {module: offences for module, offences in found.items() if offences} == {}


def test_the_known_offenders_still_offend():
    assert [module for module in KNOWN if module not in INSIDE or not list(_offences(module))] == []


def test_the_shells_exist_and_need_to_be_shells():
    for name in SHELLS:
        modules = [module for module in MODULES if module == name or module.startswith(f"{name}.")]
        assert any(list(_offences(module)) for module in modules), name


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "from threading import Thread",
        "import asyncio\nasync def f():\n    await asyncio.sleep(1)",
        "import asyncio\nasync def f(x):\n    async with asyncio.timeout(1):\n        await x",
        "import asyncio\nasync def f(x):\n    await asyncio.wait([x], timeout=1)",
        "import asyncio\nasync def f():\n    asyncio.get_running_loop().call_later(1, print)",
        "def f(loop):\n    return loop.time()",
        "from datetime import datetime, UTC\nx = datetime.now(UTC)",
        "x = open('file')",
        "from pathlib import Path\nx = Path('file').read_text()",
        "def f():\n    import secrets",
    ],
)
def test_the_test_itself_finds_offenders(module_of, source):
    assert list(_offences(module_of(source, "gridbot.worker")))


def test_a_port_is_no_offence(module_of):
    source = "import asyncio\nasync def f(clock, files):\n    clock.call_later(1, print)\n    files.read('x')\n"
    assert list(_offences(module_of(source, "gridbot.worker"))) == []
