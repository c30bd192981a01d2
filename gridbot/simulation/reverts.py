"""Fixes taken out again, by name: patches of the product inside a simulated run, never a flag of the product.

So it can be shown that the seeds find a kind of mistake by themselves: with its fix out, a campaign has to fail. To add
one, write a function that gives the patch, and an entry of `REVERTS` with the invariants that must break.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from gridbot.bybit.rest import BybitRest
from gridbot.core import ExecutionEvent
from gridbot.core.execution_ledger import Ledger
from gridbot.orders import life
from gridbot.orders.book import OrderBook
from gridbot.orders.life_effects import Effect
from gridbot.orders.life_events import Revived
from gridbot.orders.order import OrderState, Transition
from gridbot.state.holds_file import HoldsFile

__all__ = ["REVERTS", "Revert", "reverted"]


@dataclass(frozen=True, slots=True)
class Revert:
    """`apply` makes the patch; `finds` are invariants of which one must then be found broken.

    `seed` is where a search begins: a seed of two minutes that found it once, or one before.
    """

    what: str
    finds: tuple[str, ...]
    seed: int
    apply: Callable[[], AbstractContextManager[Any]]


def _count_always() -> AbstractContextManager[Any]:
    return patch.object(Ledger, "is_new", lambda ledger, exec_id: True)


def _page_nothing() -> AbstractContextManager[Any]:
    async def nothing(rest: BybitRest, *_: object, **__: object) -> list[ExecutionEvent]:
        return []

    return patch.object(BybitRest, "executions", nothing)


def _believe_a_lost_reply() -> AbstractContextManager[Any]:
    def reject(book: OrderBook, key: str, reason: str, ret_code: int | None = None) -> Transition | None:
        order = book.get(key)
        return None if order is None else book.move(order, OrderState.REJECTED, reason, ret_code=ret_code)

    without = contextlib.ExitStack()
    without.enter_context(patch.object(OrderBook, "lose_reply", reject))
    without.enter_context(_hold_for_over())  # which would put it right later
    return without


def _hold_for_over() -> AbstractContextManager[Any]:
    def ignore(book: OrderBook, event: Revived, now_s: float) -> list[Effect]:
        return []

    return patch.dict(life._HANDLERS, {Revived: ignore})


def _keep_no_holds() -> AbstractContextManager[Any]:
    return patch.object(HoldsFile, "keep", lambda *_: None)


REVERTS: dict[str, Revert] = {
    "count-once": Revert("An execution that was counted is not counted again.", ("executions-once",), 1, _count_always),
    "page-executions": Revert("Missed executions are paged.", ("executions-once", "money"), 1, _page_nothing),
    "keep-holds": Revert("Pause and halt outlive the process.", ("halted-sends-nothing",), 122, _keep_no_holds),
    "look-up-lost-replies": Revert(
        "An order whose reply was lost is looked up, not given up.",
        ("no-unknown-order", "one-order-per-level"),
        9,
        _believe_a_lost_reply,
    ),
}


@contextlib.contextmanager
def reverted(names: Sequence[str]) -> Iterator[None]:
    """Run with these fixes out. Raises KeyError for an unknown name."""
    with contextlib.ExitStack() as stack:
        for name in names:
            stack.enter_context(REVERTS[name].apply())
        yield
