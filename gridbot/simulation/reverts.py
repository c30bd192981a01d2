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

from gridbot.core.execution_ledger import Ledger
from gridbot.orders.book import OrderBook
from gridbot.orders.order import Transition
from gridbot.worker.reconciler import Reconciler

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
    async def nothing(reconciler: Reconciler) -> int:
        return 0

    return patch.object(Reconciler, "backfill", nothing)


def _believe_a_lost_reply() -> AbstractContextManager[Any]:
    def reject(book: OrderBook, key: str, reason: str) -> Transition | None:
        return book.reject(key, reason)

    return patch.object(OrderBook, "lose_reply", reject)


REVERTS: dict[str, Revert] = {
    "count-once": Revert("An execution that was counted is not counted again.", ("executions-once",), 1, _count_always),
    "page-executions": Revert("Missed executions are paged.", ("executions-once", "money"), 1, _page_nothing),
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
