"""One gate stands between any producer of an order and the wire (incident L13). Here are all producers there are."""

from __future__ import annotations

import ast

import pytest

from tests.house.source import MODULES, dotted, tree

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


def test_every_producer_of_an_order_asks_the_gate() -> None:
    sends = _functions_that_call("executor", "place")
    assert sends.keys() == {"gridbot.worker.order_manager.submit", "gridbot.worker.order_manager.retry"}
    submits = _functions_that_call("orders", "submit")
    producers = {**submits, "gridbot.worker.order_manager.retry": sends["gridbot.worker.order_manager.retry"]}
    assert producers.keys() == PRODUCERS.keys()
    assert all(_calls(function, "gate", "admit") for function in producers.values())
