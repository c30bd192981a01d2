"""Who may import whom: one table for all rooms, compared with the syntax trees. Imports for types count too.

A room is a folder of `gridbot`, `gridbot.paper` or `supervisor`; a file beside those folders is a room of its own. A
new import between rooms needs a line here, in the same commit: that is the place to ask whether it points downwards.
"""

from __future__ import annotations

import ast
import subprocess
import sys

from tests.house.source import MODULES, ROOT, arrows, circles, imported_modules, imports, room, tree, walk

# Room -> the rooms that it may import, from the ground floor up. Each row names only rooms of rows above it.
GRIDBOT = {
    # Ground: words, numbers and small tools that know nothing of ours.
    "version": "",
    "rolling_limit": "",
    "private_files": "",
    "atomic_file": "private_files",
    "pipe_frames": "",
    "frames": "",
    "shortage": "",
    "lock_file": "shortage private_files",
    "segment_file": "atomic_file lock_file private_files",
    "process_guard": "",
    "hidden_words": "",
    "fault_words": "hidden_words",
    "background": "fault_words",
    "command_line": "",
    "incidents": "",
    "core": "",
    # What others send and say.
    "doors": "core",
    # What an operator can ask, as a table.
    "commands": "doors",
    # What is asked of an exchange and what it answers; what a strategy decides.
    "exchange": "core",
    "ports": "core exchange",
    "system_ports": "ports",
    # A worker's right to send, of a fleet.
    "lease": "core exchange",
    # What all accounts of an address share.
    "budget": "ports",
    "strategies": "core doors",
    "orders": "core exchange",
    # What is kept.
    "records": "commands core doors exchange ports strategies orders atomic_file command_line frames lock_file"
    " private_files segment_file",
    "store": "core doors lease records atomic_file command_line frames version private_files",
    "gridbot": "store version",
    # What a person reads of an account: figures and a page, from the database alone.
    "report": "core doors version",
    # Cancels and closes everything, for whoever has the account.
    "flatten": "core exchange ports budget orders records background",
    # What may stand between a wish and the wire; what sends it.
    "risk": "core exchange orders records",
    # Why an order is missing, in words.
    "why": "core doors exchange orders risk strategies",
    "execution": "exchange ports orders rolling_limit background budget",
    "bybit": "core exchange background doors lease rolling_limit version budget",
    # The file that says what trades. It knows the paper exchange's section and instruments, for `check`.
    "config": "command_line core doors exchange strategies orders records private_files paper.settings paper.market",
    # What is looked at before a start: facts in, findings out.
    "doctor": "config core doors exchange orders risk",
    # Two strategies, or a strategy and a log, side by side.
    "compare": "core doors store risk config private_files",
    # Market data of the past.
    "market": "core doors store bybit atomic_file lock_file private_files shortage version paper.market",
    "log_lines": "doors hidden_words",
    "logging_setup": "private_files config log_lines",
    "state": "core ports strategies orders risk flatten records config atomic_file background version private_files",
    # One account, put together.
    "worker": "commands core exchange ports budget lease strategies orders records risk flatten why execution bybit"
    " config logging_setup state process_guard system_ports background command_line fault_words incidents segment_file"
    " shortage pipe_frames",
    # An account without its worker.
    "rescue": "background fault_words lease"
    " bybit commands core exchange flatten logging_setup orders ports process_guard records risk"
    " state system_ports worker",
    # A worker's parts and the paper exchange on market data of the past.
    "backtest": "atomic_file background bybit command_line commands config core doors exchange execution incidents"
    " lock_file"
    " market orders paper.accounts paper.api paper.api_error paper.engine paper.market paper.params paper.rows"
    " paper.settings paper.worth private_files records risk state store version worker",
    # A worker and the paper exchange under virtual time. It may import all of the above; only a rehearsal imports it.
    "simulation": "frames background budget flatten incidents core ports strategies orders records risk execution bybit"
    " exchange config market state store worker"
    " paper.accounts paper.api paper.api_error paper.engine paper.faults paper.feed paper.market paper.server"
    " paper.settings paper.streams process_guard segment_file",
    # A worker at work before the first fork, by name only.
    "rehearsal": "background config logging_setup paper.server paper.settings simulation system_ports worker",
}
SUPERVISOR = {
    "utc_time": "",
    "exit_codes": "",
    "polling": "",
    # Accounts over several hosts: who may trade which.
    "caps": "gridbot.config gridbot.core gridbot.incidents gridbot.risk gridbot.state",
    "fleet": "gridbot.atomic_file gridbot.background gridbot.command_line gridbot.config gridbot.doctor gridbot.doors"
    " gridbot.exchange gridbot.hidden_words gridbot.incidents gridbot.lease gridbot.private_files gridbot.records"
    " gridbot.risk gridbot.state gridbot.store gridbot.system_ports gridbot.version caps polling",
    "store": "gridbot.private_files"
    " gridbot.core gridbot.doors gridbot.orders gridbot.store gridbot.records gridbot.system_ports gridbot.state"
    " gridbot.budget gridbot.config gridbot.exchange gridbot.bybit gridbot.atomic_file gridbot.command_line"
    " gridbot.lock_file gridbot.commands gridbot.compare gridbot.shortage fleet exit_codes utc_time polling",
    "children": "gridbot.command_line gridbot.private_files gridbot.pipe_frames"
    " gridbot.bybit gridbot.rescue gridbot.state"
    " gridbot.exchange gridbot.hidden_words"
    " gridbot.worker gridbot.paper.server gridbot.config gridbot.logging_setup gridbot.process_guard"
    " gridbot.records gridbot.shortage store"
    " exit_codes utc_time",
    "leases": "gridbot.budget gridbot.exchange gridbot.incidents gridbot.state",
    "status": "gridbot.command_line gridbot.commands gridbot.config gridbot.doors gridbot.incidents gridbot.version"
    " children exit_codes utc_time",
    # What Prometheus reads of the status model.
    "metrics": "gridbot.core gridbot.execution gridbot.private_files gridbot.risk children status",
    "control": "gridbot.background gridbot.core gridbot.doors gridbot.command_line gridbot.commands gridbot.version"
    " gridbot.budget gridbot.exchange gridbot.ports gridbot.system_ports children status",
    # What the page and Telegram share of commands from afar.
    "remote": "gridbot.commands gridbot.doors control",
    "web": "gridbot.background gridbot.command_line gridbot.commands gridbot.config gridbot.core gridbot.doors"
    " gridbot.private_files"
    " gridbot.process_guard gridbot.rolling_limit gridbot.shortage gridbot.store"
    " children control metrics remote store exit_codes utc_time",
    # Messages to people about alerts.
    "notify": "gridbot.atomic_file gridbot.background gridbot.command_line gridbot.commands gridbot.config gridbot.core"
    " gridbot.doors gridbot.process_guard"
    " children control exit_codes status",
    # Questions and commands by Telegram.
    "telegram": "gridbot.atomic_file gridbot.background gridbot.commands gridbot.config gridbot.core gridbot.doors"
    " gridbot.logging_setup gridbot.process_guard children control remote status",
    "doctor": "gridbot.background gridbot.bybit gridbot.config gridbot.core gridbot.doctor gridbot.doors"
    " gridbot.exchange gridbot.state notify store telegram",
    "process": "gridbot.atomic_file gridbot.private_files gridbot.logging_setup gridbot.store"
    " gridbot.background gridbot.command_line gridbot.commands gridbot.config gridbot.core gridbot.doors"
    " gridbot.fault_words gridbot.incidents gridbot.lock_file gridbot.state"
    " gridbot.shortage gridbot.system_ports gridbot.version"
    " caps children fleet leases control status store exit_codes utc_time polling",
    # Hosts of a fleet, under virtual time or as real processes; nothing imports it.
    "trials": "gridbot.atomic_file gridbot.background gridbot.bybit gridbot.config gridbot.core gridbot.doors"
    " gridbot.lease gridbot.orders gridbot.paper.server gridbot.paper.settings gridbot.private_files gridbot.records"
    " gridbot.simulation gridbot.state gridbot.store gridbot.worker control fleet polling",
    "cli": "gridbot.private_files gridbot.process_guard"
    " gridbot.rescue gridbot.state gridbot.system_ports gridbot.worker"
    " gridbot.atomic_file gridbot.backtest gridbot.budget gridbot.command_line gridbot.commands gridbot.compare"
    " gridbot.config"
    " gridbot.core gridbot.doctor gridbot.doors gridbot.exchange gridbot.log_lines gridbot.logging_setup gridbot.market"
    " gridbot.hidden_words"
    " gridbot.paper.feed gridbot.paper.server gridbot.paper.settings gridbot.records gridbot.report gridbot.shortage"
    " gridbot.store gridbot.version caps children"
    " control doctor fleet metrics notify process remote status store web exit_codes utc_time polling",
    "__main__": "cli",
    "supervisor": "",
}
# Arrows that stand today and should not, each with its reason. A stale line fails too, so this list can only shrink.
KNOWN: dict[tuple[str, str], str] = {}


