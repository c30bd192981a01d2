"""One gate stands between any producer of an order and the wire (incident L13). Here are all producers there are."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache

from tests.house.source import MODULES, dotted, tree, walk

PRODUCERS = {
    "gridbot.worker.placement.act": "the strategy",
    "gridbot.worker.order_steps._ask_gate": "the retry queue",
    "gridbot.worker.flattening.request_of": "an operator's flatten or stop, or a limit's",
    "gridbot.rescue.rescue_hands.request_of": "a rescue: it has no gate, and each of its requests reduces only",
}


@dataclass(frozen=True, slots=True)
class Inside:
    """What a function calls: each `...owner.name(...)` as (owner, name), and the last name of each call."""

    methods: frozenset[tuple[str, str]]
    names: frozenset[str]


@cache
def _functions() -> list[tuple[str, Inside]]:
    """All functions of `gridbot`: module and name (methods of two classes may share one), and what is inside."""
    return [
        (f"{module}.{node.name}", _inside(node))
        for module in MODULES
        if module.partition(".")[0] == "gridbot"
        for node in walk(tree(module))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def _inside(function: ast.AST) -> Inside:
    called = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
    methods = [node for node in called if isinstance(node, ast.Attribute)]
    return Inside(
        frozenset((dotted(node.value).rpartition(".")[2].lstrip("_"), node.attr) for node in methods),
        frozenset(dotted(node).rpartition(".")[2] for node in called),
    )


def _that_call(owner: str, name: str) -> set[str]:
    return {function for function, inside in _functions() if (owner, name) in inside.methods}


def _that_make(value: str) -> set[str]:
    """Where `value(...)` or `module.value(...)` is made, an event or an effect of `orders/life_events.py`."""
    return {function for function, inside in _functions() if value in inside.names}


def test_only_the_executor_and_flattening_have_the_gateway_create() -> None:
    for create in ("place_order", "place_orders"):
        callers = _that_call("gateway", create)
        assert callers <= {
            "gridbot.execution.gateway_calls.execute_place",
            "gridbot.execution.gateway_calls.execute_batch",
            "gridbot.flatten.flatten_drive._send",
        }
        assert callers


def test_only_the_executor_sends_past_its_queue() -> None:
    for request_now in ("execute_place", "execute_cancel", "execute_batch"):
        assert _that_call("calls", request_now) == {"gridbot.execution.executor._execute"}
        assert _that_call("executor", request_now) == set()
        assert _that_call("self", request_now) == set()


def test_every_producer_of_an_order_asks_the_gate() -> None:
    """An order is sent where a `SendCreate` is carried out. One is made for what was submitted, or admitted again."""
    assert _that_call("executor", "place") == {"gridbot.worker.order_steps._send_create"}
    made = _that_make("SendCreate")
    assert made == {"gridbot.orders.life_wishes.submitted", "gridbot.orders.life_wishes.gate_answered"}
    assert _that_make("Submitted") == {"gridbot.worker.order_manager.submit"}
    producers = {
        function: inside
        for function, inside in _functions()
        if "GateAnswered" in inside.names or ("orders", "submit") in inside.methods or "request_for" in inside.names
    }
    assert producers.keys() == PRODUCERS.keys()
    ungated = {name for name, inside in producers.items() if ("gate", "admit") not in inside.methods}
    assert ungated == {"gridbot.rescue.rescue_hands.request_of"}
