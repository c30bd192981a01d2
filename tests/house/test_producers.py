"""One gate stands between any producer of an order and the wire (incident L13). Here are all producers there are."""

from __future__ import annotations

import ast

import pytest

from tests.house.source import MODULES, dotted, tree

PRODUCERS = {
    "gridbot.worker.placement.act": "the strategy",
    "gridbot.worker.order_steps._ask_gate": "the retry queue",
    "gridbot.worker.shutdown._close": "an operator's stop",
}


def _calls(function: ast.AST, owner: str, name: str) -> bool:
    """Whether a function calls `...owner.name(...)`."""
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == name
        and dotted(node.func.value).rpartition(".")[2].lstrip("_") == owner
        for node in ast.walk(function)
    )


def _functions_that_call(owner: str, name: str) -> dict[str, ast.AST]:
    return {
        f"{module}.{node.name}": node
        for module in MODULES
        if module.partition(".")[0] == "gridbot"
        for node in ast.walk(tree(module))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _calls(node, owner, name)
    }


@pytest.mark.parametrize("request_now", ["execute_place", "execute_cancel", "execute_batch"])
def test_only_the_executor_sends_past_its_queue(request_now: str) -> None:
    assert _functions_that_call("calls", request_now).keys() == {"gridbot.execution.executor._execute"}
    assert _functions_that_call("executor", request_now).keys() == set()
    assert _functions_that_call("self", request_now).keys() == set()


def _functions_that_make(value: str) -> dict[str, ast.AST]:
    """Where `value(...)` or `module.value(...)` is made, an event or an effect of `orders/life_events.py`."""
    return {
        f"{module}.{node.name}": node
        for module in MODULES
        if module.partition(".")[0] == "gridbot"
        for node in ast.walk(tree(module))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and any(isinstance(c, ast.Call) and dotted(c.func).rpartition(".")[2] == value for c in ast.walk(node))
    }


def test_every_producer_of_an_order_asks_the_gate() -> None:
    """An order is sent where a `SendCreate` is carried out. One is made for what was submitted, or admitted again."""
    assert _functions_that_call("executor", "place").keys() == {"gridbot.worker.order_steps._send_create"}
    made = _functions_that_make("SendCreate")
    assert made.keys() == {"gridbot.orders.life_wishes.submitted", "gridbot.orders.life_wishes.gate_answered"}
    assert _functions_that_make("Submitted").keys() == {"gridbot.worker.order_manager.submit"}
    answers, submits = _functions_that_make("GateAnswered"), _functions_that_call("orders", "submit")
    assert {**answers, **submits}.keys() == PRODUCERS.keys()
    assert all(_calls(function, "gate", "admit") for function in {**answers, **submits}.values())
