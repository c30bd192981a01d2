"""Pure rooms: nothing that does I/O, reads a clock or an environment, or is random, and nothing of ours that does.

Whole rooms are pure, so a new module in one of them is, unless it is named here as a shell.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache

import pytest

from tests.house.source import (
    MODULES,
    OUTSIDE,
    dotted,
    has_paths,
    imports,
    owner,
    reads_the_clock,
    touches_a_file,
    tree,
    walk,
)

PURE_ROOMS = (
    *("gridbot.core", "gridbot.strategies", "gridbot.orders", "gridbot.risk", "gridbot.exchange"),
    *("gridbot.commands", "gridbot.why", "gridbot.doctor", "gridbot.lease"),
    *("gridbot.ports", "gridbot.frames", "gridbot.rolling_limit", "gridbot.version", "gridbot.config.fields"),
    *(
        "gridbot.records.record_types",
        "gridbot.records.builders",
        "gridbot.records.codec",
        "gridbot.records.open_orders",
        "gridbot.records.sent_order",
    ),
    *("gridbot.records.durability", "gridbot.execution.rate_budget", "gridbot.execution.send_queue"),
    *("gridbot.execution.send_lane", "gridbot.execution.queue_invariants"),
    *("gridbot.worker.schedule", "gridbot.worker.schedule_invariants", "gridbot.worker.standstill"),
    *("gridbot.budget.request_permits", "supervisor.leases.request_leases", "supervisor.leases.fact_board"),
    *("supervisor.fleet.lease", "supervisor.fleet.lease_types", "supervisor.fleet.memory_store"),
    *("supervisor.caps.notional_shares", "supervisor.caps.cap_scope", "supervisor.caps.fleet_scope"),
    *("supervisor.caps.host_caps", "supervisor.caps.caps_shown", "supervisor.caps.caps_document"),
    *("gridbot.market.candle_ticks", "gridbot.market.column_layout", "gridbot.market.day"),
    *("gridbot.market.day_build", "gridbot.market.day_document", "gridbot.market.day_rows"),
    "gridbot.market.file_endings",
    *("gridbot.market.pyramid", "gridbot.market.row_reading", "gridbot.market.text_columns"),
    *("gridbot.flatten.flatten_words", "gridbot.flatten.flatten_state", "gridbot.flatten.flatten_legs"),
    *("gridbot.flatten.flatten_report", "gridbot.flatten.flatten_step", "gridbot.flatten.flatten_invariants"),
    *("gridbot.flatten.close_records", "gridbot.flatten.flatten_readings"),
    "gridbot.fault_words",
    "gridbot.incidents",
    *("gridbot.bybit.parse_account", "gridbot.bybit.parse_market", "gridbot.bybit.raw_fields"),
    *("gridbot.bybit.ret_codes", "gridbot.bybit.watchdog", "gridbot.bybit.trade_frames", "gridbot.bybit.trade_line"),
    *("gridbot.store.rollups", "gridbot.store.views"),
    *("gridbot.compare.row_pairs", "gridbot.compare.near_pairs", "gridbot.compare.tolerances"),
    "gridbot.compare.difference_words",
    "gridbot.report",
    *("gridbot.paper.accounts", "gridbot.paper.api", "gridbot.paper.calls", "gridbot.paper.engine"),
    *("gridbot.paper.ledger", "gridbot.paper.market", "gridbot.paper.params", "gridbot.paper.rows"),
    *("gridbot.simulation.run_checks", "gridbot.simulation.run_faults", "gridbot.simulation.shrink"),
    *("gridbot.paper.stops", "gridbot.paper.storage.kept_state", "gridbot.paper.storage.state_records"),
    *("gridbot.paper.settings", "gridbot.paper.api_error", "gridbot.paper.faults.fault_plan"),
    *("supervisor.children.policy", "supervisor.children.policy_types", "supervisor.exit_codes"),
    *("supervisor.status.model", "supervisor.status.caps_text"),
    *("supervisor.store.store_watch", "supervisor.store.transactions"),
    *("supervisor.notify.alert_notices", "supervisor.notify.alert_routes", "supervisor.notify.daily_summary"),
    *("supervisor.notify.delivery_line", "supervisor.notify.incident_book", "supervisor.notify.message_text"),
    *("supervisor.notify.quiet_hours", "supervisor.notify.teller"),
    *("supervisor.remote.command_forms", "supervisor.remote.prepared_command"),
    *("supervisor.telegram.bot_answers", "supervisor.telegram.bot_core", "supervisor.telegram.bot_updates"),
    *("supervisor.telegram.chat_commands", "supervisor.telegram.chat_text", "supervisor.telegram.command_lines"),
    "supervisor.telegram.fleet_lines",
)
SHELLS = frozenset({"gridbot.report.page_assets", "gridbot.report.report_page"})
"""The files of the page, and what puts them into it."""
IMPURE = OUTSIDE | frozenset(
    """
    asyncio aiohttp duckdb gzip http logging pybit queue requests shelve socketserver sqlite3 urllib.request websocket
    yaml
    """.split()  # noqa: SIM905 - a list of strings is no easier to read
)
IMPURE_CALLS = frozenset({"open", "print", "input", "exec", "eval"})
WRITES_CODE = ("gridbot.core.quick_values", "exec")
"""Makes `__init__` of a class from its fields, as `dataclasses` does."""


def _is_pure(module: str) -> bool:
    inside = any(module == room or module.startswith(f"{room}.") for room in PURE_ROOMS)
    return inside and module not in SHELLS


def _is_impure(name: str) -> bool:
    return name in IMPURE or name.partition(".")[0] in IMPURE or ".".join(name.split(".")[:2]) in IMPURE


PURE = sorted(module for module in MODULES if _is_pure(module))


@cache
def _imports_impure(module: str) -> bool:
    """Whether a module of ours imports something impure itself, or a module that does."""
    for item in imports(module):
        if item.for_types:
            continue
        ours = owner(item.name)
        if _is_impure(item.name) or (ours not in (None, module) and ours is not None and _imports_impure(ours)):
            return True
    return False


def _impurities(module: str) -> Iterator[str]:
    for item in imports(module):
        if item.for_types:
            continue
        ours = owner(item.name)
        if _is_impure(item.name):
            yield f"line {item.line}: imports {item.name}"
        elif ours not in (None, module) and ours is not None and _imports_impure(ours):
            yield f"line {item.line}: imports {item.name}, which is not pure"
        if item.name.startswith("random.") and item.name != "random.Random":
            yield f"line {item.line}: imports {item.name}"
    with_paths = has_paths(module)
    for node in walk(tree(module)):
        # `random.Random(seed)` answers the same every time and is a value; the module's own generator is not.
        if isinstance(node, ast.Attribute) and dotted(node.value) == "random" and node.attr != "Random":
            yield f"line {node.lineno}: uses random.{node.attr}"
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        if isinstance(called, ast.Name) and called.id in IMPURE_CALLS and (module, called.id) != WRITES_CODE:
            yield f"line {node.lineno}: calls {called.id}()"
        if isinstance(called, ast.Attribute) and reads_the_clock(called):
            yield f"line {node.lineno}: reads the clock by {ast.unparse(called)}()"
        if isinstance(called, ast.Attribute) and touches_a_file(called, with_paths=with_paths):
            yield f"line {node.lineno}: touches a file by {ast.unparse(called)}()"


def test_the_lists_are_up_to_date():
    known = set(MODULES) | {module.rpartition(".")[0] for module in MODULES}
    assert [name for name in (*PURE_ROOMS, *SHELLS) if name not in known] == []


def test_pure_modules_are_pure():
    assert {module: found for module in PURE if (found := list(_impurities(module)))} == {}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import time", "imports time"),
        ("from os import environ", "imports os.environ"),
        ("import random\nx = random.random()", "uses random.random"),
        ("from random import choice", "imports random.choice"),
        ("import urllib.request", "imports urllib.request"),
        ("from gridbot.records import journal", "imports gridbot.records.journal, which is not pure"),
        ("from gridbot.state.state_files import StateFiles", "imports gridbot.state.state_files.StateFiles, which"),
        ("def f():\n    import socket", "imports socket"),
        ("import datetime\nx = datetime.datetime.now()", "reads the clock by datetime.datetime.now()"),
        ("def f(path):\n    return path.read_text()", "touches a file by path.read_text()"),
        ("from pathlib import Path\nx = Path('file').exists()", "touches a file by Path('file').exists()"),
        ("print(1)", "calls print()"),
    ],
)
def test_the_test_itself_finds_offenders(module_of, source, found):
    assert any(found in line for line in _impurities(module_of(source, "gridbot.core")))


def test_imports_for_types_only_are_allowed(module_of):
    source = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import asyncio\n"
    assert not list(_impurities(module_of(source, "gridbot.core")))
