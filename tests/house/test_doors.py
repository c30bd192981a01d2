"""Numbers and JSON of others are read in one place each (`core/strict_numbers.py`, `doors/bounded_json.py`).

In the rooms that face outside, nothing else makes a number of what it was given: `Decimal`, `int` and `float` take
underscores, blanks, digits of other scripts and a million of them, and `isdigit` is true for what `int` refuses. Each
module that does has its reason here, with how often it does.
"""

from __future__ import annotations

import ast

from tests.house.source import MODULES, tree, walk

FACING_OUTSIDE = (
    *("gridbot.bybit", "gridbot.commands", "gridbot.compare", "gridbot.config", "gridbot.doors", "gridbot.paper.api"),
    *("gridbot.paper.calls", "gridbot.paper.params", "gridbot.paper.server", "gridbot.paper.streams"),
    *("gridbot.paper.feed.catalogue", "gridbot.paper.feed.file_layouts", "gridbot.paper.feed.klines"),
    *("gridbot.paper.feed.live", "gridbot.paper.feed.market_feed", "gridbot.paper.feed.replay"),
    *("gridbot.market.answer_files", "gridbot.market.archive", "gridbot.market.day_document"),
    *("gridbot.market.download", "gridbot.market.row_reading", "gridbot.market.rule_book"),
    "gridbot.market.text_columns",
    *("gridbot.paper.ledger.strange_executions", "gridbot.worker.money_watch"),
    *("gridbot.core.ledger_document", "gridbot.core.leg_history_text", "gridbot.records.open_orders"),
    *("supervisor.control", "supervisor.cli.check", "supervisor.cli.logs"),
)
READERS = frozenset({"Decimal", "int", "float"})
TESTS = frozenset({"isdigit", "isdecimal", "isnumeric"})
OWN: dict[str, tuple[int, str]] = {
    "gridbot.bybit.ret_codes": (2, "our own table of codes"),
    "gridbot.bybit.stream_connection": (1, "our own clock"),
    "gridbot.commands.arguments": (2, "texts that their patterns have checked"),
    "gridbot.compare.comparison": (3, "numbers of our own database"),
    "gridbot.config.keyring_child": (1, "an argument of ours; it imports nothing of gridbot"),
    "gridbot.compare.difference_words": (1, "a number of our own database"),
    "gridbot.compare.log_values": (5, "numbers that were read strictly, and bounds"),
    "gridbot.config.fields": (3, "texts that their pattern has checked; a duration"),
    "gridbot.config.original_keys": (1, "a number that was read strictly"),
    "gridbot.market.download": (1, "digits that their pattern has checked"),
    "gridbot.market.row_reading": (8, "places and numbers of rows, which are numpy's"),
    "gridbot.market.rule_book": (3, "numbers that were read strictly"),
    "gridbot.market.text_columns": (
        8,
        "numbers that were read strictly, lengths, and digits that their pattern has checked",
    ),
    "gridbot.doors.http_site": (1, "only asks, beside isascii"),
    "gridbot.paper.api.request_limits": (1, "our own clock"),
    "gridbot.paper.calls.precheck_call": (1, "a number worked out here"),
    "gridbot.paper.params.control_values": (1, "a number that was read strictly"),
    "gridbot.paper.server.exchange_clock": (1, "a setting that was read strictly"),
    "gridbot.paper.streams.channels": (1, "a number that was read strictly"),
    "gridbot.paper.streams.connection_faults": (1, "a word of ours"),
    "gridbot.paper.feed.file_layouts": (1, "a number that was read strictly"),
    "gridbot.paper.feed.market_feed": (6, "what the control endpoint has read strictly, and texts of tests and feeds"),
    "gridbot.paper.ledger.strange_executions": (6, "what the control endpoint has read strictly"),
    "supervisor.control.operations": (2, "numbers that were read strictly"),
}


def _raw_readings(module: str) -> int:
    """Calls that make a number of something that is not written there, or ask whether a text is one."""
    found = 0
    for node in walk(tree(module)):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id in READERS:
            found += bool(node.args) and not isinstance(node.args[0], ast.Constant | ast.UnaryOp)
        elif isinstance(node.func, ast.Attribute) and node.func.attr in TESTS:
            found += 1
    return found


def _faces_outside(module: str) -> bool:
    return any(module == room or module.startswith(f"{room}.") for room in FACING_OUTSIDE)


def test_numbers_of_others_are_read_strictly() -> None:
    found = {module: count for module in MODULES if _faces_outside(module) and (count := _raw_readings(module))}
    assert found == {module: count for module, (count, _) in OWN.items()}


def test_json_of_others_has_an_end() -> None:
    """`json` and orjson read a thousand levels, and what is shown or written of them ends in a RecursionError."""
    found = {
        module
        for module in MODULES
        if _faces_outside(module) and module != "gridbot.doors.bounded_json"
        for node in walk(tree(module))
        if isinstance(node, ast.Attribute)
        and node.attr in ("loads", "load")
        and isinstance(node.value, ast.Name)
        and node.value.id in ("json", "orjson")
    }
    assert found == set()
