"""Fixes of issues 11 and 12 taken out again: what is counted, once and in which coin (`reverts` names them)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from decimal import Decimal
from typing import Any

from gridbot.bybit import parse_account
from gridbot.bybit.parse_costs import Costs
from gridbot.bybit.raw_fields import or_zero
from gridbot.bybit.rest import BybitRest
from gridbot.core import ExecType, ExecutionEvent
from gridbot.core.execution_ledger import OVERLAP_MS, Ledger
from gridbot.core.vocabulary import SETTLE_COIN
from gridbot.exchange.listing import Listing
from gridbot.orders import reconcile_look_ups
from gridbot.orders.reconcile_state import Who
from gridbot.orders.reconcile_turn import Turn
from gridbot.orders.reconcile_words import AskExecutions
from gridbot.simulation.taken_out import replaced, together

__all__ = [
    "book_all_as_trades",
    "continue_at_the_newest",
    "count_always",
    "count_what_is_paged_again",
    "page_nothing",
    "take_each_fee_for_usdt",
]


def count_always() -> AbstractContextManager[Any]:
    """Whatever reaches the ledger is counted. What is paged again does not: the reconciler leaves it out."""
    real = Ledger.apply

    def apply(ledger: Ledger, strategy: str, execution: ExecutionEvent, *, shadow: bool = False) -> Decimal | None:
        with count_what_is_paged_again():
            return real(ledger, strategy, execution, shadow=shadow)

    return replaced(Ledger, apply=apply)


def count_what_is_paged_again() -> AbstractContextManager[Any]:
    return replaced(Ledger, is_new=lambda ledger, exec_id, exchange_ts=None: True)


def page_nothing() -> AbstractContextManager[Any]:
    async def nothing(rest: BybitRest, *_: object, **__: object) -> Listing[ExecutionEvent]:
        return Listing()

    return replaced(BybitRest, executions=nothing)


def continue_at_the_newest() -> AbstractContextManager[Any]:
    def ask(turn: Turn, who: Who) -> None:
        turn.effects.append(AskExecutions(who, max(0, turn.view.ledger.last_exec_ts - OVERLAP_MS)))

    return together(
        replaced(Turn, ask_executions=ask),
        # An order whose executions do not add up would be asked for by its id, which finds most of what paging lost.
        replaced(reconcile_look_ups, _ask_missing=lambda turn: None),
    )


@contextlib.contextmanager
def book_all_as_trades() -> Iterator[None]:
    """Whatever is no funding opens or closes a leg."""
    with contextlib.ExitStack() as changed:
        for kind in ExecType:
            changed.enter_context(replaced(kind, moves_legs=kind is not ExecType.FUNDING))
        yield


def take_each_fee_for_usdt() -> AbstractContextManager[Any]:
    """And leave taxes out."""
    return replaced(parse_account, costs_of=lambda row, **_: Costs(or_zero(row, "execFee"), SETTLE_COIN))