def _full(room_name: str, package: str) -> str:
    inside = room_name == package or room_name.startswith("gridbot.")
    return room_name if inside else f"{package}.{room_name}"


def _allowed() -> dict[str, frozenset[str]]:
    return {
        _full(name, package): frozenset(_full(other, package) for other in others.split())
        for package, table in (("gridbot", GRIDBOT), ("supervisor", SUPERVISOR))
        for name, others in table.items()
    }


ALLOWED = _allowed()


def _arrows() -> dict[str, frozenset[str]]:
    return {here: others for here, others in arrows().items() if not here.startswith("gridbot.paper")}


def test_the_table_names_every_room_and_no_other():
    assert ALLOWED.keys() == _arrows().keys()


def test_a_room_imports_only_what_the_table_allows():
    where = [
        f"{module} imports {other}"
        for module in MODULES
        if (here := room(module)) in ALLOWED
        for other in sorted(imported_modules(module))
        if room(other) not in {here, *ALLOWED[here]} and (here, room(other)) not in KNOWN
    ]
    assert where == []


def test_the_table_allows_no_more_than_is_needed():
    there = _arrows()
    unused = [f"{here} -> {other}" for here, others in ALLOWED.items() for other in sorted(others - there[here])]
    assert unused == []


def test_the_paper_exchange_stands_apart():
    """Its own rooms are drawn and checked in `gridbot/paper/__init__.py` and tests/paper/test_pure.py."""
    outside = {other for here, others in arrows().items() if here.startswith("gridbot.paper") for other in others}
    others = {other for other in outside if not other.startswith("gridbot.paper")}
    tools = {
        "gridbot.rolling_limit",
        "gridbot.atomic_file",
        "gridbot.private_files",
        "gridbot.frames",
        "gridbot.lock_file",
        "gridbot.segment_file",
        "gridbot.doors",
    }
    assert others == {"gridbot.core", *tools}


def test_the_known_exceptions_are_not_stale():
    assert [f"{here} -> {other}" for here, other in KNOWN if other not in _arrows()[here]] == []
    assert [f"{here} -> {other}" for here, other in KNOWN if other in ALLOWED[here]] == []


def test_rooms_import_downwards_only():
    """Each row of the tables names only rooms above it, so the rooms have no circles."""
    seen: set[str] = set()
    for here, others in ALLOWED.items():
        inside = {other for other in others if not other.startswith("gridbot.paper")}
        assert inside <= seen, f"{here} imports {sorted(inside - seen)}, which stand below it"
        seen.add(here)


def test_circles_are_found():
    graph = {"a": frozenset("b"), "b": frozenset("c"), "c": frozenset("a"), "d": frozenset("a"), "e": frozenset("e")}
    assert circles(graph) == [["a", "b", "c"], ["e"]]


def test_gridbot_never_imports_supervisor():
    found = [
        f"{module}, line {item.line}"
        for module in MODULES
        if module.partition(".")[0] == "gridbot"
        for item in imports(module)
        if item.name.partition(".")[0] == "supervisor"
    ]
    assert found == []


def test_pybit_is_known_in_one_place():
    found = {room(module) for module in MODULES for item in imports(module) if item.name.partition(".")[0] == "pybit"}
    assert found == {"gridbot.bybit"}


def test_nothing_that_trades_needs_numpy():
    """It is an extra: neither a worker, nor the paper exchange, nor the supervisor reaches a room that imports it."""
    found = {
        room(module)
        for module in MODULES
        for item in imports(module)
        if item.name.partition(".")[0] == "numpy" and not item.for_types
    }
    assert "gridbot.market" in found
    trading = {
        "gridbot.worker",
        "gridbot.paper.server",
        "supervisor.children",
        "supervisor.process",
        "supervisor.store",
    }
    seen = reached = trading
    while reached:
        reached = {other for here in reached for other in arrows().get(here, frozenset())} - seen
        seen = seen | reached
    assert not seen & found


def test_the_program_does_without_its_tests():
    names = {item.name.partition(".")[0] for module in MODULES for item in imports(module)}
    assert not names & {"tests", "benchmarks", "pytest", "hypothesis"}


def test_only_the_registry_knows_a_kind_of_strategy():
    found = {
        module
        for module in MODULES
        for other in imported_modules(module)
        if other.startswith("gridbot.strategies.grid") and not module.startswith("gridbot.strategies.grid")
    }
    assert found == {"gridbot.strategies.registry"}


def test_no_import_is_relative():
    """An absolute import says where a thing comes from, wherever the line is moved."""

    found = [
        f"{module}, line {node.lineno}"
        for module in MODULES
        for node in walk(tree(module))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert found == []


def test_the_configuration_can_be_read_without_pybit_or_a_server():
    program = (
        "import sys, gridbot.config.loading; print([m for m in ('pybit', 'aiohttp', 'duckdb') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
